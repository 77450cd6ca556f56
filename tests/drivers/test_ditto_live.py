"""Ditto's driver over live sound: any cutting makes the same frames, within the stated
look-ahead, and a head that does not drift."""

from dataclasses import replace

import jax
import numpy as np
import pytest

from benchmarks.ditto_motion import seam_ratio
from convert_weights.bundle import convert_files, write
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.ditto import DittoDriver
from jaxportrait.drivers.ditto_program import sample_live
from jaxportrait.drivers.ditto_published import PublishedLive
from jaxportrait.drivers.ditto_windows import PublishedStream, PublishedWindows
from jaxportrait.drivers.live import LiveWindowDriver, make_live
from jaxportrait.drivers.live_windows import Live
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.sampling import MotionSampling
from jaxportrait.media.audio import Audio
from jaxportrait.motion.binned import BINNED_ANGLES, degrees_of
from tests.arrays import draw
from tests.drivers import contract
from tests.drivers.dittos import drifter, echo, straight, turn, with_stand_in

RATE = 16_000
HOP = 3_200
"""Samples of the five frames of a live window."""
FEW = MotionSampling(steps=3)
PUBLISHED = MotionSampling(steps=3, windows="original")
TEN_MINUTES = 15_000
DRIFT = 0.05
"""Degrees by which a stand-in turns each window."""


@pytest.fixture(scope="module")
def driver(golden, tmp_path_factory) -> DittoDriver:
    folder = tmp_path_factory.mktemp("ditto")
    files = write_ditto(DittoRecipe(golden / "ditto"), "small", folder)
    write(convert_files({}, ditto=files), folder / "checkpoint")
    driver = load_driver(open_checkpoint(folder / "checkpoint"), full_precision=True)
    assert isinstance(driver, DittoDriver)
    return driver.with_sampling(FEW)


@pytest.fixture(scope="module")
def live(driver) -> LiveWindowDriver:
    return LiveWindowDriver(driver)


@pytest.fixture(scope="module")
def published(driver) -> PublishedLive:
    live = make_live(driver.with_sampling(PUBLISHED))
    assert isinstance(live, PublishedLive)
    return live


@pytest.fixture(scope="module")
def sound() -> np.ndarray:
    return 0.1 * draw(20_321, seed=1)


def test_any_cutting_makes_the_same_frames(live, sound):
    whole = live.make(Audio.from_samples(sound, RATE), seed=3)
    assert len(whole) == 32
    for size in (HOP, 2 * HOP, 1_234):
        clip = contract.live_clip(live, sound, size)
        contract.assert_close(clip, whole, 0)


def test_published_windows_have_the_published_frames_in_any_cutting(published, sound):
    whole = published.make(Audio.from_samples(sound, RATE), seed=3)
    # 5 ceil((n + 1920) / 3200) features, and as many frames as a window adds besides.
    assert len(whole) == 35 + 5
    for size in (HOP, 2 * HOP, 1_234):
        clip = contract.live_clip(published, sound, size)
        contract.assert_close(clip, whole, 0)
    assert len(published.make(Audio.from_samples(sound, RATE), seed=3, frames=9)) == 9


def test_a_published_window_needs_sound(published):
    short = Audio.from_samples(np.zeros(1, np.float32), RATE)
    whole = replace(published, live=Live(0.16, 0.4))
    assert len(whole.make(short, seed=0)) == 0


def test_frames_arrive_within_the_latency(live, published, sound):
    contract.assert_frames_arrive_within_the_latency(live, sound)
    contract.assert_frames_arrive_within_the_latency(published, sound)


def test_states_are_pytrees(live, published, sound):
    contract.assert_states_are_pytrees(live, sound)
    contract.assert_states_are_pytrees(published, sound)


def first_frame_after(driver, sound: np.ndarray, sample: int) -> int:
    """Return the first frame that a change of the sound from a sample on moves."""
    other = sound.copy()
    other[sample:] += 1
    # All of a frame: smoothing reaches the pose a frame earlier than the expression.
    before = driver.make(Audio.from_samples(sound, RATE), seed=0).to_frames()
    after = driver.make(Audio.from_samples(other, RATE), seed=0).to_frames()
    return int((before != after).any(axis=1).argmax())


@pytest.mark.parametrize(
    ("sampling", "parts", "milliseconds"),
    [
        (FEW, None, 480),
        (PUBLISHED, None, 485),
        # The published overlap: windows that add 10 frames.
        (PUBLISHED, Live(0.16, 0.4), 885),
    ],
)
def test_a_frame_reads_the_stated_time_ahead(
    driver, sound, sampling, parts, milliseconds
):
    live = make_live(driver.with_sampling(sampling), parts)
    assert round(1000 * live.latency) == milliseconds
    samples = milliseconds * RATE // 1000
    # Frame 5 or 10 is the first of the second window.
    frame = 5 if parts is None else 10
    sound = np.concatenate([sound, sound])
    assert first_frame_after(live, sound, 640 * frame + samples - 1) == frame
    assert first_frame_after(live, sound, 640 * frame + samples) > frame


def test_the_published_sizes_look_as_far_ahead(driver):
    """Windows of 80 frames hold 70, and the original's overlap by 75 or 70."""
    network = echo(replace(driver.sizes, frames=80))
    full = replace(driver, network=network)
    windows = LiveWindowDriver(full).windows
    assert (windows.held, windows.stride, windows.lookahead) == (70, 5, 5)
    assert LiveWindowDriver(full).latency == pytest.approx(0.48)
    assert full.with_sampling(MotionSampling()).live_steps == 10
    assert full.published_live().windows.overlap == 75
    slow = full.published_live(Live(2.4, 0.4))
    assert slow.windows.overlap == 70
    assert slow.latency == pytest.approx(0.885)


def test_parts_that_were_not_published_are_refused(driver):
    with pytest.raises(ValueError, match="lookahead is 4 frames"):
        driver.published_live(Live(0.32, 0.16))
    with pytest.raises(ValueError, match="leave at least one to emit"):
        LiveWindowDriver(driver, Live(0.8, 0.2))


def test_live_features_are_those_of_the_whole_clip(driver, sound, monkeypatch):
    read = []
    complete = DittoDriver.complete

    def record(self, features, start):
        read.append((start, features))
        return complete(self, features, start)

    monkeypatch.setattr(DittoDriver, "complete", record)
    contract.live_clip(LiveWindowDriver(driver), sound, 1_234)
    whole = driver.features.encode(lambda: [sound], 60)
    for start, features in read:
        shown = features[max(0, -start) :]
        first = max(0, start)
        np.testing.assert_array_equal(shown, whole[first : first + len(shown)])
    assert len(read) == 7


def test_motion_without_windows_is_the_same_live_and_offline(driver, sound):
    """Frames that hear only themselves have the anchor, the smoothing and the place of
    those of a whole clip."""
    plain = with_stand_in(driver, echo(driver.sizes))
    audio = Audio.from_samples(sound, RATE)
    whole = plain.make(audio, seed=0)
    clip = LiveWindowDriver(plain).make(audio, seed=0)
    # The last frame has a neighbour only live: of the silence after the sound.
    contract.assert_close(clip[:-1], whole[:-1], 1e-5)
    assert whole.rest is not None
    assert clip.rest is not None
    contract.assert_close(clip.rest, whole.rest, 0)
    contract.assert_close(whole.rest, whole[:1], 0)


def test_every_piece_is_counted_from_the_first_frame(live, published, sound):
    for driver in (live, published):
        state = driver.start(seed=0)
        first, state = driver.step(state, sound[:12_000])
        second, state = driver.step(state, sound[12_000:])
        last = driver.finish(state)
        assert len(first) > 0 < len(second)
        for clip in (second, last):
            contract.assert_close(clip.rest, first.rest, 0)
        # The original counts from a frame of silence.
        same = np.array_equal(first.rest.expression, first.expression[:1])
        assert same == (driver is live)


def test_the_seed_decides_live_motion(live, sound):
    audio = Audio.from_samples(sound[:6_400], RATE)
    first = live.make(audio, seed=1).expression
    np.testing.assert_array_equal(live.make(audio, seed=1).expression, first)
    assert np.abs(live.make(audio, seed=2).expression - first).max() > 1e-3


def test_live_windows_have_no_seams(live):
    audio = Audio.from_samples(0.1 * draw(10 * RATE, seed=2), RATE)
    motion = live.make(audio, seed=0).to_frames()
    # A window adds five frames, and the first is all new.
    assert seam_ratio(motion[5:], range(5, 240, 5)) <= 1.2


def test_live_sound_compiles_one_program(driver, sound):
    live = LiveWindowDriver(driver.with_sampling(MotionSampling(steps=2)))
    live.warm_up(1)
    compiled = sample_live._cache_size()
    for size in (500, len(sound)):
        contract.live_clip(live, sound, size)
    assert sample_live._cache_size() == compiled


def yaw_of(motion: np.ndarray) -> np.ndarray:
    """Return the yaw of frames, in degrees."""
    return degrees_of(motion[:, BINNED_ANGLES[1]])


def test_the_originals_head_runs_away():
    """Ten minutes of the original's live windows, each of which turns by a little."""
    windows = PublishedWindows(80, 75, live=True, reset_every=1, continued=(0, 202))
    step = turn(DRIFT)

    def sample(progress, values, start):
        return np.repeat((progress.earlier + step)[None], 80, axis=0)

    stream = PublishedStream(windows, straight(), sample)
    state = stream.begin(np.zeros((75, 1), np.float32))
    frames = np.zeros((0, 265), np.float32)
    for _ in range(0, TEN_MINUTES, 5):
        frames, state = stream.push(state, np.zeros((5, 1), np.float32))
    assert yaw_of(frames)[-1] > 9


def test_a_live_head_does_not_drift(driver):
    network = drifter(driver.sizes, DRIFT)
    # Steps do not change what this network makes.
    plain = with_stand_in(driver, network, reference=straight()).with_sampling(
        MotionSampling(steps=1)
    )
    windows = LiveWindowDriver(plain).windows
    silence = np.zeros((driver.sizes.frames, 1024), np.float32)
    continued = plain.start_window()
    key = jax.random.key(0)
    turns = []
    for window in range(TEN_MINUTES // windows.stride):
        frames, continued = plain.sample_window(
            windows, silence, key, continued, window
        )
        turns.append(yaw_of(frames)[-1])
    # Ten times the drift of a window.
    assert max(turns) == pytest.approx(10 * DRIFT, abs=0.02)


@pytest.mark.parametrize(
    "frames", [3_000, pytest.param(TEN_MINUTES, marks=pytest.mark.full)]
)
def test_a_head_of_a_whole_clip_does_not_drift(driver, frames):
    """Steps hand the drift on from window to window, 50 of them at most."""
    network = drifter(replace(driver.sizes, frames=80), DRIFT)
    plain = with_stand_in(driver, network, reference=straight())
    silence = Audio.from_samples(np.zeros(1, np.float32), RATE)
    sampling = MotionSampling(steps=50)
    motion = plain.with_sampling(sampling).sample_fused(silence, frames, seed=0)
    assert 0.4 < yaw_of(motion).max() < 10 * DRIFT + 0.01
