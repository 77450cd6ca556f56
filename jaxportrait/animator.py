"""`Animator`: a picture and a voice in, frames of the picture speaking out."""

from collections.abc import Sequence
from copy import copy
from functools import partial
from pathlib import Path
from typing import cast

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from jaxportrait.animation import (
    Animation,
    AudioPriority,
    Sampling,
    choose_rate,
    choose_sound,
    combine,
    frame_counts,
    match_length,
    usable_rate,
)
from jaxportrait.checkpoint import AUTO_DRIVER, Checkpoint, open_checkpoint
from jaxportrait.devices import DType as DType
from jaxportrait.drivers.base import (
    Driver,
    FaceDriver,
    makes_logits,
    original_composition,
    still_motion,
)
from jaxportrait.drivers.registry import load_driver
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import Detector, DetectorName, open_detector
from jaxportrait.media.memory import FileSource
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import layer_lips
from jaxportrait.motion.natural import add_natural_motion
from jaxportrait.motion.sliders import BLINK
from jaxportrait.motion.space import KEYPOINTS
from jaxportrait.pipeline.edits import Edits, EditTrack, edit_parts
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.sliders import choose_sliders
from jaxportrait.portrait import (
    AnyPicture,
    AnySource,
    Portrait,
    Preparer,
    Subject,
    check_no_head,
    sync_lips,
)
from jaxportrait.ranges import OptionError
from jaxportrait.renderer import Renderer


class Animator(Preparer):
    """A face detector, a renderer and a driver, loaded once for any number of clips.

    Example:
      animator = Animator.from_checkpoint("checkpoints/liveportrait")
      animator.animate("portrait.jpg", "speech.wav").save("talking.mp4")

    Attributes:
      driver: makes motion of sound; None where only other motion is used.
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
        renderer = Renderer(
            checkpoint, dtype=dtype, batch_size=batch_size, devices=devices
        )
        if detector is None:
            detector = open_detector(recorded=checkpoint.crop.detector)
        super().__init__(renderer, detector, detector_models)
        if isinstance(driver, str):
            driver = self._load_driver(checkpoint, driver)
        self.driver = driver

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
        return combine(portraits, animations, self.renderer)

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
        portrait = self.open_source(image, retargeting)
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
        motion = self._speak(portrait, sound, fps, sampling, head)
        portrait = portrait.play(fps, len(motion))
        keypoints = portrait.keypoints(self.renderer, motion, "mixed", retargeting)
        return self._render(portrait, motion, keypoints, fps, sound)

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
        portrait = self.open_source(image, retargeting)
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
        return self._render(portrait, motion, keypoints, fps, audio)

    def edit(
        self,
        image: AnyPicture | Portrait,
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
        return self._render(portrait, motion, keypoints, track.fps, None)

    def check_retargeting(self, retargeting: Retargeting) -> Retargeting:
        """Return the options with the composition of the driver's original; raise a
        ValueError unless the driver's motion can be used so."""
        driver = self.sound_driver()
        retargeting = retargeting.of_driver(original_composition(driver))
        self.renderer.check_retargeting(retargeting, moves_head=driver.moves_head)
        retargeting.check_logits(has_logits=makes_logits(driver))
        if retargeting.retargets:
            raise OptionError(
                "a voice does not say how far eyes and lips open: leave out eye and lip retargeting"
            )
        return retargeting

    def warm_up(
        self,
        seconds: float = 10.0,
        *,
        sampling: Sampling = Sampling(),
        retargeting: Retargeting = Retargeting(),
        output_fps: float | None = None,
    ) -> None:
        """Compile what clips of up to so many seconds need.

        After `jaxportrait.enable_cache()` other processes start from what this one
        compiled.
        """
        retargeting = self.check_retargeting(retargeting)
        driver = self.sound_driver()
        fps = usable_rate(driver.fps if output_fps is None else output_fps)
        _, frames = frame_counts(seconds, fps, driver.fps)
        driver.with_sampling(sampling).warm_up(frames)
        motion = still_motion(driver, fps)
        if sampling.natural_motion:
            motion = add_natural_motion(motion, np.zeros((KEYPOINTS, 3)), sampling.seed)
        self.renderer.warm_up(motion, retargeting)

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

    def _speak(
        self,
        subject: Subject,
        sound: Audio,
        fps: float,
        sampling: Sampling,
        head: MotionClip | None,
    ) -> MotionClip:
        """Return the motion of a sound at the rate of a clip; see `animate`."""
        driver = self.sound_driver().with_sampling(sampling)
        groups = self.renderer.keypoint_groups
        if sampling.condition == "source" and isinstance(subject, Portrait):
            # `check_clip` has let only such drivers pass.
            driver = cast(FaceDriver, driver).with_source(self.source_face(subject))
        count, frames = frame_counts(sound.duration, fps, driver.fps)
        # One seed makes the same motion, whatever the rate of the clip.
        clip = driver.make(sound, seed=sampling.seed, frames=frames)

        def complete(clip: MotionClip) -> MotionClip:
            motion = clip.resample(fps, count)
            if head is not None:
                motion = layer_lips(motion, head, groups)
            if sampling.natural_motion and isinstance(subject, Portrait):
                blink = choose_sliders(subject.source, groups)[BLINK].above
                motion = add_natural_motion(motion, blink, sampling.seed)
            return motion

        return clip.transform(complete)

    def _render(
        self,
        subject: Subject,
        motion: MotionClip,
        keypoints: Float[np.ndarray, "n k 3"],
        fps: float,
        audio: Audio | None,
    ) -> Animation:
        """Return the clip of a source, whose frames are made when they are read."""
        make_frames = partial(subject.frames, self.renderer, keypoints)
        return Animation(subject.size, fps, audio, motion, keypoints, make_frames)
