"""Source videos: driven, lip-synced, played to and fro, with frames without a face."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from jaxportrait import Animator
from jaxportrait.animation import Retargeting, Sampling
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.media.audio import Audio
from jaxportrait.media.crop import FaceRectangle
from jaxportrait.media.faces import Detector, Face, Openness
from jaxportrait.media.mouth import mouth_mask
from jaxportrait.media.video import VideoReader
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_SPACES, POSE, neutral_frames
from jaxportrait.portrait import PortraitVideo
from tests.media.videos import write
from tests.portrait.films import film_portrait, frames_of

QUICK = Sampling(steps=2)
FPS = 10
COUNT = 12
SIDE = 256


def find_face(picture: np.ndarray) -> list[Face]:
    """A face in every picture but dark ones, of half their side."""
    if picture.mean() < 20:
        return []
    height, width = picture.shape[:2]
    hull = FaceRectangle((width / 2, height / 2), 60.0)
    return [Face((0, 0, width, height), 1.0, hull)]


@pytest.fixture(scope="module")
def animator(tiny_checkpoint) -> Animator:
    detector = Detector("middle", find_face)
    checkpoint = open_checkpoint(tiny_checkpoint)
    return Animator(checkpoint, detector=detector, batch_size=4)


@pytest.fixture(scope="module")
def film(tmp_path_factory, portrait) -> Path:
    path = tmp_path_factory.mktemp("film") / "film.mp4"
    return film_portrait(path, portrait, COUNT, FPS)


@pytest.fixture(scope="module")
def video(animator, film) -> PortraitVideo:
    return animator.prepare_video(film)


def nod(frames: int, fps: float = FPS) -> MotionClip:
    values = neutral_frames(frames)
    values[:, POSE.start] = np.linspace(0, 25, frames)
    return MotionClip.from_values(values, MOTION_SPACES["face"], fps)


def sound_of(voice: np.ndarray, seconds: float) -> Audio:
    return Audio.from_samples(np.resize(voice, round(16_000 * seconds)), 16_000)


def change(frames: np.ndarray, others: np.ndarray) -> np.ndarray:
    return np.abs(frames.astype(int) - others)


def test_a_video_is_told_by_its_content_and_has_its_own_rate(
    animator, film, voice, tmp_path
):
    unnamed = tmp_path / "portrait.jpg"
    unnamed.write_bytes(film.read_bytes())
    clip = animator.animate(unnamed, sound_of(voice, 0.4), sampling=QUICK)
    assert (clip.fps, len(clip), clip.size) == (FPS, 4, (SIDE, SIDE))
    other = animator.animate(
        unnamed, sound_of(voice, 0.4), sampling=QUICK, output_fps=20
    )
    assert (other.fps, len(other)) == (20, 8)


def test_lip_sync_changes_only_the_mouth(animator, film, video, voice):
    frames = np.stack(
        list(animator.animate(video, sound_of(voice, 1.2), sampling=QUICK))
    )
    source = frames_of(film)
    # The crop is the hull's: 2.3 times 60 pixels around the middle, shifted up.
    outside = np.ones((SIDE, SIDE), bool)
    side = 2.3 * 60
    left = SIDE / 2 - side / 2
    top = SIDE / 2 - 0.125 * side - side / 2
    rows, columns = np.nonzero(mouth_mask() > 0)
    ys = (top + rows * side / 512).round().astype(int)
    xs = (left + columns * side / 512).round().astype(int)
    for shift in (-1, 0, 1):
        for step in (-1, 0, 1):
            outside[ys + shift, xs + step] = False
    difference = change(frames, source)
    # Not 45 dB: not one value differs before the video is encoded.
    assert difference[:, outside].max() == 0
    assert difference[:, ~outside].mean() > 1
    assert outside.mean() > 0.9


def test_the_encoded_clip_is_the_source_outside_of_the_mouth(
    animator, film, video, voice, tmp_path
):
    path = tmp_path / "clip.mp4"
    animator.animate(video, sound_of(voice, 1.2), sampling=QUICK).save(path, crf=10)
    source = frames_of(film)[:, :100].astype(float)
    error = frames_of(path)[:, :100] - source
    assert 10 * np.log10(255**2 / np.mean(error**2)) > 45


def test_head_and_eyes_stay_the_videos(animator, video, voice):
    clip = animator.animate(video, sound_of(voice, 1.2), sampling=QUICK)
    free = animator.animate(
        video,
        sound_of(voice, 1.2),
        sampling=QUICK,
        lip_sync=False,
        retargeting=Retargeting(stitching=False),
    )
    assert len(clip) == len(free) == COUNT
    bare = Retargeting(stitching=False)
    synced = animator.animate(
        video, sound_of(voice, 1.2), sampling=QUICK, retargeting=bare
    )
    source = np.asarray(video.faces.frames.keypoints)
    moved = np.abs(synced.keypoints - source).max(axis=(0, 2))
    lips = list(animator.renderer.keypoint_groups.lips)
    others = np.setdiff1d(np.arange(len(moved)), lips)
    assert moved[others].max() < 1e-5
    assert moved[lips].min() > 1e-4


def test_a_longer_sound_plays_the_video_to_and_fro(animator, video, film, voice):
    clip = animator.animate(video, sound_of(voice, 2.0), sampling=QUICK)
    frames = np.stack(list(clip))
    assert len(frames) == 20
    order = [*range(COUNT), *range(COUNT - 2, COUNT - 10, -1)]
    source = frames_of(film)[order]
    assert_array_equal(frames[:, :90], source[:, :90])


def test_the_shorter_of_two_videos_decides(animator, video):
    assert len(animator.drive(video, nod(5))) == 5
    assert len(animator.drive(video, nod(40))) == COUNT
    # Twice the rate of motion is not twice its length.
    assert len(animator.drive(video, nod(10, fps=20))) == 5
    # One picture drives all frames.
    assert len(animator.drive(video, nod(5)[4:])) == COUNT


def test_motion_moves_the_head_over_the_videos_own_motion(animator, video):
    still = animator.drive(video, nod(COUNT)[[0] * COUNT])
    moved = animator.drive(video, nod(COUNT))
    source = np.asarray(video.faces.frames.keypoints)
    bare = Retargeting(stitching=False, driving_smooth_observation_variance=0.0)
    calm = animator.drive(video, nod(COUNT)[[0] * COUNT], retargeting=bare)
    np.testing.assert_allclose(calm.keypoints, source, atol=1e-5)
    assert np.abs(moved.keypoints[-1] - still.keypoints[-1]).max() > 0.05


def test_frames_without_a_face_stay_as_they_are(animator, portrait, tmp_path):
    # Dark for a second, between two shots.
    dark = np.full_like(portrait, 4)
    shots = [portrait] * 8 + [dark] * 10 + [portrait] * 8
    path = tmp_path / "dark.mp4"
    write(path, shots, size=(SIDE, SIDE), fps=FPS, crf=0)
    video = animator.prepare_video(path)
    assert video.absences == "the face is out of sight from 0.80 to 1.70 s"
    frames = np.stack(list(animator.drive(video, nod(26))))
    source = frames_of(path)
    assert_array_equal(frames[8:18], source[8:18])
    assert change(frames[20:], source[20:]).max() > 10


def test_openness_of_the_first_frame_is_held(tiny_checkpoint, film, monkeypatch):
    def find_open(picture: np.ndarray) -> list[Face]:
        (face,) = find_face(picture)
        monkeypatch.setattr(Face, "openness", Openness((0.3, 0.3), 0.2))
        return [face]

    animator = Animator(
        open_checkpoint(tiny_checkpoint), detector=Detector("open", find_open)
    )
    video = animator.prepare_video(film, every_frame=True)
    assert video.faces.first_eyes == pytest.approx(0.3)
    assert video.faces.openness.shape == (COUNT, 3)
    without = replace(video.faces, openness=None)
    with pytest.raises(ValueError, match="openness of the source's eyes and lips"):
        animator.drive(
            replace(video, faces=without),
            nod(3),
            retargeting=Retargeting(normalize_lips=True, stitching=False),
        )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            {"composition": "original"},
            "composition 'original'|composition \"original\"",
        ),
        ({"driving_option": "expression-friendly"}, "scales the motion of pictures"),
    ],
)
def test_options_of_pictures_are_refused(animator, video, options, message):
    with pytest.raises(ValueError, match=message):
        animator.drive(video, nod(3), retargeting=Retargeting(**options))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"source_video_eye_retargeting": True}, "is for source videos"),
        ({"driving_smooth_observation_variance": 1e-4}, "over source videos"),
    ],
)
def test_options_of_videos_are_refused_for_pictures(
    animator, portrait, options, message
):
    with pytest.raises(ValueError, match=message):
        animator.drive(portrait, nod(3), retargeting=Retargeting(**options))


def test_lip_sync_of_a_picture_or_of_more_than_lips_is_refused(
    animator, portrait, video, voice
):
    sound = sound_of(voice, 0.3)
    with pytest.raises(ValueError, match="and the source is a picture"):
        animator.animate(portrait, sound, lip_sync=True)
    with pytest.raises(ValueError, match="moves only lips, and region is 'eyes'"):
        animator.animate(video, sound, retargeting=Retargeting(region="eyes"))
    with pytest.raises(ValueError, match="leaves the head to the source video"):
        animator.animate(video, sound, head=nod(3))


def test_a_video_is_short_in_print(video):
    assert repr(video) == "PortraitVideo(12 frames of 256x256 pixels, 10 a second)"
    assert VideoReader(video.film.footage.path).fps == FPS
