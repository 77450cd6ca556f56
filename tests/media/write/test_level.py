"""Limits of H.264's level 5.2."""

import pytest

from jaxportrait.media.write.level import longest_side, passes_level


@pytest.mark.parametrize(
    ("size", "fps", "passes"),
    [
        ((1920, 1080), 240, False),
        ((3840, 2160), 60, False),
        # the rate: 32,400 blocks at 64 frames a second are as many as allowed
        ((3840, 2160), 64, False),
        ((3840, 2160), 65, True),
        # the frame: 192 x 192 blocks are as many as allowed
        ((3072, 3072), 30, False),
        ((3072, 3088), 30, True),
        # a side: 543 blocks
        ((8688, 512), 30, False),
        ((8690, 512), 30, True),
    ],
)
def test_a_video_passes_by_its_frames_their_rate_or_a_side(size, fps, passes):
    assert passes_level(size, fps) == passes


@pytest.mark.parametrize(
    "size", [(6000, 4000), (4000, 6000), (12000, 100), (5000, 5000)]
)
@pytest.mark.parametrize("fps", [25, 240])
def test_the_longest_side_that_fits_is_found(size, fps):
    side = longest_side(size, fps)

    def reduce(target: int) -> tuple[int, int]:
        width, height = (round(length * target / max(size)) for length in size)
        return width, height

    assert not passes_level(reduce(side), fps)
    assert passes_level(reduce(side + 16), fps)
