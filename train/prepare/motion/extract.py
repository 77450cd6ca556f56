"""From a clip to its record: crop, motion, audio features. The work is the same
whichever engine runs it."""

import hashlib
import json
from dataclasses import dataclass
from itertools import compress
from pathlib import Path
from typing import Annotated, ClassVar, cast

import numpy as np
import tyro
from jaxtyping import Bool, Float32

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.drivers.video import crop_frames
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import Detector, open_detector
from jaxportrait.media.track import Track, track_face
from jaxportrait.media.video import VideoReader
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.pipeline.read import read_motion
from jaxportrait.ranges import BatchSize, check_ranges
from train.data.clips import Clip
from train.data.dataset import DESCRIPTION, network_identity
from train.data.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    clip_labels,
    feature_at,
    features_needed,
)
from train.prepare.motion.timeline import common_frames, loudness, motion_at
from train.prepare.recipe import EXTRACTION, ClipExtractor, FaceRecipe


def parts_needed(checkpoint: Checkpoint) -> tuple[str, ...]:
    """Return the parts of a checkpoint that processing needs."""
    return ("motion", checkpoint.audio_encoder)


@dataclass(frozen=True, kw_only=True)
class MotionRecipe(FaceRecipe):
    """Everything that determines a clip's motion and audio features.

    Attributes:
      checkpoint: checkpoint with a motion extractor and an audio encoder; every worker
        holds them.
      batch_size: pictures that the motion extractor reads at once.
    """

    description: ClassVar[str] = DESCRIPTION
    least_frames: ClassVar[int] = WINDOW_FRAMES
    most_frames: ClassVar[int | None] = 20 * WINDOW_FRAMES
    frame_step: ClassVar[int] = WINDOW_STEP

    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    batch_size: BatchSize = 16

    def __post_init__(self) -> None:
        check_ranges(self)

    def open_checkpoint(self) -> Checkpoint:
        """Open the checkpoint; raise a CheckpointError if it lacks a part."""
        checkpoint = open_checkpoint(self.checkpoint)
        checkpoint.require(parts_needed(checkpoint))
        return checkpoint

    def open_detector(self) -> Detector:
        """Open the detector; `auto` prefers that of the checkpoint's crops."""
        recorded = open_checkpoint(self.checkpoint).crop.detector
        return open_detector(self.detector, self.detector_models, recorded=recorded)

    def fingerprint(self) -> str:
        checkpoint = self.open_checkpoint()
        # other weights, crops or batches give other motion
        networks = [
            network_identity(checkpoint, name) for name in parts_needed(checkpoint)
        ]
        framing = [checkpoint.crop.image_size, checkpoint.crop.zoom]
        detector = self.detector_facts()
        facts = [EXTRACTION, *networks, *framing, *detector, self.batch_size]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def files(self, clip: Clip) -> tuple[Path, ...]:
        return clip.video, clip.sound

    def extractor(self) -> "MotionClipExtractor":
        return MotionClipExtractor(self)


class MotionClipExtractor(ClipExtractor):
    """Makes records of motion and audio features; it holds the networks and the
    detector."""

    def __init__(self, recipe: MotionRecipe):
        super().__init__(recipe)
        checkpoint = recipe.open_checkpoint()
        self._motion = cast(MotionExtractor, checkpoint.network("motion"))
        self._features = load_features(checkpoint)
        self._detector = recipe.open_detector()
        self._size = checkpoint.crop.image_size
        self._zoom = checkpoint.crop.zoom
        self._batch_size = recipe.batch_size

    def record(self, clip: Clip) -> tuple[ClipRecord, float]:
        """Make the record of a clip, of its longest part that shows the face.

        The video is read twice, once to find the face and once to crop it, so that its
        pictures are never held.

        Raises:
          ValueError: no steady face, no sound, a corrupt file, less than a second of
            both.
          OSError: a file is missing or cannot be read.
        """
        audio = Audio.open(clip.sound, allow_video=True)
        if audio.flaw:
            self.remark(audio.flaw)
        video = VideoReader(clip.video)
        track = track_face(video, self._detector, self._zoom)
        if track.absences:
            self.remark(track.absences)
        # pictures and sound share the container's clock
        shown = track.shows([track.longest_part])
        try:
            frames = common_frames(track.times[shown], audio.start, audio.duration)
        except ValueError as error:
            if not track.absences:
                raise
            raise ValueError(f"{error} ({track.absences})") from error
        times = audio.start + frames / MOTION_FPS
        record = ClipRecord(
            clip.name,
            clip.subject,
            self._read_motion(video, track, shown, times),
            self._encode(audio, int(frames[0]), int(frames[-1]) + 1),
            loudness(audio.stream(), frames),
            int(frames[0]),
            clip_labels(clip.emotion, clip.level),
        )
        _require_finite(record)
        return record, record.frames / MOTION_FPS

    def _read_motion(
        self,
        video: VideoReader,
        track: Track,
        shown: Bool[np.ndarray, " pictures"],
        times: np.ndarray,
    ) -> Float32[np.ndarray, "frames 70"]:
        """Read the motion of the pictures that are shown, at the times of frames."""
        pictures = (picture for _, picture in compress(video, shown))
        crops = crop_frames(pictures, track.rectangle, self._size)
        motion = read_motion(self._motion, crops, self._batch_size)
        return motion_at(motion, track.times[shown], times)

    def _encode(self, audio: Audio, start: int, stop: int) -> np.ndarray:
        """Return the audio features that cover frames `start` to `stop`."""
        # the whole sound is encoded, since its maximum sets the log-mel's floor
        features = self._features.encode(audio.stream, features_needed(stop))
        return features[feature_at(start) :].astype(np.float16)


def _require_finite(record: ClipRecord) -> None:
    for name in ("motion", "features", "envelope"):
        if not np.isfinite(getattr(record, name)).all():
            raise ValueError(
                f"the {name} are not all finite: the checkpoint does not fit, or its weights are damaged"
            )
