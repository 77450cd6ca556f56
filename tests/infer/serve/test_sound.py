"""Sound on its way to a session: bytes, an inbox, and silence in its place."""

import asyncio

import numpy as np
import pytest

from infer.serve.clock import MOST, LiveClock
from infer.serve.inbox import PIECE, Inbox
from infer.serve.pcm import PcmError, PcmReader


@pytest.mark.parametrize(("format", "kind"), [("s16", "<i2"), ("f32", "<f4")])
@pytest.mark.parametrize("size", [1, 3, 640, 10_000])
def test_samples_may_be_cut_anywhere(format, kind, size):
    values = np.linspace(-0.9, 0.9, 1000)
    scaled = values * 2**15 if format == "s16" else values
    data = scaled.astype(kind).tobytes()
    reader = PcmReader(format)
    pieces = [reader.read(data[at : at + size]) for at in range(0, len(data), size)]
    samples = np.concatenate(pieces)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples, values, atol=2**-14)


def test_floats_that_are_no_sound_are_named():
    with pytest.raises(PcmError, match="not finite"):
        PcmReader("f32").read(np.array([0, np.nan], "<f4").tobytes())
    # Loud ones are cut, as a loudspeaker would.
    assert PcmReader("f32").read(np.array([9], "<f4").tobytes()) == [1]


def test_silence_fills_what_is_late():
    seconds = [0.0]
    clock = LiveClock(0.1, lambda: seconds[0])
    seconds[0] = 0.05
    assert clock.missing(0) == 0
    seconds[0] = 0.3
    assert clock.missing(0) == 3200
    assert clock.missing(3200) == 0
    # Sound that is early needs none.
    assert clock.missing(48_000) == 0


def test_time_in_which_nothing_could_be_done_is_left_out():
    seconds = [0.0]
    clock = LiveClock(0.1, lambda: seconds[0])
    seconds[0] = 60.0
    assert clock.missing(0) == MOST
    assert clock.missing(MOST) == 0
    seconds[0] = 60.1
    assert clock.missing(MOST) == pytest.approx(1600, abs=1)


def test_a_full_inbox_lets_its_sender_wait():
    async def scenario() -> None:
        inbox = Inbox(1.0)
        sender = asyncio.create_task(inbox.put(np.zeros(10 * 16_000, np.float32)))
        await asyncio.sleep(0.05)
        assert not sender.done()
        total = 0
        while not sender.done():
            sound = await inbox.take(1)
            assert sound is not None
            assert len(sound.samples) <= PIECE
            total += len(sound.samples)
            await asyncio.sleep(0)
        await inbox.end()
        # Sound that was on its way when its sender ended.
        await inbox.put(np.zeros(100, np.float32))
        while (sound := await inbox.take(1)) is not None:
            total += len(sound.samples)
        assert inbox.is_over
        assert total == 10 * 16_000

    asyncio.run(scenario())


def test_short_chunks_are_taken_together():
    async def scenario() -> None:
        inbox = Inbox(1.0)
        assert await inbox.take(0.01) is None
        for value in range(20):
            await inbox.put(np.full(160, value, np.float32))
        sound = await inbox.take(None)
        assert sound is not None
        np.testing.assert_array_equal(sound.samples, np.repeat(np.arange(20), 160))

    asyncio.run(scenario())
