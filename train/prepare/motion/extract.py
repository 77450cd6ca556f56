"""From a clip to its record: crop, motion, audio features. The same work whichever
engine runs it."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, cast

import numpy as np

from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.drivers.video import crop_frames
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import DetectorName, open_detector
from jaxportrait.media.track import track_face
from jaxportrait.media.video import VideoReader
from jaxportrait.models.config import PortraitConfig
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.pipeline.read import read_motion
from train.data.clips import Clip
from train.data.records import (
    DESCRIPTION,
    FORMAT,
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    feature_at,
    features_needed,
    network_identity,
)
from train.prepare.motion.timeline import common_frames, loudness, motion_at
from train.prepare.recipe import ClipExtractor, Recipe


def parts_needed(config: PortraitConfig) -> tuple[str, ...]:
    """What processing needs of a checkpoint."""
    return ("motion", config.audio_encoder)


@dataclass(frozen=True)
class Settings(Recipe):
    """All that decides what a clip's motion and audio features are.

    Attributes:
      checkpoint: with a motion extractor and an audio encoder.
      detector: how faces are found.
      detector_models: folder of its files.
      batch_size: pictures that the motion extractor reads at once.
    """

    description: ClassVar[str] = DESCRIPTION
    least_frames: ClassVar[int] = WINDOW_FRAMES
    most_frames: ClassVar[int | None] = 20 * WINDOW_FRAMES
    frame_step: ClassVar[int] = WINDOW_STEP

    checkpoint: Path
    detector: DetectorName = "auto"
    detector_models: Path | None = None
    batch_size: int = 16

    def fingerprint(self) -> str:
        checkpoint = open_checkpoint(self.checkpoint)
        checkpoint.require(parts_needed(checkpoint.config))
        networks = [
            network_identity(checkpoint, part)
            for part in parts_needed(checkpoint.config)
        ]
        detector = [
            open_detector(self.detector, self.detector_models).name,
            str(self.detector_models),
        ]
        framing = [checkpoint.config.image_size, checkpoint.config.crop_zoom]
        facts = [FORMAT, *networks, *framing, *detector, self.batch_size]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def files(self, clip: Clip) -> tuple[Path, ...]:
        return clip.video, clip.sound

    def extractor(self) -> "Extractor":
        return Extractor(self)


class Extractor(ClipExtractor):
    """Makes records of motion and audio features; it holds the networks and the
    detector."""

    def __init__(self, settings: Settings):
        super().__init__(settings)
        checkpoint = open_checkpoint(settings.checkpoint)
        checkpoint.require(parts_needed(checkpoint.config))
        self._motion = cast(MotionExtractor, checkpoint.network("motion"))
        self._features = load_features(checkpoint)
        self._detector = open_detector(settings.detector, settings.detector_models)
        self._size, self._zoom = (
            checkpoint.config.image_size,
            checkpoint.config.crop_zoom,
        )
        self._batch_size = settings.batch_size

    def record(self, clip: Clip) -> tuple[ClipRecord, float]:
        """Read the clip twice, once to find the face and once to crop it, so that its
        pictures are never held.

        Raises:
          ValueError: no steady face, no sound, a corrupt file, less than a second of
            both.
          OSError: a file is missing or cannot be read.
        """
        audio = Audio.open(clip.sound, allow_video=True)
        video = VideoReader(clip.video)
        track = track_face(video, self._detector, self._zoom)
        sound_start = next(audio.decode()).time or 0.0
        frames = common_frames(track.times, sound_start, audio.duration)
        pictures = (picture for _, picture in video)
        images = crop_frames(pictures, track.rectangle, self._size)
        motion = motion_at(
            read_motion(self._motion, images, self._batch_size),
            track.times,
            sound_start + frames / MOTION_FPS,
        )
        start, stop = int(frames[0]), int(frames[-1]) + 1
        features = self._features.encode(audio.stream, features_needed(stop))
        record = ClipRecord(
            clip.name,
            clip.subject,
            clip.emotion,
            clip.level,
            motion,
            features[feature_at(start) :].astype(np.float16),
            loudness(audio.stream(), frames),
            start,
        )
        _require_finite(record)
        return record, record.frames / MOTION_FPS


def _require_finite(record: ClipRecord) -> None:
    for name in ("motion", "features", "envelope"):
        if not np.isfinite(getattr(record, name)).all():
            raise ValueError(
                f"the {name} are not all finite: the checkpoint does not fit, or its weights are damaged"
            )
