"""The losses of renderer training, each a mean over the samples.

Source: Wang et al., "One-shot free-view neural talking-head synthesis", 2021; Guo et
al., "LivePortrait", 2024 (the landmark guidance); Lim and Ye, "Geometric GAN", 2017
(the hinge).
"""

from collections.abc import Callable, Sequence

import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float

from jaxportrait.ops.grid import axis_positions, coordinate_grid
from jaxportrait.ops.resize import mean_pool

LEAST_DISTANCE = 0.1
"""Distance between keypoints, in half sides of the picture."""
FOCUS_RADIUS = 0.05
WING_WIDTH = 0.1
"""Error at which the wing loss becomes straight; in half sides of the picture."""
WING_CURVATURE = 0.02
FAR_OUTSIDE = 9.0
"""A position so far outside the picture that its spot is 0 everywhere."""

Pairs = Sequence[tuple[int, int]]


def pyramid_error(
    image: Float[Array, "n h w 3"],
    target: Float[Array, "n h w 3"],
    weight: Float[Array, "n h w 1"],
    scales: int,
) -> Float[Array, ""]:
    """Return the mean absolute error, averaged over `scales` pictures, each half as
    fine as the one before."""
    total = jnp.zeros(())
    for scale in range(scales):
        if scale:
            image, target, weight = map(mean_pool, (image, target, weight))
        # Weights are relative, so that a focus does not change the loss's scale.
        error = jnp.mean(weight * jnp.abs(image - target))
        total += error / jnp.mean(weight)
    return total / scales


def perceptual_error(
    network: Callable[[Array], list[Array]],
    image: Float[Array, "n h w 3"],
    target: Float[Array, "n h w 3"],
    scales: int,
) -> Float[Array, ""]:
    """Return the mean absolute difference of a network's feature maps, summed over its
    maps and over `scales` pictures.

    Each picture is half as fine as the one before. No gradient reaches `target`.

    Args:
      network: picture -> feature maps.
      image: made pictures.
      target: true pictures.
      scales: number of pictures.

    Source: Johnson et al., "Perceptual losses for real-time style transfer and
    super-resolution", 2016; in this form Siarohin et al., "First order motion model",
    2019, where it weighs 10.
    """
    total = jnp.zeros(())
    for scale in range(scales):
        if scale:
            image, target = mean_pool(image), mean_pool(target)
        maps = network(image)
        target_maps = lax.stop_gradient(network(target))
        distances = [
            jnp.mean(jnp.abs(a - b), dtype=jnp.float32)
            for a, b in zip(maps, target_maps, strict=True)
        ]
        total += sum(distances, jnp.zeros(()))
    return total


def focus_map(
    landmarks: Float[Array, "n p 2"], focus: float, size: int
) -> Float[Array, "n size size 1"]:
    """Return the weight of each pixel: 1, and up to `1 + focus` at landmarks; unknown
    ones (NaN) add nothing."""
    return 1 + focus * jnp.minimum(spots(landmarks, FOCUS_RADIUS, size), 1.0)


def spots(
    points: Float[Array, "n p 2"], radius: float, size: int
) -> Float[Array, "n size size 1"]:
    """Return the sum of a Gaussian at each of `points`, 1 at its centre; unknown ones
    (NaN) add nothing."""
    n, count, _ = points.shape
    finite = jnp.where(jnp.isfinite(points), points, FAR_OUTSIDE)
    # A Gaussian of two axes is the product of one for each axis.
    places = finite.transpose(0, 2, 1).reshape(2 * n, 1, count)
    square = (axis_positions(size)[None, :, None] - places) ** 2
    bumps = jnp.exp(-0.5 / radius**2 * square).reshape(n, 2, size, count)
    return jnp.einsum("nxp,nyp->nyx", bumps[:, 0], bumps[:, 1])[..., None]


def wing(error: Float[Array, "*n"]) -> Float[Array, "*n"]:
    """Return a loss that is steep near zero and straight beyond `WING_WIDTH`.

    Source: Feng et al., "Wing loss for robust facial landmark localisation", 2018.
    """
    size = jnp.abs(error)
    curved = WING_WIDTH * jnp.log1p(size / WING_CURVATURE)
    corner = WING_WIDTH * jnp.log1p(WING_WIDTH / WING_CURVATURE)
    straight = size - WING_WIDTH + corner
    return jnp.where(size < WING_WIDTH, curved, straight)


def mean_where(error: Float[Array, "*n"], mask: Array) -> Float[Array, ""]:
    """Return the mean of `error` where the mask is true; 0 where it is nowhere."""
    count = jnp.sum(mask, dtype=jnp.float32)
    return jnp.sum(jnp.where(mask, error, 0.0)) / jnp.maximum(count, 1.0)


def known_part(
    truth: Float[Array, "*n"],
) -> tuple[Float[Array, "*n"], Bool[Array, "*n"]]:
    """Return the truth with 0 in place of NaN, and a mask of the values that are known.

    A NaN that is only masked later would still make gradients NaN.
    """
    mask = jnp.isfinite(truth)
    return jnp.where(mask, truth, 0.0), mask


def guidance_error(
    keypoints: Float[Array, "n k 3"],
    landmarks: Float[Array, "n l 2"],
    guided: Pairs,
) -> Float[Array, ""]:
    """Return the wing loss of guided keypoints from their landmarks, x and y."""
    points, targets = columns(guided)
    truth, mask = known_part(landmarks[:, targets])
    return mean_where(wing(keypoints[:, points, :2] - truth), mask)


def gap_error(
    keypoints: Float[Array, "n k 3"],
    landmarks: Float[Array, "n l 2"],
    guided: Pairs,
    gaps: Pairs,
) -> Float[Array, ""]:
    """Return the mean absolute error of the way from one guided keypoint to another, x
    and y.

    The wing counts large errors little, and most causes that move a keypoint move its
    neighbour as well: lips that barely part would be near enough to their landmarks.

    Args:
      keypoints: keypoints of faces.
      landmarks: landmarks of the same faces; NaN where unknown.
      guided: pairs of a keypoint and its landmark.
      gaps: pairs of guided keypoints.
    """
    # The gap of landmarks that belongs to each gap of keypoints.
    landmark = dict(guided)
    one, other = columns(gaps)
    first, second = columns([(landmark[a], landmark[b]) for a, b in gaps])
    truth, mask = known_part(landmarks[:, second] - landmarks[:, first])
    way = (keypoints[:, other] - keypoints[:, one])[..., :2]
    return mean_where(jnp.abs(way - truth), mask)


def columns(pairs: Pairs) -> tuple[Array, Array]:
    """Return the first and the second numbers of pairs."""
    first, second = zip(*pairs, strict=True)
    return jnp.array(first), jnp.array(second)


def correspondence_error(
    deformation: Float[Array, "n d h w 3"],
    source: Float[Array, "n l 2"],
    driving: Float[Array, "n l 2"],
    weight: Float[Array, " l"],
    folds: Pairs = (),
) -> Float[Array, ""]:
    """Return the wing loss of the places from which a deformation takes landmarks of
    the driving frame, averaged over its planes, x and y.

    Args:
      deformation: positions in the source, by position in the driving frame.
      source: landmarks of the source in [-1, 1]; NaN where unknown.
      driving: landmarks of the driving frame; those outside of it do not count.
      weight: weight of each landmark.
      folds: pairs of landmarks that meet; each is read on its own side of the line
        between them (`beside_folds`).
    """
    grid = coordinate_grid(*deformation.shape[1:4])
    # The planes' mean shift, (n, h, w, 2).
    shift = jnp.mean((deformation - grid[None])[..., :2], axis=1)
    height, width = shift.shape[1:3]
    mask = seen_in_both(source, driving)
    cell = 2 / (min(height, width) - 1)
    place = jnp.where(mask, beside_folds(source, driving, folds, cell), 0.0)
    truth = jnp.where(mask, source - driving, 0.0)
    # A bilinear sample is the product of two tents.
    x = tent_weights(place[..., 0], width)
    y = tent_weights(place[..., 1], height)
    sampled = jnp.einsum("nhwc,nlh,nlw->nlc", shift, y, x)
    weights = jnp.where(mask, weight[None, :, None], 0.0)
    weights = jnp.broadcast_to(weights, truth.shape)
    total = jnp.sum(weights * wing(sampled - truth))
    return total / jnp.maximum(jnp.sum(weights), 1.0)


def seen_in_both(
    source: Float[Array, "n l 2"], driving: Float[Array, "n l 2"]
) -> Bool[Array, "n l 1"]:
    """Return where a landmark is known in the source and lies inside the driving
    frame."""
    # No comparison with NaN is true.
    inside = jnp.abs(driving) <= 1
    return jnp.all(jnp.isfinite(source) & inside, axis=-1, keepdims=True)


def beside_folds(
    source: Float[Array, "n l 2"],
    driving: Float[Array, "n l 2"],
    folds: Pairs,
    cell: float,
) -> Float[Array, "n l 2"]:
    """Return the driving landmarks, with at least two cells of the grid between both of
    a fold.

    Where lids or lips meet, the picture takes one side of the line from one landmark
    and the other side from the other, and between neighbouring cells there is no room
    for both: at one common place, they would be taken from the middle of the part that
    vanishes. They are moved apart along the line between them in both frames together.

    Args:
      source: landmarks of the source.
      driving: landmarks of the driving frame.
      folds: pairs of landmarks.
      cell: side of a cell.
    """
    if not folds:
        return driving
    one, other = columns(folds)
    way = driving[:, one] - driving[:, other]
    line = way + source[:, one] - source[:, other]
    length = jnp.linalg.norm(line, axis=-1, keepdims=True)
    missing = nnx.relu(2 * cell - jnp.linalg.norm(way, axis=-1, keepdims=True))
    push = missing / 2 * line / jnp.maximum(length, 1e-6)
    # A pair that is not known stays.
    push = jnp.nan_to_num(push)
    return driving.at[:, one].add(push).at[:, other].add(-push)


def tent_weights(
    positions: Float[Array, "n l"], length: int
) -> Float[Array, "n l length"]:
    """Return the weight of each of `length` grid points in a linear interpolation at
    `positions`."""
    distance = jnp.abs(positions[..., None] - axis_positions(length)[None, None])
    cells = distance * ((length - 1) / 2)
    return nnx.relu(1 - cells)


def pose_error(
    pose: Float[Array, "n 3"], truth: Float[Array, "n 3"]
) -> Float[Array, ""]:
    """Return the mean absolute error in degrees, where the pose is known."""
    truth, mask = known_part(truth)
    return mean_where(jnp.abs(pose - truth), mask)


def crowding(
    keypoints: Float[Array, "n k 3"], guided: Sequence[int] = ()
) -> Float[Array, ""]:
    """Return the squared distances that pairs of keypoints lack from the least
    distance, summed over the pairs of a face.

    Args:
      keypoints: keypoints of faces.
      guided: keypoints that landmarks guide; two of them may be as near as closed lips.
    """
    count = keypoints.shape[1]
    way = keypoints[:, :, None] - keypoints[:, None]
    square = jnp.square(way).sum(axis=-1)
    # Squares need no root, which has no gradient at 0.
    lack = jnp.maximum(0.0, LEAST_DISTANCE**2 - square)
    # Neither a keypoint with itself nor two guided ones.
    is_guided = jnp.zeros(count).at[jnp.array(guided, int)].set(1.0)
    weights = (1 - jnp.eye(count)) * (1 - jnp.outer(is_guided, is_guided))
    return (lack * weights[None]).sum(axis=(1, 2)).mean()


def marks(points: Float[Array, "n k 2"], size: int) -> Float[Array, "n size size 1"]:
    """Draw points, each a spot of about two pixels, 1 at its centre; unknown ones (NaN)
    are left out."""
    return jnp.minimum(spots(points, 2 / size, size), 1.0)


def discriminator_hinge(
    target: Float[Array, "n h w 1"], image: Float[Array, "n h w 1"]
) -> Float[Array, ""]:
    """Return the loss of scores: patches of true pictures are to score above 1, those
    of made ones below -1."""
    return jnp.mean(nnx.relu(1 - target)) + jnp.mean(nnx.relu(1 + image))


def feature_distance(image: list[Array], target: list[Array]) -> Float[Array, ""]:
    """Return the mean absolute difference of the discriminator's feature maps, averaged
    over its layers."""
    distances = [
        jnp.mean(jnp.abs(a - b), dtype=jnp.float32)
        for a, b in zip(image, target, strict=True)
    ]
    return sum(distances, jnp.zeros(())) / len(distances)
