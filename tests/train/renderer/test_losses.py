"""The losses, warps and discriminator of renderer training, on figures known by
hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from jaxportrait.models.blocks import SpectralConv
from jaxportrait.ops.grid import coordinate_grid
from train.engine.config import ConfigError
from train.renderer.config import DiscriminatorConfig, LossWeights, RendererConfig
from train.renderer.losses import (
    LEAST_DISTANCE,
    WING_WIDTH,
    beside_folds,
    correspondence_error,
    crowding,
    discriminator_hinge,
    focus_map,
    gap_error,
    guidance_error,
    pose_error,
    pyramid_error,
    wing,
)
from train.renderer.networks import Discriminator
from train.renderer.terms import adversarial_terms
from train.renderer.transform import Warp, draw_warp, warp_images, warp_points


def straight(**affine: float) -> Warp:
    """Return a warp without bends; keywords such as `xx` are the entries of its affine
    map that differ from the identity."""
    matrix = np.eye(2, 3, dtype=np.float32)
    for name, value in affine.items():
        row, column = "xy".index(name[0]), "xy1".index(name[1])
        matrix[row, column] = value
    return Warp(jnp.asarray(matrix)[None], jnp.zeros((1, 25, 2)))


def wing_of(error: float) -> float:
    """Return the wing loss of one number."""
    return float(wing(jnp.array(error)))


def test_a_pyramid_weighs_pixels_and_counts_every_scale():
    """One pixel of 16 is wrong, in the half that weighs three times the other."""
    target = jnp.zeros((1, 4, 4, 3))
    image = target.at[:, 0, 0].set(1.0)
    weight = jnp.ones((1, 4, 4, 1))
    weight = weight.at[:, :2].set(3.0)
    # The weighted pixel, over the mean weight of 2.
    finest = 3 * 1 / 16 / 2
    coarser = 3 * 0.25 / 4 / 2
    error = pyramid_error(image, target, weight, 2)
    np.testing.assert_allclose(error, (finest + coarser) / 2, rtol=1e-6)


def test_focus_lies_on_known_landmarks():
    """The known landmark is the lower left corner of the picture."""
    unknown = [jnp.nan, jnp.nan]
    landmarks = jnp.array([[[-1.0, 1.0], unknown]])
    weight = focus_map(landmarks, 4.0, 21)[0, :, :, 0]
    assert weight[20, 0] == pytest.approx(5.0)
    assert weight[0, 20] == pytest.approx(1.0)
    assert np.isfinite(np.asarray(weight)).all()


def test_a_wing_is_smooth_where_it_straightens():
    """Its slope is 1 where it straightens; it is even, and 0 at 0."""
    step = 1e-4
    before = wing_of(WING_WIDTH - step)
    after = wing_of(WING_WIDTH + step)
    rise = after - before
    assert rise == pytest.approx(2 * step, rel=0.2)
    assert wing_of(0.0) == 0
    assert wing_of(-0.3) == wing_of(0.3)


def test_unknown_landmarks_count_nothing_and_have_no_gradient():
    """Only landmark 1 of the first of two faces is known; keypoint 3 is off in x."""
    keypoints = jnp.zeros((2, 4, 3))
    keypoints = keypoints.at[0, 3, 0].set(0.5)
    landmarks = jnp.full((2, 3, 2), jnp.nan)
    landmarks = landmarks.at[0, 1].set(0.0)
    guided = ((3, 1), (0, 2))
    measure = jax.value_and_grad(guidance_error)
    error, gradient = measure(keypoints, landmarks, guided)
    # The mean over x and y.
    expected = (wing_of(0.5) + 0) / 2
    np.testing.assert_allclose(error, expected, rtol=1e-6)
    # The NaN of unknown landmarks does not reach the gradient.
    assert np.isfinite(np.asarray(gradient)).all()
    assert not gradient[1].any()


def test_an_unknown_pose_counts_nothing():
    """Errors of 2 and 1 degrees count; the angle between them is unknown."""
    pose = jnp.ones((1, 3))
    truth = jnp.array([[3.0, jnp.nan, 0.0]])
    unknown = jnp.full((1, 3), jnp.nan)
    assert pose_error(pose, truth) == pytest.approx(1.5)
    assert pose_error(pose, unknown) == 0


GUIDED = ((5, 1), (3, 0))
"""Keypoint and landmark."""
GAPS = ((3, 5),)


def test_gaps_are_between_guided_keypoints():
    """The way from keypoint 3 to 5 is 0.2 in x and y; its depth does not count."""
    landmarks = jnp.array(
        [
            [[0.0, 0.0], [0.1, 0.3]],
            [[0.0, 0.0], [jnp.nan, 0.0]],
        ]
    )
    keypoints = jnp.zeros((2, 6, 3))
    keypoints = keypoints.at[:, 3, :2].set(0.7)
    keypoints = keypoints.at[:, 5, :2].set(0.9)
    keypoints = keypoints.at[:, 5, 2].set(9.0)
    measure = jax.value_and_grad(gap_error)
    error, gradient = measure(keypoints, landmarks, GUIDED, GAPS)
    # x and y of the first face; of the second, only y is known.
    errors = [0.2 - 0.1, 0.3 - 0.2, 0.2]
    assert float(error) == pytest.approx(np.mean(errors), rel=1e-5)
    assert np.isfinite(np.asarray(gradient)).all()


def test_gaps_are_known_by_their_landmarks():
    config = RendererConfig(guided=GUIDED, gaps=GAPS)
    assert config.guided_gaps == ((0, 1),)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"guided": GUIDED, "gaps": ((3, 4),)},
            "gaps names keypoint 4, which guided does not",
        ),
        (
            {"guided": GUIDED, "losses": LossWeights(gaps=1.0)},
            r"losses\.gaps is 1\.0, between pairs of keypoints, and gaps names none",
        ),
        (
            {"contrast": 0.5},
            r"contrast is 0\.5, by how gaps differ, and gaps names none",
        ),
    ],
)
def test_gaps_and_contrast_that_cannot_be_used_are_named(options: dict, message: str):
    with pytest.raises(ConfigError, match=message):
        RendererConfig(**options)


# Two faces of equal landmarks, on volumes of 2 planes, 5 rows and 9 columns.
GRID = jnp.broadcast_to(
    coordinate_grid(2, 5, 9)[None],
    (2, 2, 5, 9, 3),
)
SHIFT = jnp.array([0.2, -0.1])
# The third landmark is outside the picture; the source of the fourth is not known.
LANDMARKS = jnp.array(
    [
        [0.1, -0.3],
        [0.9, 0.2],
        [1.2, 0.0],
        [0.0, 0.0],
    ]
)
DRIVING = jnp.stack([LANDMARKS, LANDMARKS])
SOURCE = DRIVING + SHIFT[None, None]
SOURCE = SOURCE.at[:, 3].set(jnp.nan)


def shifted_grid() -> jax.Array:
    """Return a deformation by `SHIFT` in x and y, and another in depth."""
    shift = jnp.append(SHIFT, 0.7)
    return GRID + shift[None, None, None, None]


def test_correspondence_is_zero_where_landmarks_come_from_their_places():
    weight = jnp.ones(4)
    deformation = shifted_grid()
    error = correspondence_error(deformation, SOURCE, DRIVING, weight)
    assert float(error) == pytest.approx(0, abs=1e-5)
    # Without a deformation, every landmark that counts is off by the shift.
    still = correspondence_error(GRID, SOURCE, DRIVING, weight)
    expected = (wing_of(0.2) + wing_of(0.1)) / 2
    assert float(still) == pytest.approx(expected, rel=1e-5)
    gradient_of = jax.grad(correspondence_error)
    gradient = gradient_of(GRID, SOURCE, DRIVING, weight)
    assert np.isfinite(np.asarray(gradient)).all()


def test_correspondence_interpolates_between_cells():
    # Bent from the middle to the right: half a cell left of it is half bent.
    bent = shifted_grid().at[:, :, :, 4:].add(0.3)
    driving = jnp.full((2, 1, 2), 0.0)
    driving = driving.at[:, :, 0].set(-0.125)
    bend = jnp.array([0.35, 0.05])
    source = driving + bend[None, None]
    error = correspondence_error(bent, source, driving, jnp.ones(1))
    assert float(error) == pytest.approx(0, abs=1e-5)


def test_correspondence_weighs_landmarks():
    # Of four landmarks two count, of which one is wrong and weighs three times the
    # other.
    source = DRIVING.at[:, 1].add(0.3)
    weight = jnp.array([1.0, 3.0, 1.0, 0.0])
    error = correspondence_error(GRID, source, DRIVING, weight)
    assert float(error) == pytest.approx(0.75 * wing_of(0.3), rel=1e-5)


def test_crowding_counts_near_keypoints():
    """A pair counts twice, once for each of its keypoints."""
    near = jnp.zeros((1, 2, 3))
    far = near.at[0, 1, 0].set(2 * LEAST_DISTANCE)
    expected = 2 * LEAST_DISTANCE**2
    np.testing.assert_allclose(crowding(near), expected, rtol=1e-6)
    assert crowding(far) == 0


def test_guided_keypoints_may_touch():
    """Keypoints 0 and 1 touch, as closed lips do."""
    near = jnp.zeros((1, 3, 3))
    near = near.at[0, 2, 0].set(2 * LEAST_DISTANCE)
    assert crowding(near, guided=[0, 1]) == 0
    # One guided keypoint is not enough.
    crowd = crowding(near, guided=[0])
    expected = 2 * LEAST_DISTANCE**2
    np.testing.assert_allclose(crowd, expected, rtol=1e-6)


def test_the_hinge_is_content_beyond_one():
    def scores(value: float) -> jax.Array:
        return jnp.full((1, 2, 2, 1), value)

    assert discriminator_hinge(scores(1.5), scores(-1.5)) == 0
    assert discriminator_hinge(scores(0.0), scores(0.0)) == 2


def test_a_picture_and_its_points_are_warped_alike():
    spot = jnp.zeros((1, 33, 33, 1))
    spot = spot.at[0, 16, 24].set(1.0)  # at (0.5, 0)
    warp = straight(x1=0.25, y1=-0.125)
    warped = warp_images(warp, spot)[0, :, :, 0]
    # The brightest pixel, as a position in [-1, 1].
    brightest = int(jnp.argmax(warped))
    row, column = np.unravel_index(brightest, warped.shape)
    x, y = column / 16 - 1, row / 16 - 1
    position = jnp.array([[[x, y]]], jnp.float32)
    origin = warp_points(warp, position)
    np.testing.assert_allclose(origin, [[[0.5, 0.0]]], atol=1e-6)


def test_the_identity_leaves_a_picture_as_it_is():
    spot = jnp.zeros((1, 33, 33, 1))
    spot = spot.at[0, 16, 24].set(1.0)
    same = warp_images(straight(), spot)
    np.testing.assert_allclose(same, spot, atol=1e-5)


def test_drawn_warps_are_small_bends():
    keys = jax.random.split(jax.random.key(0), 100)
    warp = jax.vmap(draw_warp)(keys)
    points = jax.random.uniform(
        jax.random.key(1),
        (100, 9, 2),
        minval=-1,
        maxval=1,
    )
    shift = warp_points(warp, points) - points
    assert 0.02 < np.abs(np.asarray(shift)).mean() < 0.2


def test_the_spectral_norm_converges_only_in_training():
    """The estimate becomes the largest singular value of the kernel's matrix."""
    layer = SpectralConv(3, 4, (3, 3), rngs=nnx.Rngs(0))
    x = jnp.ones((1, 4, 4, 3))
    before = np.asarray(layer.u[...])
    layer(x)
    np.testing.assert_array_equal(layer.u[...], before)
    layer.train()
    for _ in range(30):
        layer(x)
    matrix = np.asarray(layer.conv.kernel[...]).reshape(-1, 4)
    singular_values = np.linalg.svd(matrix, compute_uv=False)
    np.testing.assert_allclose(layer.spectral_norm(), singular_values[0], rtol=1e-3)


@pytest.mark.parametrize(
    ("name", "teaches_discriminator"),
    [("hinge", True), ("adversarial", False), ("feature_matching", False)],
)
def test_each_term_teaches_either_the_discriminator_or_the_picture(
    name: str, teaches_discriminator: bool
):
    config = DiscriminatorConfig(channels=4, max_channels=4, layers=1)
    discriminator = Discriminator(config, rngs=nnx.Rngs(0))
    graph, state = nnx.split(discriminator)
    pictures = jax.random.uniform(jax.random.key(0), (2, 1, 8, 8, 3))
    image, target = pictures

    def term(state: nnx.State, image: jax.Array) -> jax.Array:
        network = nnx.merge(graph, state)
        terms = adversarial_terms(network, image, target)
        return terms[name]

    gradient = jax.grad(term, argnums=(0, 1), allow_int=True)
    to_state, to_image = gradient(state, image)
    # Kernels, without the vectors of the spectral norm.
    leaves = jax.tree.leaves(to_state)
    kernels = [leaf for leaf in leaves if leaf.ndim == 4]
    reaches_kernels = any(bool(kernel.any()) for kernel in kernels)
    assert reaches_kernels == teaches_discriminator
    assert bool(to_image.any()) != teaches_discriminator


# Landmarks above and below an opening, and one that is elsewhere.
OPEN = jnp.array(
    [
        [
            [0.0, -0.5],
            [0.0, 0.5],
            [0.4, 0.4],
        ]
    ]
)
SHUT = jnp.array(
    [
        [
            [0.0, 0.3],
            [0.0, 0.3],
            [0.4, 0.4],
        ]
    ]
)


def test_landmarks_that_meet_are_read_on_their_own_sides():
    apart = beside_folds(OPEN, SHUT, [(0, 1)], 0.1)
    expected = [[[0.0, 0.2], [0.0, 0.4], [0.4, 0.4]]]
    np.testing.assert_allclose(apart, expected, atol=1e-6)
    # Open ones are far enough apart.
    np.testing.assert_array_equal(beside_folds(OPEN, OPEN, [(0, 1)], 0.1), OPEN)
    np.testing.assert_array_equal(beside_folds(OPEN, SHUT, [], 0.1), SHUT)
    # The partner of an unknown landmark stays.
    unknown = SHUT.at[0, 1].set(jnp.nan)
    partner = beside_folds(OPEN, unknown, [(0, 1)], 0.1)[0, 0]
    np.testing.assert_array_equal(partner, SHUT[0, 0])


def test_a_fold_gives_each_side_its_place():
    grid = np.asarray(coordinate_grid(1, 21, 21))[None]
    # The picture is taken from above the fold at y = 0.3, and from below it.
    above = np.float32([0.0, -0.8, 0.0])
    below = np.float32([0.0, 0.2, 0.0])
    shift = np.where(grid[..., 1:2] < 0.3, above, below)
    folded = jnp.asarray(grid + shift)
    weight = jnp.array([1.0, 1.0, 0.0])
    with_fold = correspondence_error(folded, OPEN, SHUT, weight, [(0, 1)])
    assert with_fold < 1e-4
    # Without the fold both are read at one place.
    without = correspondence_error(folded, OPEN, SHUT, weight, [])
    assert without > 0.2
