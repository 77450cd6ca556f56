"""The losses of renderer training, each a mean over the samples.

Source: Wang et al., "One-shot free-view neural talking-head synthesis", 2021; Guo et
al., "LivePortrait", 2024 (the landmark guidance); Lim and Ye, "Geometric GAN", 2017
(the hinge).
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float

from jaxportrait.ops.grid import axis_positions, coordinate_grid
from jaxportrait.ops.resize import mean_pool

LEAST_DISTANCE = 0.1
"""Between keypoints, in half sides of the picture."""
FOCUS_RADIUS = 0.05
WING_WIDTH, WING_CURVATURE = 0.1, 0.02


def pyramid_error(
    made: Float[Array, "n h w 3"],
    true: Float[Array, "n h w 3"],
    weight: Float[Array, "n h w 1"],
    scales: int,
) -> Float[Array, ""]:
    """Mean absolute error, averaged over `scales` pictures, each half as fine as the
    one before."""
    total = jnp.zeros(())
    for scale in range(scales):
        if scale:
            made, true, weight = mean_pool(made), mean_pool(true), mean_pool(weight)
        total += jnp.mean(weight * jnp.abs(made - true)) / jnp.mean(weight)
    return total / scales


def perceptual_error(
    see: Callable[[Array], list[Array]],
    made: Float[Array, "n h w 3"],
    true: Float[Array, "n h w 3"],
    scales: int,
) -> Float[Array, ""]:
    """Mean absolute difference of what `see` makes of both pictures, summed over its
    maps and over `scales` pictures.

    Each is half as fine as the one before. No gradient reaches `true`.

    Source: Johnson et al., "Perceptual losses for real-time style transfer and
    super-resolution", 2016; in this form Siarohin et al., "First order motion model",
    2019, where it weighs 10.
    """
    total = jnp.zeros(())
    for scale in range(scales):
        if scale:
            made, true = mean_pool(made), mean_pool(true)
        pairs = zip(see(made), lax.stop_gradient(see(true)), strict=True)
        total += sum(
            (jnp.mean(jnp.abs(a - b), dtype=jnp.float32) for a, b in pairs),
            jnp.zeros(()),
        )
    return total


def focus_map(
    landmarks: Float[Array, "n p 2"], focus: float, size: int
) -> Float[Array, "n size size 1"]:
    """How much each pixel counts: 1, and up to `1 + focus` at landmarks; unknown ones
    (NaN) add nothing."""
    return 1 + focus * jnp.minimum(spots(landmarks, FOCUS_RADIUS, size), 1.0)


def spots(
    points: Float[Array, "n p 2"], radius: float, size: int
) -> Float[Array, "n size size 1"]:
    """The sum of a bump at each of `points`, 1 in its middle; unknown ones (NaN) add
    nothing."""
    safe = jnp.where(jnp.isfinite(points), points, 9.0)  # far outside the picture
    distance = (
        axis_positions(size)[None, :, None]
        - safe.transpose(0, 2, 1).reshape(-1, 1, safe.shape[1])
    ) ** 2
    bumps = jnp.exp(-0.5 / radius**2 * distance).reshape(-1, 2, size, safe.shape[1])
    return jnp.einsum("nxp,nyp->nyx", bumps[:, 0], bumps[:, 1])[..., None]


def wing(error: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """A loss that is steep near zero and straight beyond `WING_WIDTH`.

    Source: Feng et al., "Wing loss for robust facial landmark localisation", 2018.
    """
    size = jnp.abs(error)
    curved = WING_WIDTH * jnp.log1p(size / WING_CURVATURE)
    return jnp.where(
        size < WING_WIDTH,
        curved,
        size - WING_WIDTH + WING_WIDTH * jnp.log1p(WING_WIDTH / WING_CURVATURE),
    )


def mean_of_known(error: Float[Array, "*n"], known: Array) -> Float[Array, ""]:
    """Mean of `error` where the truth is known; 0 where none is."""
    return jnp.sum(jnp.where(known, error, 0.0)) / jnp.maximum(
        jnp.sum(known, dtype=jnp.float32), 1.0
    )


def guidance_error(
    keypoints: Float[Array, "n k 3"],
    landmarks: Float[Array, "n l 2"],
    guided: tuple[tuple[int, int], ...],
) -> Float[Array, ""]:
    """Wing loss of guided keypoints from their landmarks, x and y."""
    points, targets = (jnp.array(column) for column in zip(*guided, strict=True))
    truth = landmarks[:, targets]
    known = jnp.isfinite(truth)
    return mean_of_known(
        wing(keypoints[:, points, :2] - jnp.where(known, truth, 0.0)), known
    )


def gap_error(
    keypoints: Float[Array, "n k 3"],
    landmarks: Float[Array, "n l 2"],
    guided: tuple[tuple[int, int], ...],
    gaps: tuple[tuple[int, int], ...],
) -> Float[Array, ""]:
    """Mean absolute error of the way from one guided keypoint to another, x and y.

    The wing counts large errors little, and most of what moves a keypoint moves its
    neighbour as well: lips that hardly part would be near enough to their landmarks.

    Args:
      gaps: pairs of guided keypoints.
    """
    place = dict(guided)
    one, other = (jnp.array(column) for column in zip(*gaps, strict=True))
    first, second = (
        jnp.array([place[point] for point in column])
        for column in zip(*gaps, strict=True)
    )
    truth = landmarks[:, second] - landmarks[:, first]
    known = jnp.isfinite(truth)
    found = (keypoints[:, other] - keypoints[:, one])[..., :2]
    return mean_of_known(jnp.abs(found - jnp.where(known, truth, 0.0)), known)


def correspondence_error(
    deformation: Float[Array, "n d h w 3"],
    source: Float[Array, "n l 2"],
    driving: Float[Array, "n l 2"],
    weight: Float[Array, " l"],
    folds: Sequence[tuple[int, int]] = (),
) -> Float[Array, ""]:
    """Wing loss of where a deformation takes landmarks of the driving frame from,
    averaged over its planes, x and y.

    Args:
      source, driving: landmarks in [-1, 1]; NaN where unknown. Those outside the
        driving frame do not count.
      weight: what each landmark counts.
      folds: pairs of landmarks that meet; each is asked for on its own side of where
        they do (`beside_folds`).
    """
    grid = coordinate_grid(*deformation.shape[1:4])
    shift = jnp.mean((deformation - grid[None])[..., :2], axis=1)
    known = jnp.all(
        jnp.isfinite(source) & (jnp.abs(driving) <= 1), axis=-1, keepdims=True
    )
    asked = beside_folds(source, driving, folds, 2 / (min(shift.shape[1:3]) - 1))
    place, wanted = (
        jnp.where(known, asked, 0.0),
        jnp.where(known, source - driving, 0.0),
    )
    x, y = (
        tent_weights(place[..., axis], length)
        for axis, length in enumerate((shift.shape[2], shift.shape[1]))
    )
    found = jnp.einsum("nhwc,nlh,nlw->nlc", shift, y, x)
    counts = jnp.broadcast_to(
        jnp.where(known, weight[None, :, None], 0.0), wanted.shape
    )
    return jnp.sum(counts * wing(found - wanted)) / jnp.maximum(jnp.sum(counts), 1.0)


def beside_folds(
    source: Float[Array, "n l 2"],
    driving: Float[Array, "n l 2"],
    folds: Sequence[tuple[int, int]],
    cell: float,
) -> Float[Array, "n l 2"]:
    """The driving landmarks, those of `folds` apart from each other by two cells of the
    grid at least.

    Where lids or lips meet, the picture takes one side of the line from one landmark
    and the other from the other, and between neighbouring cells there is no room for
    both: asked for at the same place, they would be taken from the middle of what is to
    vanish. They part along the line between them in both frames together.
    """
    if not folds:
        return driving
    one, other = (jnp.array(column) for column in zip(*folds, strict=True))
    apart = driving[:, one] - driving[:, other]
    along = apart + source[:, one] - source[:, other]
    length = jnp.linalg.norm(along, axis=-1, keepdims=True)
    missing = nnx.relu(2 * cell - jnp.linalg.norm(apart, axis=-1, keepdims=True))
    push = jnp.nan_to_num(
        missing / 2 * along / jnp.maximum(length, 1e-6)
    )  # of a pair that is not known
    return driving.at[:, one].add(push).at[:, other].add(-push)


def tent_weights(
    positions: Float[Array, "n l"], length: int
) -> Float[Array, "n l length"]:
    """What each of `length` points of the grid counts in a linear interpolation at
    `positions`."""
    distance = jnp.abs(positions[..., None] - axis_positions(length)[None, None])
    return nnx.relu(1 - distance * ((length - 1) / 2))


def pose_error(
    pose: Float[Array, "n 3"], truth: Float[Array, "n 3"]
) -> Float[Array, ""]:
    """Mean absolute error in degrees, where the pose is known."""
    known = jnp.isfinite(truth)
    return mean_of_known(jnp.abs(pose - jnp.where(known, truth, 0.0)), known)


def crowding(
    keypoints: Float[Array, "n k 3"], guided: Sequence[int] = ()
) -> Float[Array, ""]:
    """By how much pairs of keypoints are nearer than the least distance, squared,
    summed over the pairs of a face.

    Args:
      guided: keypoints whose places are given; two of them may be as near as closed
        lips.
    """
    gap = jnp.square(keypoints[:, :, None] - keypoints[:, None]).sum(axis=-1)
    held = jnp.zeros(keypoints.shape[1]).at[jnp.array(guided, int)].set(1.0)
    counts = (1 - jnp.eye(keypoints.shape[1])) * (1 - jnp.outer(held, held))
    return (
        (jnp.maximum(0.0, LEAST_DISTANCE**2 - gap) * counts[None])
        .sum(axis=(1, 2))
        .mean()
    )


def marks(points: Float[Array, "n k 2"], size: int) -> Float[Array, "n size size 1"]:
    """A picture of points, each a spot of about two pixels: 1 in its middle; unknown
    ones (NaN) are left out."""
    return jnp.minimum(spots(points, 2 / size, size), 1.0)


def discriminator_hinge(
    true: Float[Array, "n h w 1"], made: Float[Array, "n h w 1"]
) -> Float[Array, ""]:
    """True patches are to score above 1, made ones below -1."""
    return jnp.mean(nnx.relu(1 - true)) + jnp.mean(nnx.relu(1 + made))


def feature_distance(made: list[Array], true: list[Array]) -> Float[Array, ""]:
    """Mean absolute difference of the discriminator's feature maps, averaged over its
    layers."""
    return sum(
        (
            jnp.mean(jnp.abs(a - b), dtype=jnp.float32)
            for a, b in zip(made, true, strict=True)
        ),
        jnp.zeros(()),
    ) / len(made)
