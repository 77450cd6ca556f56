"""One update of the stitching and retargeting networks: pure, and the same on any
number of devices.

Every random draw belongs to a sample's row in the global batch. A source is driven by
the face of the row before it, which is of another clip unless a new round of the clips
begins between them.
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
from train.renderer.losses import mean_where
from train.renderer.networks import Renderer, place_keypoints
from train.renderer.pair import Batch, shrink
from train.renderer.terms import Terms
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

Openness = Mapping[str, Float[Array, "n 1"]]
"""Part -> openness that its network is to reach."""
VALIDATION_SEED = 0


@pytree
@dataclass(frozen=True)
class Faces:
    """A batch as the frozen networks and landmarks read it.

    Attributes:
      volume: features of the source frames.
      source: keypoints of the source frames.
      driving: the same, moved as a face of another clip.
      reconstruction: pictures by W and G of a source that does not move.
      shoulders: 1 at the shoulders.
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
) -> tuple[TrainState, Terms]:
    """Return the state after one update, and its metrics.

    Args:
      config: options of the run, and sizes of the frozen networks.
      frozen: weights and batch statistics of F, M, W and G.
      key: key of the run's updates; folded with the step and each sample's row.
      state: the state before.
      batch: pairs of frames.

    Returns:
      The next state, and `loss`, `gradient_norm`, `learning_rate` and every term of the
      loss.
    """
    training = config.training
    # The frozen networks run once; only the corrections have gradients.
    renderer = build_renderer(config, frozen)
    step_key = jax.random.fold_in(key, state.step)
    targets = draw_openness(training, step_key, batch["row"])
    faces = read_faces(config, renderer, batch)

    def loss(params: Params) -> tuple[Float[Array, ""], Terms]:
        networks = build_corrections(config, params | state.fixed)
        terms = loss_terms(config, renderer, networks, faces, targets)
        return weigh(training.losses, terms), terms

    gradient = jax.value_and_grad(loss, has_aux=True)
    (total, terms), gradients = gradient(state.params)
    rate = jnp.asarray(learning_rate(training.optimizer)(state.step), jnp.float32)
    state, norm = update(state, gradients, training.optimizer)
    return state, terms | {"loss": total, "gradient_norm": norm, "learning_rate": rate}


def draw_openness(
    config: StitchingTrainConfig, key: PRNGKeyArray, rows: Int[Array, " n"]
) -> Openness:
    """Draw an openness for each row, uniformly from shut to widest."""

    def draw_row(row: Array) -> Openness:
        row_key = jax.random.fold_in(key, row)
        openness = {}
        for index, (part, organ) in enumerate(config.organs.items()):
            part_key = jax.random.fold_in(row_key, index)
            openness[part] = jax.random.uniform(part_key, (1,), maxval=organ.widest)
        return openness

    return jax.vmap(draw_row)(rows)


def read_faces(config: StepConfig, renderer: Renderer, batch: Batch) -> Faces:
    """Compute everything that does not depend on the networks which are trained."""
    n, size = len(batch["row"]), config.image_size
    source = shrink(batch["source"].astype(jnp.float32) / 255.0, size)
    driving = shrink(batch["driving"].astype(jnp.float32) / 255.0, size)
    # M reads both at once; the driving motion moves the source's canonical keypoints.
    driving = driving[row_before(batch["row"])]
    motion = renderer.motion(jnp.concatenate([source, driving]))
    canonical = motion.keypoints.at[n:].set(motion.keypoints[:n])
    keypoints = place_keypoints(motion, canonical)
    source_keypoints = keypoints[:n]
    volume = renderer.appearance(source)
    (image,) = render(renderer, volume, source_keypoints, [source_keypoints])
    landmarks, side = batch["source_landmarks"], image.shape[1]
    organs = {
        part: find_organ(organ, landmarks, side)
        for part, organ in config.training.organs.items()
    }
    return Faces(
        volume,
        source_keypoints,
        keypoints[n:],
        image,
        shoulders(config.training, landmarks, side),
        organs,
    )


def row_before(rows: Int[Array, " n"]) -> Int[Array, " n"]:
    """Return the place in a batch of the row before each one (before the first, the
    last): processes lay rows out in another order."""
    # The inverse of a permutation is its argsort.
    order = jnp.argsort(rows)
    return jnp.roll(order, 1)[jnp.argsort(order)]


def loss_terms(
    config: StepConfig,
    renderer: Renderer,
    networks: Corrections,
    faces: Faces,
    targets: Openness,
) -> Terms:
    """Return every loss before its weight; a term's name ends with its loss's."""
    keypoints = correct(networks, faces, targets)
    drawn = render(renderer, faces.volume, faces.source, list(keypoints.values()))
    images = dict(zip(keypoints, drawn, strict=True))
    # Stitching: shoulders stay, and keypoints stay near the driving ones.
    change = difference(images[STITCHING], faces.reconstruction, faces.shoulders)
    offsets = keypoints[STITCHING] - faces.driving
    terms = {
        "shoulders": jnp.mean(change),
        "stitching_offsets": jnp.mean(jnp.abs(offsets)),
    }
    # Retargeting: M reads the openness of the made picture.
    size = config.image_size
    readings = read_keypoints(renderer, [images[part] for part in targets], size)
    for part, reading in zip(targets, readings, strict=True):
        # Faces whose landmarks are not known count nothing.
        organ = faces.organs[part]
        organ_config = config.training.organs[part]
        openness = seen_openness(config.training, organ_config, reading, organ.width)
        error = jnp.abs(openness - targets[part])
        offsets = keypoints[part] - faces.source
        surroundings = difference(
            images[part], faces.reconstruction, organ.surroundings
        )
        errors = {
            "surroundings": surroundings,
            "openness": jnp.mean(error, axis=1),
            "offsets": jnp.mean(jnp.abs(offsets), axis=(1, 2)),
        }
        for name, value in errors.items():
            terms[f"{part}_{name}"] = mean_where(value, organ.mask)
    return terms


def correct(
    networks: Corrections, faces: Faces, targets: Openness
) -> dict[str, Float[Array, "n k 3"]]:
    """Return part -> keypoints as its network moves them."""
    # A retargeting network reads the openness of the source, and its target.
    moved = {STITCHING: stitch(networks[STITCHING], faces.source, faces.driving)}
    for part, openness in targets.items():
        condition = jnp.concatenate([faces.organs[part].openness, openness], axis=1)
        moved[part] = retarget(networks[part], faces.source, condition)
    return moved


def read_keypoints(
    renderer: Renderer, pictures: Sequence[Float[Array, "n H W 3"]], size: int
) -> list[Float[Array, "n k 3"]]:
    """Read keypoints from each of `pictures` by M, at `size` pixels a side."""
    if not pictures:
        return []
    # Pictures of a row lie together in one batch for M.
    small = jnp.stack([resize(picture, size) for picture in pictures], axis=1)
    motion = renderer.motion(small.reshape(-1, *small.shape[2:]))
    keypoints = place_keypoints(motion, motion.keypoints)
    keypoints = keypoints.reshape(-1, len(pictures), *keypoints.shape[1:])
    return [keypoints[:, index] for index in range(len(pictures))]


def resize(images: Float[Array, "n H W 3"], size: int) -> Float[Array, "n h w 3"]:
    """Resize pictures to `size` pixels a side."""
    return jax.image.resize(images, (len(images), size, size, 3), "linear")


def difference(
    image: Float[Array, "n h w 3"],
    target: Float[Array, "n h w 3"],
    mask: Float[Array, "n h w 1"],
) -> Float[Array, " n"]:
    """Return the mean absolute difference of each picture where its mask is 1; 0 where
    it is nowhere."""
    total = jnp.sum(mask * jnp.abs(image - target), axis=(1, 2, 3))
    # Three colours a pixel.
    values = 3 * jnp.sum(mask, axis=(1, 2, 3))
    return total / jnp.maximum(values, 1)


def weigh(losses: LossWeights, terms: Terms) -> Float[Array, ""]:
    """Return the sum of all losses, each by its weight."""
    total = jnp.zeros(())
    for name, value in terms.items():
        _, _, loss = name.rpartition("_")
        total = total + getattr(losses, loss) * value
    return total


def validation_error(
    config: StepConfig, frozen: Params, average: Params, batch: Batch
) -> Float[Array, ""]:
    """Return the loss of the averaged networks, at openness that depends only on a
    sample's row."""
    renderer = build_renderer(config, frozen)
    networks = build_corrections(config, average)
    key = root_key(VALIDATION_SEED, Purpose.VALIDATION)
    targets = draw_openness(config.training, key, batch["row"])
    faces = read_faces(config, renderer, batch)
    terms = loss_terms(config, renderer, networks, faces, targets)
    return weigh(config.training.losses, terms)


def picture(
    config: StepConfig, frozen: Params, average: Params, batch: Batch
) -> Float[Array, "H W 3"]:
    """Draw a row a pair: self-reconstruction, driving frame, moved, stitched; then eyes
    and lips shut and widest."""
    renderer = build_renderer(config, frozen)
    networks = build_corrections(config, average)
    faces = read_faces(config, renderer, batch)
    # Moved and stitched; then each organ shut and widest.
    keypoints = [faces.driving, correct(networks, faces, {})[STITCHING]]
    for part, organ in config.training.organs.items():
        for openness in (0.0, organ.widest):
            target = jnp.full((len(faces.source), 1), openness)
            keypoints.append(correct(networks, faces, {part: target})[part])
    images = render(renderer, faces.volume, faces.source, keypoints)
    driving = batch["driving"][row_before(batch["row"])].astype(jnp.float32) / 255.0
    driving = resize(driving, images[0].shape[1])
    rows = jnp.concatenate([faces.reconstruction, driving, *images], axis=2)
    return rows.reshape(-1, *rows.shape[2:])
