"""From a clip to its record: crop, motion, audio features. The work is the same
whichever engine runs it."""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Annotated, Any, ClassVar, cast

import numpy as np
import tyro
from jaxtyping import Float, Float32

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.features.base import Stream
from jaxportrait.features.registry import load_features
from jaxportrait.media.audio import SAMPLE_RATE, Audio
from jaxportrait.media.faces import Detector, open_detector
from jaxportrait.media.faces.mesh import MeshDetector
from jaxportrait.media.video import VideoReader
from jaxportrait.models.motion import MotionExtractor
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.pipeline.read import read_faces
from jaxportrait.ranges import (
    BatchSize,
    Natural,
    OptionError,
    Positive,
    check_ranges,
)
from train.data.augment import SoundAugmentation, augment_stream
from train.data.clips import Clip
from train.data.dataset import DESCRIPTION, network_identity
from train.data.records import (
    WINDOW_FRAMES,
    WINDOW_STEP,
    ClipRecord,
    clip_labels,
    feature_at,
    features_needed,
    shift_closures,
)
from train.data.truth import read_closures, truth_path
from train.prepare.motion.stretches import (
    Reading,
    Stretch,
    crop_stretches,
    describe_part,
    face_distance,
    find_stretches,
    join_motion,
)
from train.prepare.motion.timeline import loudness, read_samples
from train.prepare.quality.evidence import Evidence, make_thumbnail
from train.prepare.quality.lips import LIP_RATE, LipReader, LipSource, open_mesh
from train.prepare.quality.movement import MovementMeter
from train.prepare.quality.sound import (
    SPECTRUM_RATE,
    share_of_silence,
    sound_checksum,
    spectrum,
)
from train.prepare.quality.view import round_parts, view
from train.prepare.recipe import EXTRACTION, ClipExtractor, FaceRecipe


@dataclass(frozen=True, kw_only=True)
class MotionRecipe(FaceRecipe):
    """Everything that determines a clip's motion and audio features.

    Attributes:
      checkpoint: checkpoint with a motion extractor and an audio encoder; every worker
        holds them.
      audio_encoder: name of the audio encoder, where the checkpoint holds several.
      batch_size: pictures that the motion extractor reads at once.
      lips: source of the lips that the sound is compared with: the face mesh, or the
        network's own motion; `auto` reads the mesh where it is available.
      same_face: largest difference of the face between two shots of a person, in sizes
        of a face; shots of other people are left out.
      keep_sound: store the sound, 32 KB a second, for encoders that run within training.
      augment_sound: number of other rooms, noises and levels in which the sound of every
        training clip is heard as well; each makes the data set larger by one of itself.
      augmentation: ranges from which they are drawn.
    """

    description: ClassVar[str] = DESCRIPTION
    least_frames: ClassVar[int] = WINDOW_FRAMES
    frame_step: ClassVar[int] = WINDOW_STEP

    checkpoint: Annotated[Path, tyro.conf.arg(metavar="CKPT")]
    audio_encoder: str | None = None
    batch_size: BatchSize = 16
    lips: LipSource = "auto"
    same_face: Positive = 0.03
    keep_sound: bool = False
    augment_sound: Natural = 0
    # the command line has them beside the recipe, whose options have no prefix
    augmentation: tyro.conf.Suppress[SoundAugmentation] = field(
        default_factory=SoundAugmentation
    )

    def __post_init__(self) -> None:
        check_ranges(self)
        if self.augmentation != SoundAugmentation() and not self.augment_sound:
            raise OptionError(
                "augmentation has ranges, and augment_sound is 0: choose 1 or more, or leave the ranges out"
            )

    def open_checkpoint(self) -> Checkpoint:
        """Open the checkpoint; raise a CheckpointError if it lacks a part."""
        checkpoint = open_checkpoint(self.checkpoint)
        checkpoint.require(self.parts_needed(checkpoint))
        return checkpoint

    def parts_needed(self, checkpoint: Checkpoint) -> tuple[str, ...]:
        """Return the parts of a checkpoint that processing needs: the motion extractor
        and the audio encoder."""
        return ("motion", checkpoint.encoder(self.audio_encoder))

    def open_detector(self) -> Detector:
        """Open the detector; `auto` prefers that of the checkpoint's crops."""
        recorded = open_checkpoint(self.checkpoint).crop.detector
        return open_detector(self.detector, self.detector_models, recorded=recorded)

    def open_mesh(self) -> MeshDetector | None:
        """Open the face mesh that reads lips; None where they are read from motion."""
        return open_mesh(self.lips, self.detector_models)

    def reads_mesh(self) -> bool:
        """Return whether lips are read by the face mesh."""
        return self.open_mesh() is not None

    def fingerprint(self) -> str:
        checkpoint = self.open_checkpoint()
        # other weights, crops or batches give other motion
        networks = [
            network_identity(checkpoint, name) for name in self.parts_needed(checkpoint)
        ]
        framing = [checkpoint.crop.image_size, checkpoint.crop.zoom]
        detector = self.face_facts()
        # `auto` may find the mesh on one machine only
        lips = [self.reads_mesh(), self.same_face]
        facts = [EXTRACTION, *networks, *framing, *detector, self.batch_size, *lips]
        facts += self.sound_facts()
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    def sound_facts(self) -> list[Any]:
        """Return the facts about stored and augmented sound for a fingerprint; none for
        the defaults."""
        facts: list[Any] = ["sound"] if self.keep_sound else []
        if self.augment_sound:
            facts += [self.augment_sound, asdict(self.augmentation)]
        return facts

    def files(self, clip: Clip) -> tuple[Path, ...]:
        truth = truth_path(clip.video)
        # a truth file that appears later changes the record
        truths = [truth] if truth.is_file() else []
        return clip.video, clip.sound, *truths

    def extractor(self) -> "MotionClipExtractor":
        return MotionClipExtractor(self)


class MotionClipExtractor(ClipExtractor):
    """Makes records of motion and audio features; it holds the networks and the
    detector."""

    def __init__(self, recipe: MotionRecipe):
        super().__init__(recipe)
        checkpoint = recipe.open_checkpoint()
        self._motion = cast(MotionExtractor, checkpoint.network("motion"))
        self._features = load_features(checkpoint, recipe.audio_encoder)
        self._detector = recipe.open_detector()
        self._size = checkpoint.crop.image_size
        self._zoom = checkpoint.crop.zoom
        self._batch_size = recipe.batch_size
        self._limits = recipe.cut_limits
        self._same_face = recipe.same_face
        self._mesh = recipe.open_mesh()

    def record(self, clip: Clip) -> tuple[ClipRecord, float]:
        """Make the record of a clip, from the first to the last part that shows the
        face; the manifest's spans say which of its frames are used.

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
        self.note(sound=sound_checksum(clip.sound))
        video = VideoReader(clip.video)
        scene = view(video, self._detector, self._zoom, self._limits, self)
        # pictures and sound share the container's clock
        stretches = find_stretches(scene, audio.start, audio.duration)
        reading = self._read(video, stretches)
        chosen = self._of_one_person(stretches, reading.faces)
        stretches = [stretches[index] for index in chosen]
        motion = [reading.motion[index] for index in chosen]
        first = int(stretches[0].frames[0])
        last = int(stretches[-1].frames[-1]) + 1
        frames = np.arange(first, last)
        record = ClipRecord(
            clip.name,
            clip.subject,
            join_motion(stretches, motion),
            self._encode(audio.stream, first, last),
            loudness(audio.stream(), frames),
            first,
            clip_labels(clip.emotion, clip.level),
            closures=_closures(clip, audio, first),
            **self._sounds(clip, audio, first, last),
        )
        _require_finite(record)
        seconds = self._describe(record, stretches)
        self._keep_evidence(audio, record, reading)
        return record, seconds

    def _read(self, video: VideoReader, stretches: Sequence[Stretch]) -> Reading:
        """Read motion, faces, lips and movement of the stretches' pictures."""
        lips = LipReader(self._mesh)
        meter = MovementMeter()
        motion, keypoints = read_faces(
            self._motion,
            crop_stretches(video, stretches, self._size, lips, meter),
            self._batch_size,
        )
        # the pictures of all stretches lie end to end
        borders = np.cumsum([stretch.count for stretch in stretches])[:-1]
        faces = [part.mean(axis=0) for part in np.split(keypoints, borders)]
        self.note(movement=meter.movement)
        return Reading(np.split(motion, borders), faces, lips, meter.pictures)

    def _of_one_person(
        self, stretches: Sequence[Stretch], faces: Sequence[Float[np.ndarray, "k 3"]]
    ) -> list[int]:
        """Return which stretches show the person of the longest one."""
        longest = max(
            range(len(stretches)), key=lambda index: len(stretches[index].frames)
        )
        same = []
        largest = 0.0
        for index, stretch in enumerate(stretches):
            distance = face_distance(faces[index], faces[longest])
            # the manifest states that of other people, too
            largest = max(largest, distance)
            if distance <= self._same_face:
                same.append(index)
            else:
                self.remark(f"{describe_part(stretch.part)} shows another person")
        if len(stretches) > 1:
            self.note(identity=round(largest, 4))
        return same

    def _describe(self, record: ClipRecord, stretches: Sequence[Stretch]) -> float:
        """Note the parts that are used, and return their seconds."""
        spans = tuple(stretch.span(record.start) for stretch in stretches)
        count = sum(stop - start for start, stop in spans)
        # gaps between spans do not count as silence
        used = np.concatenate([record.envelope[start:stop] for start, stop in spans])
        self.note(
            frames=count,
            spans=spans,
            parts=round_parts(stretch.part for stretch in stretches),
            silence=round(share_of_silence(used), 4),
        )
        return count / MOTION_FPS

    def _keep_evidence(
        self, audio: Audio, record: ClipRecord, reading: Reading
    ) -> None:
        """Keep what the comparison of lips and sound needs, from the record's start."""
        count = record.frames * LIP_RATE // MOTION_FPS
        start = record.start / MOTION_FPS
        # on the file's clock, as the pictures' times are
        times = audio.start + start + np.arange(count) / LIP_RATE
        sound = spectrum(
            audio.stream(),
            record.start * SAMPLE_RATE // MOTION_FPS,
            count * SPECTRUM_RATE // LIP_RATE,
        )
        thumbnail = make_thumbnail(reading.pictures)
        self.keep(Evidence(thumbnail, reading.lips.curves(times), sound))

    def _encode(self, stream: Stream, start: int, stop: int) -> np.ndarray:
        """Return the audio features that cover frames `start` to `stop`."""
        # the whole sound is encoded, since its maximum sets the log-mel's floor
        features = self._features.encode(stream, features_needed(stop))
        return features[feature_at(start) :].astype(np.float16)

    def _sounds(
        self, clip: Clip, audio: Audio, start: int, stop: int
    ) -> dict[str, np.ndarray]:
        """Return the fields of a record with the sound and its augmentations, as far as
        they are stored."""
        recipe = cast(MotionRecipe, self._recipe)
        fields = {}
        if recipe.keep_sound:
            fields["sound"] = read_samples(audio.stream, start, stop)
        streams = [
            augment_stream(audio.stream, clip.name, variant, recipe.augmentation)
            for variant in range(recipe.augment_sound)
        ]
        if not streams:
            return fields
        features = [self._encode(stream, start, stop) for stream in streams]
        fields["augmented_features"] = np.stack(features)
        if recipe.keep_sound:
            sounds = [read_samples(stream, start, stop) for stream in streams]
            fields["augmented_sound"] = np.stack(sounds)
        return fields


def _closures(
    clip: Clip, audio: Audio, first: int
) -> Float32[np.ndarray, "k 2"] | None:
    """Return the closures of p, b and m in frames from the record's first one; None
    where they are unknown."""
    seconds = read_closures(clip.video)
    if seconds is None:
        return None
    # frames are counted from the sound's start
    return shift_closures((seconds - audio.start) * MOTION_FPS, first)


def _require_finite(record: ClipRecord) -> None:
    for name in ("motion", "features", "envelope"):
        if not np.isfinite(getattr(record, name)).all():
            raise ValueError(
                f"the {name} are not all finite: the checkpoint does not fit, or its weights are damaged"
            )
