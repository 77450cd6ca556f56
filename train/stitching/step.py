"""One update of the stitching and retargeting networks: pure, and the same on any
number of devices.

Every random draw belongs to a sample's row in the global batch. A source is driven by
the face of the row before it, which is of another clip unless the clips have come round
between them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, PRNGKeyArray

from jaxportrait.models.stitching import retarget, stitch
from jaxportrait.types import pytree
from train.engine.keys import Purpose, root_key
from train.engine.state import Params, TrainState, learning_rate, update
from train.renderer.losses import mean_of_known
from train.renderer.networks import Renderer, place_keypoints
from train.renderer.step import Batch, Terms, shrink
from train.stitching.config import (
    STITCHING,
    LossWeights,
    StepConfig,
    StitchingTrainConfig,
)
from train.stitching.networks import (
    Corrections,
    build_corrections,
    build_renderer,
    render,
)
from train.stitching.regions import Organ, find_organ, seen_openness, shoulders

Wanted = Mapping[str, Float[Array, "n 1"]]
"""Part -> openness that its network is to give."""
VALIDATION_SEED = 0


@pytree
@dataclass(frozen=True)
class Faces:
    """What the frozen networks and landmarks say of a batch.

    Attributes:
      volume: features of the source frames.
      source: their keypoints.
      driving: the same, moved as a face of another clip.
      reconstruction: what W and G make of a source that does not move.
      shoulders: 1 where they are.
      organs: eyes and lips of the source frames, by part.
    """

    volume: Float[Array, "n d h w c"]
    source: Float[Array, "n k 3"]
    driving: Float[Array, "n k 3"]
    reconstruction: Float[Array, "n h w 3"]
    shoulders: Float[Array, "n h w 1"]
    organs: dict[str, Organ]


def train_step(
    config: StepConfig,
    frozen: Params,
    key: PRNGKeyArray,
    state: TrainState,
    batch: Batch,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update.

    Args:
      frozen: weights and batch statistics of F, M, W and G.
      key: of the run; folded with the step and each sample's row.

    Returns:
      The next state, and `loss`, `gradient_norm`, `learning_rate` and every term of the
      loss.
    """
    training, renderer = config.training, build_renderer(config, frozen)
    wanted = draw_openness(training, jax.random.fold_in(key, state.step), batch["row"])
    faces = look_at(config, renderer, batch)

    def loss(params: Params) -> tuple[Float[Array, ""], Terms]:
        terms = loss_terms(
            config, renderer, build_corrections(config, params), faces, wanted
        )
        return weigh(training.losses, terms), terms

    (total, terms), gradients = jax.value_and_grad(loss, has_aux=True)(state.params)
    rate = jnp.asarray(learning_rate(training.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, training.optimizer)
    return state, terms | {"loss": total, "gradient_norm": norm, "learning_rate": rate}


def draw_openness(
    config: StitchingTrainConfig, key: PRNGKeyArray, rows: Int[Array, " n"]
) -> Wanted:
    """For each row, openness that is equally likely anywhere from shut to widest."""

    def draw_row(row: Array) -> Wanted:
        own = jax.random.fold_in(key, row)
        return {
            part: jax.random.uniform(
                jax.random.fold_in(own, index), (1,), maxval=organ.widest
            )
            for index, (part, organ) in enumerate(config.organs.items())
        }

    return jax.vmap(draw_row)(rows)


def look_at(config: StepConfig, renderer: Renderer, batch: Batch) -> Faces:
    """All that does not depend on the networks which are trained."""
    n, size = len(batch["row"]), config.image_size
    source, driving = (
        shrink(batch[role].astype(jnp.float32) / 255.0, size)
        for role in ("source", "driving")
    )
    motion = renderer.motion(
        jnp.concatenate([source, driving[row_before(batch["row"])]])
    )
    keypoints = place_keypoints(
        motion, motion.keypoints.at[n:].set(motion.keypoints[:n])
    )
    own, volume = keypoints[:n], renderer.appearance(source)
    (image,) = render(renderer, volume, own, [own])
    marks, organs = batch["source_landmarks"], config.training.organs
    return Faces(
        volume,
        own,
        keypoints[n:],
        image,
        shoulders(config.training, marks, image.shape[1]),
        {
            part: find_organ(organ, marks, image.shape[1])
            for part, organ in organs.items()
        },
    )


def row_before(rows: Int[Array, " n"]) -> Int[Array, " n"]:
    """Where in a batch the row before each one lies (before the first, the last):
    processes lay rows out otherwise."""
    order = jnp.argsort(rows)
    return jnp.roll(order, 1)[jnp.argsort(order)]


def loss_terms(
    config: StepConfig,
    renderer: Renderer,
    networks: Corrections,
    faces: Faces,
    wanted: Wanted,
) -> Terms:
    """Every loss, before its weight: that whose name its own ends with."""
    moved = correct(networks, faces, wanted)
    made = dict(
        zip(
            moved,
            render(renderer, faces.volume, faces.source, list(moved.values())),
            strict=True,
        )
    )
    changed = difference(made[STITCHING], faces.reconstruction, faces.shoulders)
    terms = {
        "shoulders": jnp.mean(changed),
        "stitching_offsets": jnp.mean(jnp.abs(moved[STITCHING] - faces.driving)),
    }
    seen = see(renderer, [made[part] for part in wanted], config.image_size)
    for part, keypoints in zip(wanted, seen, strict=True):
        eyes_or_lips = faces.organs[part]
        openness = seen_openness(
            config.training, config.training.organs[part], keypoints, eyes_or_lips.width
        )
        found = {
            "surroundings": difference(
                made[part], faces.reconstruction, eyes_or_lips.surroundings
            ),
            "openness": jnp.mean(jnp.abs(openness - wanted[part]), axis=1),
            "offsets": jnp.mean(jnp.abs(moved[part] - faces.source), axis=(1, 2)),
        }
        terms |= {
            f"{part}_{name}": mean_of_known(value, eyes_or_lips.known)
            for name, value in found.items()
        }
    return terms


def correct(
    networks: Corrections, faces: Faces, wanted: Wanted
) -> dict[str, Float[Array, "n k 3"]]:
    """Part -> keypoints as its network moves them."""
    stitched = stitch(networks[STITCHING], faces.source, faces.driving)
    return {STITCHING: stitched} | {
        part: retarget(
            networks[part],
            faces.source,
            jnp.concatenate([faces.organs[part].openness, openness], axis=1),
        )
        for part, openness in wanted.items()
    }


def see(
    renderer: Renderer, pictures: Sequence[Float[Array, "n H W 3"]], size: int
) -> list[Float[Array, "n k 3"]]:
    """The keypoints that M sees in each of `pictures`, read at `size` pixels a side."""
    if not pictures:
        return []
    small = jnp.stack([resize(picture, size) for picture in pictures], axis=1)
    motion = renderer.motion(small.reshape(-1, *small.shape[2:]))
    keypoints = place_keypoints(motion, motion.keypoints)
    keypoints = keypoints.reshape(-1, len(pictures), *keypoints.shape[1:])
    return [keypoints[:, index] for index in range(len(pictures))]


def resize(images: Float[Array, "n H W 3"], size: int) -> Float[Array, "n h w 3"]:
    return jax.image.resize(images, (len(images), size, size, 3), "linear")


def difference(
    made: Float[Array, "n h w 3"],
    true: Float[Array, "n h w 3"],
    mask: Float[Array, "n h w 1"],
) -> Float[Array, " n"]:
    """Mean absolute difference of each picture where its mask is 1; 0 where it is
    nowhere."""
    total = jnp.sum(mask * jnp.abs(made - true), axis=(1, 2, 3))
    return total / jnp.maximum(3 * jnp.sum(mask, axis=(1, 2, 3)), 1)


def weigh(losses: LossWeights, terms: Terms) -> Float[Array, ""]:
    """The sum of all losses, each by its weight."""
    weighted = [
        getattr(losses, name.rpartition("_")[2]) * value
        for name, value in terms.items()
    ]
    return sum(weighted, jnp.zeros(()))


def validation_error(
    config: StepConfig, frozen: Params, average: Params, batch: Batch
) -> Float[Array, ""]:
    """The loss of the averaged networks, at openness that depends on nothing but a
    sample's row."""
    renderer, networks = (
        build_renderer(config, frozen),
        build_corrections(config, average),
    )
    wanted = draw_openness(
        config.training, root_key(VALIDATION_SEED, Purpose.VALIDATION), batch["row"]
    )
    terms = loss_terms(
        config, renderer, networks, look_at(config, renderer, batch), wanted
    )
    return weigh(config.training.losses, terms)


def picture(
    config: StepConfig, frozen: Params, average: Params, batch: Batch
) -> Float[Array, "H W 3"]:
    """A row a pair: self-reconstruction, driving frame, moved, stitched; then eyes and
    lips shut and widest."""
    renderer, networks = (
        build_renderer(config, frozen),
        build_corrections(config, average),
    )
    faces, organs = look_at(config, renderer, batch), config.training.organs
    extremes = [
        correct(networks, faces, {part: jnp.full((len(faces.source), 1), openness)})[
            part
        ]
        for part, organ in organs.items()
        for openness in (0.0, organ.widest)
    ]
    stitched = correct(networks, faces, {})[STITCHING]
    made = render(
        renderer, faces.volume, faces.source, [faces.driving, stitched, *extremes]
    )
    driving = batch["driving"][row_before(batch["row"])].astype(jnp.float32) / 255.0
    driving = resize(driving, made[0].shape[1])
    rows = jnp.concatenate([faces.reconstruction, driving, *made], axis=2)
    return rows.reshape(-1, *rows.shape[2:])
