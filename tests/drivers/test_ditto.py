"""Ditto's driver over whole clips, on recipe files that were written and converted."""

import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from benchmarks.ditto_motion import seam_ratio
from convert_weights.bundle import convert_files, write
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from jaxportrait.checkpoint import (
    CheckpointError,
    Contents,
    DriverEntry,
    open_checkpoint,
)
from jaxportrait.drivers.ditto import DittoDriver, DittoDriverConfig
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import Audio
from jaxportrait.models.character import CharacterConfig
from jaxportrait.models.lmdm import LMDMConfig
from jaxportrait.ranges import OptionError
from tests.arrays import draw

RATE = 16_000
FEW = MotionSampling(steps=4)
HALF_BOUND = 0.03
"""Largest error in bfloat16, as a share of the largest value."""


@pytest.fixture(scope="module")
def checkpoint(golden, tmp_path_factory):
    folder = tmp_path_factory.mktemp("ditto")
    files = write_ditto(DittoRecipe(golden / "ditto"), "small", folder)
    write(convert_files({}, ditto=files), folder / "checkpoint")
    return open_checkpoint(folder / "checkpoint")


@pytest.fixture(scope="module")
def driver(checkpoint) -> DittoDriver:
    driver = load_driver(checkpoint, full_precision=True)
    assert isinstance(driver, DittoDriver)
    return driver.with_sampling(FEW)


def sound(samples: int, seed: int = 1) -> Audio:
    return Audio.from_samples(0.1 * draw(samples, seed=seed), RATE)


@pytest.mark.parametrize("samples", [1, 640, 641, 20_321])
def test_a_clip_is_as_long_as_its_sound(driver, samples):
    clip = driver.make(sound(samples), seed=0)
    assert len(clip) == -(-samples // 640)
    assert clip.fps == 25
    head = {"rotation", "translation", "scale", "logits"}
    assert set(clip.arrays()) == {"expression", *head}


def test_the_seed_decides_everything(driver):
    first = driver.make(sound(9_000), seed=3)
    again = driver.make(sound(9_000), seed=3)
    other = driver.make(sound(9_000), seed=4)
    np.testing.assert_array_equal(first.expression, again.expression)
    assert np.abs(first.expression - other.expression).max() > 1e-3


def test_motion_follows_the_sound(driver):
    one = driver.make(sound(20_000, seed=1), seed=0)
    other = driver.make(sound(20_000, seed=2), seed=0)
    assert np.abs(one.expression - other.expression).max() > 1e-3


def test_a_longer_clip_has_silence_after_the_sound(driver):
    clip = driver.make(sound(6_400), seed=0, frames=14)
    assert len(clip) == 14
    padded = np.concatenate([0.1 * draw(6_400, seed=1), np.zeros(4 * 640, np.float32)])
    silent = driver.make(Audio.from_samples(padded, RATE), seed=0)
    np.testing.assert_allclose(clip.expression, silent.expression, atol=1e-5)


def test_motion_stays_within_the_limits(checkpoint, driver):
    limits = checkpoint.leaves("character")["limits"]
    narrow = np.stack([np.full(265, -0.01), np.full(265, 0.01)]).astype(np.float32)
    limited = DittoDriver(**{**vars(driver), "limits": narrow})
    clip = limited.make(sound(6_400), seed=0)
    assert clip.expression is not None
    assert np.abs(clip.expression).max() <= 0.0101
    assert limits.shape == narrow.shape


def test_guidance_is_the_checkpoints_by_default(driver):
    assert driver.guidance == 2
    same = driver.with_sampling(MotionSampling(steps=4, cfg_scale=2.0))
    other = driver.with_sampling(MotionSampling(steps=4, cfg_scale=1.0))
    plain = driver.make(sound(6_400), seed=0)
    np.testing.assert_array_equal(same.make(sound(6_400), seed=0).scale, plain.scale)
    assert np.abs(other.make(sound(6_400), seed=0).scale - plain.scale).max() > 1e-4


def test_the_published_windows_are_a_choice(driver):
    # A window of the small network has 24 frames, and more than one is needed.
    published = driver.with_sampling(MotionSampling(steps=4, windows="original"))
    clip = published.make(sound(20_321), seed=0)
    fused = driver.make(sound(20_321), seed=0)
    assert len(clip) == len(fused) == 32
    assert np.abs(clip.expression - fused.expression).max() > 1e-3


def test_fused_windows_have_no_seams(driver):
    audio = sound(200 * 640)
    fused = driver.sample_fused(audio, 200, seed=0)
    # Windows of 24 frames start every 12, and the published ones every 14.
    assert seam_ratio(fused, range(12, 200, 12)) <= 1.2
    published = driver.sample_original(audio, seed=0)
    assert seam_ratio(published, range(14, 200, 14)) > 1.2


def test_half_precision_stays_near_float32(checkpoint, driver):
    reference = driver.sample_fused(sound(20_321), 32, seed=0)
    # Norms are computed in float32.
    with jax.numpy_dtype_promotion("standard"):
        half = load_driver(checkpoint, dtype=jnp.bfloat16)
        assert isinstance(half, DittoDriver)
        half = half.with_sampling(FEW)
        motion = half.sample_fused(sound(20_321), 32, seed=0)
    assert motion.dtype == np.float32
    error = np.abs(motion - reference).max()
    assert 1e-4 < error / np.abs(reference).max() <= HALF_BOUND


def test_other_windows_are_refused(driver):
    with pytest.raises(OptionError, match="which Ditto's network has not"):
        driver.with_sampling(MotionSampling(windows="independent"))


def test_a_clip_is_compiled_ahead(driver):
    driver.warm_up(32)
    driver.with_sampling(MotionSampling(steps=4, windows="original")).warm_up(32)


PARTS = {"lmdm": LMDMConfig.full(), "character": CharacterConfig()}


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        ({"character": CharacterConfig()}, "names the network lmdm"),
        ({"lmdm": LMDMConfig.full()}, "names the character character"),
        (PARTS | {"lmdm": LMDMConfig(70, 1103, 32, 48, 4, 2)}, "makes 70 values"),
        (PARTS | {"lmdm": LMDMConfig(265, 79, 32, 48, 4, 2)}, "reads 79 values"),
    ],
)
def test_parts_that_do_not_fit_are_refused(parts, message):
    drivers = {"ditto": DriverEntry(DittoDriverConfig())}
    Contents(parts=PARTS, drivers=drivers)
    with pytest.raises(CheckpointError, match=message):
        Contents(parts=parts, drivers=drivers)


def test_a_damaged_graph_is_found_on_opening(checkpoint, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(checkpoint.path, copy)
    graph = copy / "files" / "hubert.onnx"
    data = bytearray(graph.read_bytes())
    data[1000] ^= 1
    graph.write_bytes(bytes(data))
    with pytest.raises(CheckpointError, match=r"its file hubert\.onnx differs"):
        open_checkpoint(copy)
