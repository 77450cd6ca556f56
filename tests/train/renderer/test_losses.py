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
from train.renderer.step import adversarial_terms
from train.renderer.transform import Warp, draw_warp, warp_images, warp_points


def straight(**affine: float) -> Warp:
    """A warp without bends; entries of its affine map that differ from the identity by
    name, such as `xx`."""
    matrix = np.eye(2, 3, dtype=np.float32)
    for name, value in affine.items():
        matrix["xy".index(name[0]), "xy1".index(name[1])] = value
    return Warp(jnp.asarray(matrix)[None], jnp.zeros((1, 25, 2)))


def test_a_pyramid_weighs_pixels_and_counts_every_scale():
    true, weight = jnp.zeros((1, 4, 4, 3)), jnp.ones((1, 4, 4, 1)).at[:, :2].set(3.0)
    made = true.at[:, 0, 0].set(1.0)
    finest = 3 * 1 / 16 / 2  # the weighted pixel, over the mean weight
    coarser = 3 * 0.25 / 4 / 2
    np.testing.assert_allclose(
        pyramid_error(made, true, weight, 2), (finest + coarser) / 2, rtol=1e-6
    )


def test_focus_lies_on_known_landmarks():
    landmarks = jnp.array([[[-1.0, 1.0], [jnp.nan, jnp.nan]]])
    weight = focus_map(landmarks, 4.0, 21)[0, :, :, 0]
    assert weight[20, 0] == pytest.approx(5.0)
    assert weight[0, 20] == pytest.approx(1.0)
    assert np.isfinite(np.asarray(weight)).all()


def test_a_wing_is_smooth_where_it_straightens():
    just, step = WING_WIDTH, 1e-4
    assert float(
        wing(jnp.array(just + step)) - wing(jnp.array(just - step))
    ) == pytest.approx(2 * step, rel=0.2)
    assert wing(jnp.array(0.0)) == 0
    assert wing(jnp.array(-0.3)) == wing(jnp.array(0.3))


def test_what_is_unknown_counts_nothing_and_has_no_gradient():
    keypoints = jnp.zeros((2, 4, 3)).at[0, 3, 0].set(0.5)
    landmarks = jnp.full((2, 3, 2), jnp.nan).at[0, 1].set(0.0)
    guided = ((3, 1), (0, 2))
    error, gradient = jax.value_and_grad(guidance_error)(keypoints, landmarks, guided)
    np.testing.assert_allclose(error, (wing(jnp.array(0.5)) + 0) / 2, rtol=1e-6)
    assert np.isfinite(np.asarray(gradient)).all()
    assert not gradient[1].any()
    assert pose_error(
        jnp.ones((1, 3)), jnp.array([[3.0, jnp.nan, 0.0]])
    ) == pytest.approx(1.5)
    assert pose_error(jnp.ones((1, 3)), jnp.full((1, 3), jnp.nan)) == 0


def test_gaps_are_between_guided_keypoints():
    guided, gaps = ((5, 1), (3, 0)), ((3, 5),)
    landmarks = jnp.array([[[0.0, 0.0], [0.1, 0.3]], [[0.0, 0.0], [jnp.nan, 0.0]]])
    keypoints = (
        jnp.zeros((2, 6, 3))
        .at[:, 3, :2]
        .set(0.7)
        .at[:, 5, :2]
        .set(0.9)
        .at[:, 5, 2]
        .set(9.0)
    )
    error, gradient = jax.value_and_grad(gap_error)(keypoints, landmarks, guided, gaps)
    wrong = [
        0.2 - 0.1,
        0.3 - 0.2,
        0.2,
    ]  # x and y of the first; of the second, y is known
    assert float(error) == pytest.approx(np.mean(wrong), rel=1e-5)
    assert np.isfinite(np.asarray(gradient)).all()
    with pytest.raises(
        ConfigError, match="gaps names keypoint 4, which guided does not"
    ):
        RendererConfig(guided=guided, gaps=((3, 4),))
    with pytest.raises(
        ConfigError,
        match=r"losses\.gaps is 1\.0, between pairs of keypoints, and gaps names none",
    ):
        RendererConfig(guided=guided, losses=LossWeights(gaps=1.0))
    assert RendererConfig(guided=guided, gaps=gaps).guided_gaps == ((0, 1),)


def test_contrast_is_a_share_of_pairs_by_gaps():
    with pytest.raises(
        ConfigError, match=r"contrast is a share of the pairs, from 0 to 1, got 1\.5"
    ):
        RendererConfig(guided=((5, 1), (3, 0)), gaps=((3, 5),), contrast=1.5)
    with pytest.raises(
        ConfigError, match=r"contrast is 0\.5, by how gaps differ, and gaps names none"
    ):
        RendererConfig(contrast=0.5)


def test_correspondence_is_of_where_landmarks_come_from():
    grid = jnp.broadcast_to(coordinate_grid(2, 5, 9)[None], (2, 2, 5, 9, 3))
    driving = jnp.array([[[0.1, -0.3], [0.9, 0.2], [1.2, 0.0], [0.0, 0.0]]] * 2)
    source = (
        (driving + jnp.array([0.2, -0.1])[None, None]).at[:, 3].set(jnp.nan)
    )  # the third is outside
    straight = grid + jnp.array([0.2, -0.1, 0.7])[None, None, None, None]
    still, error = (
        correspondence_error(each, source, driving, jnp.ones(4))
        for each in (grid, straight)
    )
    assert float(error) == pytest.approx(0, abs=1e-5)
    assert float(still) == pytest.approx(
        float(wing(jnp.array([0.2, 0.1])).mean()), rel=1e-5
    )
    bent = straight.at[:, :, :, 4:].add(
        0.3
    )  # from the middle to the right: half a cell left of it is half bent
    one = jnp.array([[[-0.125, 0.0]]] * 2)
    found = correspondence_error(
        bent, one + jnp.array([0.35, 0.05])[None, None], one, jnp.ones(1)
    )
    assert float(found) == pytest.approx(0, abs=1e-5)
    off = driving.at[
        :, 1
    ].add(
        0.3
    )  # of four landmarks two count, of which one is wrong and weighs three times the other
    weighed = correspondence_error(grid, off, driving, jnp.array([1.0, 3.0, 1.0, 0.0]))
    assert float(weighed) == pytest.approx(0.75 * float(wing(jnp.array(0.3))), rel=1e-5)
    gradient = jax.grad(correspondence_error)(grid, source, driving, jnp.ones(4))
    assert np.isfinite(np.asarray(gradient)).all()


def test_crowding_is_of_near_keypoints():
    near, far = (
        jnp.zeros((1, 2, 3)),
        jnp.zeros((1, 2, 3)).at[0, 1, 0].set(2 * LEAST_DISTANCE),
    )
    np.testing.assert_allclose(crowding(near), 2 * LEAST_DISTANCE**2, rtol=1e-6)
    assert crowding(far) == 0


def test_guided_keypoints_may_touch():
    near = jnp.zeros((1, 3, 3)).at[0, 2, 0].set(2 * LEAST_DISTANCE)
    assert crowding(near, guided=[0, 1]) == 0
    np.testing.assert_allclose(
        crowding(near, guided=[0]), 2 * LEAST_DISTANCE**2, rtol=1e-6
    )


def test_the_hinge_is_content_beyond_one():
    assert (
        discriminator_hinge(jnp.full((1, 2, 2, 1), 1.5), jnp.full((1, 2, 2, 1), -1.5))
        == 0
    )
    assert discriminator_hinge(jnp.zeros((1, 2, 2, 1)), jnp.zeros((1, 2, 2, 1))) == 2


def test_a_picture_and_its_points_are_warped_alike():
    spot = jnp.zeros((1, 33, 33, 1)).at[0, 16, 24].set(1.0)  # at (0.5, 0)
    moved = warp_images(straight(x1=0.25, y1=-0.125), spot)[0, :, :, 0]
    row, column = np.unravel_index(int(jnp.argmax(moved)), moved.shape)
    seen = jnp.array([[[column / 16 - 1, row / 16 - 1]]], jnp.float32)
    np.testing.assert_allclose(
        warp_points(straight(x1=0.25, y1=-0.125), seen), [[[0.5, 0.0]]], atol=1e-6
    )
    np.testing.assert_allclose(warp_images(straight(), spot), spot, atol=1e-5)


def test_drawn_warps_are_small_bends():
    warp = jax.vmap(draw_warp)(jax.random.split(jax.random.key(0), 100))
    points = jax.random.uniform(jax.random.key(1), (100, 9, 2), minval=-1, maxval=1)
    shift = np.abs(np.asarray(warp_points(warp, points) - points))
    assert 0.02 < shift.mean() < 0.2


def test_the_spectral_norm_converges_in_training_alone():
    layer = SpectralConv(3, 4, (3, 3), rngs=nnx.Rngs(0))
    x, before = jnp.ones((1, 4, 4, 3)), np.asarray(layer.u[...])
    layer(x)
    np.testing.assert_array_equal(layer.u[...], before)
    layer.train()
    for _ in range(30):
        layer(x)
    largest = np.linalg.svd(
        np.asarray(layer.conv.kernel[...]).reshape(-1, 4), compute_uv=False
    )[0]
    np.testing.assert_allclose(layer.spectral_norm(), largest, rtol=1e-3)


def test_the_hinge_teaches_the_discriminator_and_its_opinion_the_picture():
    discriminator = Discriminator(DiscriminatorConfig(4, 4, 1), rngs=nnx.Rngs(0))
    graph, state = nnx.split(discriminator)
    made, true = jax.random.uniform(jax.random.key(0), (2, 1, 8, 8, 3))

    def term(name: str, state: nnx.State, made: jax.Array):
        return adversarial_terms(nnx.merge(graph, state), made, true)[name]

    for name, teaches_discriminator in (
        ("hinge", True),
        ("adversarial", False),
        ("feature_matching", False),
    ):
        to_state, to_made = jax.grad(
            lambda *args, name=name: term(name, *args),
            argnums=(0, 1),
            allow_int=True,
        )(state, made)
        kernels = [leaf for leaf in jax.tree.leaves(to_state) if leaf.ndim == 4]
        assert any(bool(kernel.any()) for kernel in kernels) == teaches_discriminator
        assert bool(to_made.any()) != teaches_discriminator


def test_landmarks_that_meet_are_asked_for_on_their_own_sides():
    source, shut = (
        jnp.array([[[0.0, -0.5], [0.0, 0.5], [0.4, 0.4]]]),
        jnp.array([[[0.0, 0.3], [0.0, 0.3], [0.4, 0.4]]]),
    )
    np.testing.assert_allclose(
        beside_folds(source, shut, [(0, 1)], 0.1),
        [[[0.0, 0.2], [0.0, 0.4], [0.4, 0.4]]],
        atol=1e-6,
    )
    np.testing.assert_array_equal(
        beside_folds(source, source, [(0, 1)], 0.1), source
    )  # far apart as they are
    np.testing.assert_array_equal(beside_folds(source, shut, [], 0.1), shut)
    unknown = shut.at[0, 1].set(jnp.nan)
    np.testing.assert_array_equal(
        beside_folds(source, unknown, [(0, 1)], 0.1)[0, 0], shut[0, 0]
    )

    grid = np.asarray(coordinate_grid(1, 21, 21))[None]
    folded = grid + np.where(
        grid[..., 1:2] < 0.3, np.float32([0.0, -0.8, 0.0]), np.float32([0.0, 0.2, 0.0])
    )
    apart, together = (
        correspondence_error(
            jnp.asarray(folded), source, shut, jnp.array([1.0, 1.0, 0.0]), folds
        )
        for folds in ([(0, 1)], [])
    )
    assert apart < 1e-4  # a fold gives each side what it asks for
    assert together > 0.2
