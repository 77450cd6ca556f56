"""`Animator`: a picture and a voice in, frames of the picture speaking out."""

from collections.abc import Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import TypeGuard, cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import UInt8

from jaxportrait.animation import (
    Animation,
    AudioPriority,
    Sampling,
    check_together,
    choose_rate,
    choose_sound,
    copy_picture,
    frame_counts,
    match_length,
    usable_rate,
)
from jaxportrait.checkpoint import AUTO_DRIVER, Checkpoint, open_checkpoint
from jaxportrait.devices import DType as DType
from jaxportrait.drivers.base import (
    Driver,
    FaceDriver,
    SourceFace,
    original_composition,
)
from jaxportrait.drivers.registry import load_driver
from jaxportrait.drivers.video import DrivingCrop, VideoDriver
from jaxportrait.media.audio import Audio, mix_audio
from jaxportrait.media.crop import SOURCE_SCALE
from jaxportrait.media.faces import (
    Detector,
    DetectorName,
    Face,
    NoFaceError,
    open_detector,
    open_irises,
)
from jaxportrait.media.faces.box import Box, open_box
from jaxportrait.media.faces.eyeballs import eye_openness, eyeball_offsets
from jaxportrait.media.faces.mesh import MeshDetector
from jaxportrait.media.footage import Footage, is_video
from jaxportrait.media.image import read_image
from jaxportrait.media.memory import FileSource, is_file_source
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import layer_lips
from jaxportrait.motion.natural import add_natural_motion
from jaxportrait.motion.sliders import BLINK
from jaxportrait.motion.space import (
    BINS,
    KEYPOINTS,
    MOTION_SPACES,
    neutral_frames,
)
from jaxportrait.pipeline.edits import Edits, EditTrack, edit_parts
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.sliders import choose_sliders
from jaxportrait.portrait import (
    AnyPortrait,
    Portrait,
    PortraitVideo,
    Subject,
    check_no_head,
    hold_last,
    paste_in_turn,
    prepare_portrait,
    prepare_portraits,
    prepare_video,
    sync_lips,
)
from jaxportrait.ranges import OptionError
from jaxportrait.renderer import Renderer

AnySource = FileSource | UInt8[np.ndarray, "h w 3"] | Footage | AnyPortrait
"""A source: a file, a picture, or one that was prepared."""


class Animator:
    """A face detector, a renderer and a driver, loaded once for any number of clips.

    Example:
      animator = Animator.from_checkpoint("checkpoints/liveportrait")
      animator.animate("portrait.jpg", "speech.wav").save("talking.mp4")

    Attributes:
      renderer: makes frames of motion.
      driver: makes motion of sound; None where only other motion is used.
      detector: finds the face in a picture.
      detector_models: folder of model files.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: DType = "auto",
        batch_size: int | None = None,
        devices: int | None = None,
        detector: Detector | None = None,
        detector_models: str | Path | None = None,
        driver: Driver | str | None = AUTO_DRIVER,
    ):
        """Load the networks of an open checkpoint.

        Args:
          checkpoint: with F, M, W and G, and with what the driver needs.
          dtype: compute dtype of W and G; the driver computes in float32 with float32,
            and in bfloat16 otherwise. See `Renderer` for details.
          batch_size: frames that a device renders at once; see `Renderer`.
          devices: how many devices share the frames of a clip; see `Renderer`.
          detector: finds the face in a picture; by default the one that the networks'
            crops were made with, or else the best that is available.
          detector_models: folder of model files, for a driver that reads the source's
            eyes; see `open_detector`.
          driver: makes motion of sound; a name is loaded from the checkpoint, "auto" is
            its only one, and None leaves it out.

        Raises:
          CheckpointError: a part is missing or cannot be read.
          ValueError: a batch of no frames, more devices than there are, or no such
            dtype or driver.
        """
        self.renderer = Renderer(
            checkpoint, dtype=dtype, batch_size=batch_size, devices=devices
        )
        if isinstance(driver, str):
            driver = self._load_driver(checkpoint, driver)
        self.driver = driver
        self.detector = detector or open_detector(recorded=checkpoint.crop.detector)
        self.detector_models = detector_models
        self._detecting = Lock()

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | Path | Checkpoint,
        *,
        dtype: DType = "auto",
        batch_size: int | None = None,
        devices: int | None = None,
        detector: DetectorName = "auto",
        detector_models: str | Path | None = None,
        driver: Driver | str | None = AUTO_DRIVER,
    ) -> "Animator":
        """Open a checkpoint, by its path or already open, and a face detector by name.

        See `__init__` and `open_detector` for details.
        """
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = open_checkpoint(checkpoint)
        opened_detector = open_detector(
            detector, detector_models, recorded=checkpoint.crop.detector
        )
        return cls(
            checkpoint,
            dtype=dtype,
            batch_size=batch_size,
            devices=devices,
            detector=opened_detector,
            detector_models=detector_models,
            driver=driver,
        )

    def with_driver(self, checkpoint: Checkpoint, name: str) -> "Animator":
        """Return an animator with another driver, which shares the renderer.

        Args:
          checkpoint: the open checkpoint that the renderer was loaded from.
          name: a driver of it, as in `__init__`.

        Raises:
          CheckpointError: a part is missing or cannot be read.
          ValueError: there is no such driver.
        """
        animator = copy(self)
        animator.driver = self._load_driver(checkpoint, name)
        return animator

    def __repr__(self) -> str:
        driver = type(self.driver).__name__
        return f"Animator({self.renderer!r}, {driver}, detector {self.detector.name})"

    def prepare(
        self,
        image: FileSource | UInt8[np.ndarray, "h w 3"],
        *,
        face: int | None = None,
        crop_scale: float = SOURCE_SCALE,
        box: Box | None = None,
    ) -> Portrait:
        """Find the face, crop it, and encode it.

        Threads may call it at once; one of them detects at a time. For a crop that is
        tighter than LivePortrait's, the unmoved frame is rendered as well.

        Args:
          image: a picture file by its path, its content or a file object; or an RGB
            picture, which is copied. An odd last row or column is dropped.
          face: number of the face to animate, 0 the largest; by default that.
          crop_scale: side of the crop in sides of the face, before it is made tighter
            for networks that need that.
          box: left, top, width and height in pixels of a box around the face, for
            animals and other faces that no detector finds; by default one is detected.

        Raises:
          NoFaceError: none of the detectors finds a face.
          ValueError, OSError: the picture cannot be read, or there is no such face.
        """
        is_file = is_file_source(image)
        whole = read_image(image) if is_file else copy_picture(np.asarray(image))
        # Threads that prepare at once share the detector.
        detector = self._shared_detector()
        if box is not None:
            detector = open_box(box, (whole.shape[1], whole.shape[0]))
        return prepare_portrait(whole, self.renderer, detector, face, crop_scale)

    def prepare_all(
        self, image: FileSource | UInt8[np.ndarray, "h w 3"]
    ) -> list[Portrait]:
        """Find, crop and encode all faces of a picture, the largest first; see
        `prepare`."""
        is_file = is_file_source(image)
        whole = read_image(image) if is_file else copy_picture(np.asarray(image))
        return prepare_portraits(whole, self.renderer, self._shared_detector())

    def combine(
        self, portraits: Sequence[Portrait], animations: Sequence[Animation]
    ) -> Animation:
        """Return one clip in which several faces of a picture move.

        It is as long as the longest; the others hold their last frame. Their sounds are
        mixed. Its motion and keypoints are those of the longest.

        Args:
          portraits: faces of one picture, from `prepare_all`.
          animations: a clip of each of them, at one rate.

        Raises:
          ValueError: other numbers of clips than of faces, or several rates.
        """
        check_together(portraits, animations)
        longest = max(animations, key=len)
        keypoints = [
            hold_last(animation.keypoints, len(longest)) for animation in animations
        ]
        sounds = [
            animation.audio for animation in animations if animation.audio is not None
        ]
        make_frames = partial(paste_in_turn, portraits, self.renderer, keypoints)
        audio = mix_audio(sounds) if sounds else None
        return replace(longest, audio=audio, make_frames=make_frames)

    def prepare_video(
        self,
        video: str | Path | Footage,
        *,
        face: int | None = None,
        every_frame: bool = False,
    ) -> PortraitVideo:
        """Follow the face of a source video, and read its motion.

        Args:
          video: a video by its path, or opened.
          face: number of the face to animate, 0 the largest; by default that.
          every_frame: look at every frame, for options that need the openness of eyes
            and lips.

        Raises:
          NoFaceError: the detector finds no face.
          ValueError, OSError: the file cannot be read, or there is no such face.
        """
        footage = video if isinstance(video, Footage) else Footage(video)
        return prepare_video(
            footage,
            self.renderer,
            self._shared_detector(),
            face=face,
            every_frame=every_frame,
        )

    def animate(
        self,
        image: AnySource,
        audio: FileSource | Audio,
        *,
        sampling: Sampling = Sampling(),
        head: MotionClip | None = None,
        retargeting: Retargeting = Retargeting(),
        output_fps: float | None = None,
        lip_sync: bool | None = None,
    ) -> Animation:
        """Return the clip of a portrait that speaks.

        Its motion is made here, and its frames while they are iterated over. The clip is
        as long as the sound; a shorter source video is played to and fro.

        Args:
          image: a picture, as in `prepare`; a video by its path; or a portrait that was
            prepared before.
          audio: a sound file by its path, its content or a file object; or `Audio`.
          sampling: options of the driver.
          head: motion that moves all but the lips, such as a template's; a shorter one is
            played to and fro.
          retargeting: options of the source's motion.
          output_fps: frames a second, to which the driver's motion is resampled; by
            default the rate of a source video, or else the driver's own.
          lip_sync: change only the mouth of a source video, whose head and eyes move as
            before; by default for every video.
        """
        retargeting = self.check_retargeting(retargeting)
        if head is not None:
            self.renderer.check_retargeting(retargeting, moves_head=head.moves_head)
            retargeting.check_logits(has_logits=head.logits is not None)
        driver = self.sound_driver()
        portrait = self._open_source(image, retargeting)
        sampling.check_clip(
            driver,
            head=head is not None,
            retargeting=retargeting,
            is_video=portrait.fps is not None,
            lip_sync=lip_sync,
        )
        if lip_sync is None:
            lip_sync = portrait.fps is not None
        if lip_sync:
            check_no_head(head)
            portrait, retargeting = sync_lips(
                portrait, retargeting, self.renderer.keypoint_groups
            )
        # Motion and file share one exact rate.
        fps = choose_rate(output_fps, portrait.fps, driver.fps)
        sound = audio if isinstance(audio, Audio) else Audio.open(audio)
        count, frames = frame_counts(sound.duration, fps, driver.fps)
        driver = driver.with_sampling(sampling)
        if sampling.condition == "source" and isinstance(portrait, Portrait):
            # `check_clip` has let only such drivers pass.
            face_driver = cast(FaceDriver, driver)
            driver = face_driver.with_source(self.source_face(portrait))
        # One seed makes the same motion, whatever the rate of the clip.
        clip = driver.make(sound, seed=sampling.seed, frames=frames)
        motion = clip.resample(fps, count)
        if head is not None:
            motion = layer_lips(motion, head, self.renderer.keypoint_groups)
        if sampling.natural_motion and isinstance(portrait, Portrait):
            sliders = choose_sliders(portrait.source, self.renderer.keypoint_groups)
            motion = add_natural_motion(motion, sliders[BLINK].above, sampling.seed)
        portrait = portrait.play(fps, count)
        keypoints = portrait.keypoints(self.renderer, motion, "mixed", retargeting)
        make_frames = partial(portrait.frames, self.renderer, keypoints)
        return Animation(portrait.size, fps, sound, motion, keypoints, make_frames)

    def drive(
        self,
        image: AnySource,
        motion: MotionClip,
        *,
        audio: FileSource | Audio | None = None,
        retargeting: Retargeting = Retargeting(),
        output_fps: float | None = None,
        lip_sync: bool = False,
        audio_priority: AudioPriority = "driving",
    ) -> Animation:
        """Return the clip of a portrait that moves as another face does.

        The first frame of the motion leaves the portrait as it is, unless the motion is
        absolute. Motion of one frame, as of a picture, counts from a neutral face, and
        leaves the head in its place. Over a source video, the clip is as long as the
        shorter of both.

        Args:
          image: a picture, as in `prepare`; a video by its path; or a portrait that was
            prepared before.
          motion: motion of a video (see `read_motion`) or of a file (see `load_motion`).
          audio: sound of the clip, as in `animate`; by default the clip is silent.
          retargeting: options of the source's motion.
          output_fps: frames a second, to which the motion is resampled; by default the
            rate of a source video, or else the motion's own.
          lip_sync: change only the mouth of a source video.
          audio_priority: the input whose sound is kept, where both the source and the
            driving input have one.
        """
        self.renderer.check_retargeting(retargeting, moves_head=motion.moves_head)
        portrait = self._open_source(image, retargeting)
        if lip_sync:
            portrait, retargeting = sync_lips(
                portrait, retargeting, self.renderer.keypoint_groups
            )
        fps = choose_rate(output_fps, portrait.fps, motion.fps)
        if audio is not None and not isinstance(audio, Audio):
            audio = Audio.open(audio, allow_video=True)
        audio = choose_sound(portrait.audio, audio, audio_priority)
        motion, count = match_length(motion, fps, portrait.most_frames(fps))
        portrait = portrait.play(fps, count)
        rest = "neutral" if len(motion) == 1 else "first"
        keypoints = portrait.keypoints(self.renderer, motion, rest, retargeting)
        make_frames = partial(portrait.frames, self.renderer, keypoints)
        return Animation(portrait.size, fps, audio, motion, keypoints, make_frames)

    def edit(
        self,
        image: FileSource | UInt8[np.ndarray, "h w 3"] | Portrait,
        edits: Edits | EditTrack,
        *,
        stitching: bool | None = None,
    ) -> Animation:
        """Return a portrait changed by LivePortrait's sliders, as a clip of one frame or
        as many as `edits` has.

        Example:
          animator.edit("portrait.jpg", Edits(smile=1.0)).save("smile.png")

        Args:
          image: a picture, as in `prepare`, or a portrait that was prepared before.
          edits: the numbers of a picture, or of every frame of a clip; see
            `read_keyframes`.
          stitching: correct the keypoints so that shoulders and crop border stay in
            place; by default where the checkpoint has a network for it.

        Raises:
          ValueError: a network is missing, or the openness of the portrait's eyes and
            lips, which edits of it need.
        """
        track = edits if isinstance(edits, EditTrack) else EditTrack.of_edits(edits)
        # Before a face is found, which takes longer.
        edit_parts(track, self.renderer.networks, stitching)
        portrait = image if isinstance(image, Portrait) else self.prepare(image)
        motion, keypoints = self.renderer.edit(
            portrait.source, track, openness=portrait.openness, stitching=stitching
        )
        make_frames = partial(portrait.frames, self.renderer, keypoints)
        return Animation(portrait.size, track.fps, None, motion, keypoints, make_frames)

    def read_motion(self, video: str | Path, fps: float) -> MotionClip:
        """Read the motion of the largest face of a video, at so many frames a second,
        with the openness of eyes and lips where the detector tells it.

        Raises:
          NoFaceError: there is no steady face.
          ValueError, OSError: the file cannot be read.
        """
        return self.video_driver(fps, reads_openness=True).make(video)

    def video_driver(
        self,
        fps: float,
        *,
        crop: DrivingCrop = DrivingCrop(),
        reads_openness: bool = False,
    ) -> VideoDriver:
        """Return a reader of the motion of faces; see `VideoDriver` for details."""
        return VideoDriver(
            read=self.renderer.read,
            detector=self.detector,
            image_size=self.renderer.image_size,
            zoom=self.renderer.crop_zoom,
            fps=fps,
            crop=crop,
            reads_openness=reads_openness and self.detector.tells_openness,
        )

    def check_retargeting(self, retargeting: Retargeting) -> Retargeting:
        """Return the options with the composition of the driver's original; raise a
        ValueError unless the driver's motion can be used so."""
        driver = self.sound_driver()
        retargeting = retargeting.of_driver(original_composition(driver))
        self.renderer.check_retargeting(retargeting, moves_head=driver.moves_head)
        retargeting.check_logits(has_logits=original_composition(driver) == "ditto")
        if retargeting.retargets:
            raise OptionError(
                "a voice does not say how far eyes and lips open: leave out eye and lip retargeting"
            )
        return retargeting

    def source_face(self, portrait: Portrait) -> SourceFace:
        """Return the face of a portrait as a driver reads it that is conditioned on the
        source.

        Raises:
          DetectorUnavailableError: the face mesh or its iris model is missing.
          NoFaceError: the mesh does not see the face.
        """
        reader = self.detector.find
        # Another detector has no irises: the mesh reads the crop.
        if not isinstance(reader, MeshDetector) or not reader.sees_irises:
            reader = open_irises(self.detector_models)
        with self._detecting:
            mesh = reader.read_irises(portrait.crop)
        if mesh is None:
            raise NoFaceError(
                'the face mesh sees no eyes in the source: use condition "character"'
            )
        # In sides of the crop, which is square.
        points = (mesh / len(portrait.crop))[None]
        return SourceFace(
            portrait.source.motion,
            eye_openness(points).astype(np.float32),
            eyeball_offsets(points).astype(np.float32),
        )

    def warm_up(
        self,
        seconds: float = 10.0,
        *,
        sampling: Sampling = Sampling(),
        retargeting: Retargeting = Retargeting(),
        output_fps: float | None = None,
    ) -> None:
        """Compile what clips of up to so many seconds need, so that the first of them
        starts at once.

        After `jaxportrait.enable_cache()` other processes start from what this one
        compiled.
        """
        retargeting = self.check_retargeting(retargeting)
        driver = self.sound_driver()
        fps = usable_rate(driver.fps if output_fps is None else output_fps)
        _, frames = frame_counts(seconds, fps, driver.fps)
        driver.with_sampling(sampling).warm_up(frames)
        size = self.renderer.image_size
        source = self.renderer.source(np.zeros((size, size, 3), np.uint8))
        space = MOTION_SPACES["face" if driver.moves_head else "lip"]
        neutral = np.asarray(space.select(neutral_frames(1)))
        motion = MotionClip.from_values(neutral, space, fps)
        if retargeting.composition == "ditto":
            motion = replace(motion, logits=np.zeros((1, 3, BINS), np.float32))
        if sampling.natural_motion:
            motion = add_natural_motion(motion, np.zeros((KEYPOINTS, 3)), sampling.seed)
        keypoints = self.renderer.keypoints(source, motion, "mixed", retargeting)
        for _ in self.renderer.frames(source, keypoints):
            pass

    def sound_driver(self) -> Driver:
        if self.driver is None:
            raise ValueError(
                "sound needs a driver, and the animator was opened without one"
            )
        return self.driver

    def _load_driver(self, checkpoint: Checkpoint, name: str) -> Driver:
        """Load a driver that computes as precisely as the renderer."""
        precision = self.renderer.precision
        return load_driver(
            checkpoint,
            name,
            dtype=jnp.dtype(precision.motion),
            full_precision=precision.full,
        )

    def _open_source(self, image: AnySource, retargeting: Retargeting) -> Subject:
        """Return a source that was prepared, or prepare it by its content."""
        if isinstance(image, Portrait | PortraitVideo):
            subject = image
        elif isinstance(image, Footage) or is_video_file(image):
            every_frame = retargeting.needs_openness
            subject = self.prepare_video(image, every_frame=every_frame)
        else:
            subject = self.prepare(image)
        retargeting.check_source(is_video=subject.fps is not None)
        return subject

    def _shared_detector(self) -> Detector:
        """Return the detector for threads that prepare at once."""
        return replace(self.detector, find=self._find)

    def _find(self, picture: UInt8[np.ndarray, "h w 3"]) -> list[Face]:
        with self._detecting:
            return self.detector.find(picture)


def is_video_file(image: object) -> TypeGuard[str | Path]:
    """Return whether a source is a video by its path."""
    return isinstance(image, str | Path) and is_video(image)
