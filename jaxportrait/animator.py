"""`Animator`: a picture and a voice in, frames of the picture speaking out."""

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from functools import partial
from pathlib import Path
from threading import Lock
from typing import Literal, TypeVar, get_args

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import Array, Float, Int16, UInt8

from jaxportrait.animation import Animation, Frame, Portrait, Sampling
from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.drivers.flow import load_flow
from jaxportrait.media.audio import Audio
from jaxportrait.media.crop import (
    SOURCE_SCALE,
    crop_face,
    frame_face,
    network_input,
    to_full_resolution,
)
from jaxportrait.media.faces import (
    Detector,
    DetectorName,
    choose_face,
    detect_faces,
    open_detector,
)
from jaxportrait.media.image import read_image, reduce
from jaxportrait.media.paste import (
    PasteBack,
    color_correction,
    mask_border,
    motion_border,
    soft_mask,
)
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.space import MOTION_FPS
from jaxportrait.pipeline.encode import encode_source
from jaxportrait.pipeline.render import render, stitch_keypoints
from jaxportrait.pipeline.retarget import ClipArrays, Driving, compose, find_rest
from jaxportrait.types import Source

T = TypeVar("T")
DType = Literal["auto", "float32", "bfloat16", "float16"]
PER_FRAME = ("warping", "generator")
PRECISIONS = {
    "float32": ("float32", "float32"),
    "bfloat16": ("bfloat16", "bfloat16"),
    "float16": ("float16", "bfloat16"),
}
"""In which W and G compute, and in which the flow transformer and the audio encoder
do."""
AUTO = {"gpu": "float16", "tpu": "bfloat16"}
"""Frames of the golden networks agree with float32's to 54 dB in float16, and to 37 dB
in bfloat16, which is what TPUs have (docs/parity.md)."""
RENDERER = ("appearance", "motion", "warping", "generator")
REQUIRED = (*RENDERER, "flow_transformer")
KEYPOINT_CHUNK = 256
MAX_FPS = 240
AHEAD = 2
"""Chunks that the device may work on while the host pastes earlier ones."""


class Animator:
    """Networks, loaded once, that animate any number of portraits.

    Example:
      animator = Animator.from_checkpoint("checkpoints/liveportrait")
      animator.animate("portrait.jpg", "speech.wav").save("talking.mp4")
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: DType = "auto",
        batch_size: int | None = None,
        devices: int | None = None,
        detector: Detector | None = None,
    ):
        """Load what inference needs; the renderer's networks onto every device that
        renders.

        Args:
          dtype: in which W and G compute; the flow transformer and the audio encoder as
            `PRECISIONS` has it, what a picture needs once (F, M) and stitching in
            float32. "auto" is float16 on a GPU, bfloat16 on a TPU and float32 on a CPU.
            "float32" is full float32: the factors of products are not rounded either,
            which accelerators do by default.
          batch_size: frames that a device renders at once; by default 8 on an
            accelerator, and on a CPU 1, or 4 by networks for small pictures.
          devices: how many of this process's devices share the frames of a clip; by
            default all.
          detector: finds the face in a picture; by default the best that is at hand.

        Raises:
          CheckpointError: a part is missing or cannot be read.
          ValueError: a batch of no frames, more devices than there are, or no such
            dtype.
        """
        if batch_size is not None and batch_size < 1:
            raise ValueError(
                f"batch size is {batch_size}: at least one frame is needed"
            )
        self.mesh = _make_mesh(devices)
        checkpoint.require((*REQUIRED, checkpoint.config.audio_encoder))
        self.config, backend = checkpoint.config, jax.default_backend()
        if dtype not in get_args(DType):
            raise ValueError(
                f"dtype is {dtype!r}: choose one of {', '.join(get_args(DType))}"
            )
        frames, motion = PRECISIONS[
            AUTO.get(backend, "float32") if dtype == "auto" else dtype
        ]
        dtypes: dict[str, str] = dict.fromkeys(PER_FRAME, frames)
        self._full = frames == "float32"
        self.batch_size = batch_size or _frames_at_once(backend, self.config.image_size)
        self.detector, self._detecting = detector or open_detector(), Lock()
        optional = [part for part in ("stitching",) if part in checkpoint.parts]
        self.networks = {
            part: checkpoint.network(part, dtype=jnp.dtype(dtypes.get(part, "float32")))
            for part in (*RENDERER, *optional)
        }
        for part in self.networks:
            self.networks[part] = jax.device_put(
                self.networks[part], NamedSharding(self.mesh, P())
            )
        self.driver = load_flow(
            checkpoint, dtype=jnp.dtype(motion), full_precision=self._full
        )

    @classmethod
    def from_checkpoint(
        cls,
        path: str | Path,
        *,
        dtype: DType = "auto",
        batch_size: int | None = None,
        devices: int | None = None,
        detector: DetectorName = "auto",
        detector_models: str | Path | None = None,
    ) -> "Animator":
        """Open a checkpoint and a face detector by name; see `__init__` and
        `open_detector`."""
        found = open_detector(detector, detector_models)
        return cls(
            open_checkpoint(path),
            dtype=dtype,
            batch_size=batch_size,
            devices=devices,
            detector=found,
        )

    def prepare(
        self, image: str | Path | UInt8[np.ndarray, "h w 3"], *, face: int | None = None
    ) -> Portrait:
        """Find the face, crop it, and encode it. Threads may call it at once; one
        detects at a time.

        Of a crop that is tighter than LivePortrait's, the unmoved frame is rendered as
        well.

        Args:
          image: a file, or an RGB picture with even sides, of which a copy is kept.
          face: which face to animate, 0 the largest; by default that.

        Raises:
          NoFaceError: nothing was found by any detector tried.
          ValueError, OSError: the picture cannot be read, or `face` is not there.
        """
        whole = read_image(image) if isinstance(image, str | Path) else _checked(image)
        reduced = reduce(whole)
        with self._detecting:
            faces = detect_faces(reduced, self.detector)
        chosen = choose_face(faces, face)
        zoom = 1.0 if self.detector.keeps_crop else self.config.crop_zoom
        crop = crop_face(reduced, frame_face(chosen.hull, SOURCE_SCALE / zoom))
        picture = network_input(crop, self.config.image_size)
        crop = to_full_resolution(crop, reduced.shape, whole.shape)
        source, correction = self._encode(picture), None
        if zoom > 1:
            source, correction = self._meet_surroundings(source, picture, zoom)
        size = (whole.shape[1], whole.shape[0])
        side = crop.image.shape[0]
        paste = PasteBack(
            whole,
            crop.crop_to_image,
            side,
            soft_mask(side, mask_border(zoom)),
            correction,
        )
        return Portrait(source, paste, size, picture, len(faces) - 1)

    def animate(
        self,
        image: str | Path | UInt8[np.ndarray, "h w 3"] | Portrait,
        audio: str | Path | Audio,
        *,
        sampling: Sampling = Sampling(),
        driving: Driving = Driving(),
        output_fps: float = MOTION_FPS,
    ) -> Animation:
        """The clip of a portrait speaking: its motion is made here, its frames as they
        are taken.

        Args:
          audio: a sound file, or samples as `Audio`.
          output_fps: frames a second; the motion, made at 30, is resampled to it.
        """
        self.check_driving(driving)
        portrait = image if isinstance(image, Portrait) else self.prepare(image)
        sound = audio if isinstance(audio, Audio) else Audio.open(audio)
        count, frames = frame_counts(sound.duration, output_fps)
        motion = self.sample(sound, frames, sampling).resample(output_fps, count)
        keypoints = self.drive(portrait.source, motion, driving)
        return Animation(
            portrait.size,
            output_fps,
            sound,
            keypoints,
            partial(self._frames, portrait, keypoints),
        )

    def sample(
        self, audio: Audio, frames: int, sampling: Sampling = Sampling()
    ) -> MotionClip:
        """The motion of so many frames at 30 a second, made of sound."""
        driver = replace(self.driver, sampling=sampling)
        return driver.make(audio, seed=sampling.seed, frames=frames)

    def drive(
        self, source: Source, motion: MotionClip, driving: Driving = Driving()
    ) -> np.ndarray:
        """Driving keypoints of every frame of a whole clip, (n, k, 3), made a chunk at
        a time.

        It is counted from the clip's own rest (`find_rest`), so a part of a clip is
        not driven as within the whole.
        """
        self.check_driving(driving)
        source = self._spread(source)
        rest, chunks = find_rest(motion, "mixed"), []
        for start in range(0, len(motion), KEYPOINT_CHUNK):
            chunk = motion[start : start + KEYPOINT_CHUNK].pad(KEYPOINT_CHUNK)
            keypoints = compose(
                source,
                ClipArrays.of_clip(chunk),
                rest and ClipArrays.of_clip(rest),
                composition=driving.composition,
                relative=driving.relative_motion,
            )
            if driving.stitching:
                keypoints = stitch_keypoints(
                    self.networks["stitching"], source, keypoints
                )
            chunks.append(np.asarray(keypoints))
        return np.concatenate(chunks)[: len(motion)]

    def check_driving(self, driving: Driving) -> None:
        """Raise a ValueError unless these networks can be driven so."""
        space = self.driver.network.config.motion_space
        if driving.composition == "original" and space != "lip":
            raise ValueError(
                f'composition "original" moves lips alone, and this transformer makes {space}: use "source"'
            )
        if driving.stitching and "stitching" not in self.networks:
            raise ValueError(
                "stitching was asked for, and the checkpoint holds no stitching network: convert it again"
            )

    def render(
        self, source: Source, keypoints: Float[np.ndarray, "frames k 3"]
    ) -> Iterator[UInt8[np.ndarray, "batch s s 3"]]:
        """Crops with these driving keypoints, `batch_size` a device at a time; the last
        chunk repeats its last one.

        The devices are given work ahead of what is waited for.
        """
        source, shares, running = (
            self._spread(source),
            NamedSharding(self.mesh, P("data")),
            deque[Array](),
        )
        for chunk in _chunks(keypoints, self.batch_size * self.mesh.size):
            driving = jax.device_put(chunk, shares)
            with self._products():
                running.append(
                    render(
                        self.networks["warping"],
                        self.networks["generator"],
                        source,
                        driving,
                    )
                )
            if len(running) > AHEAD:
                yield np.asarray(running.popleft())
        while running:
            yield np.asarray(running.popleft())

    def warm_up(
        self,
        seconds: float = 10.0,
        *,
        sampling: Sampling = Sampling(),
        driving: Driving = Driving(),
        output_fps: float = MOTION_FPS,
    ) -> None:
        """Compile what clips of up to so many seconds need, so that the first of them
        starts at once.

        With a compilation cache (`jax_compilation_cache_dir`; with
        `jax_persistent_cache_min_compile_time_secs` 0 also of small programs) other
        processes start from what this one compiled.
        """
        self.check_driving(driving)
        size, (_, frames) = self.config.image_size, frame_counts(seconds, output_fps)
        source = self._encode(np.zeros((size, size, 3), np.uint8))
        driver = replace(self.driver, sampling=sampling)
        driver.warm_up(frames)
        values = np.zeros((1, driver.space.width), np.float32)
        motion = MotionClip.from_values(values, driver.space, driver.fps)
        for _ in self.render(source, self.drive(source, motion, driving)):
            pass

    def _products(self) -> AbstractContextManager[object]:
        """How products are computed by the programs that are traced within."""
        return jax.default_matmul_precision("highest") if self._full else nullcontext()

    def _spread(self, source: Source) -> Source:
        """The source on every device; that of another animator may lie on others."""
        return jax.device_put(source, NamedSharding(self.mesh, P()))

    def _encode(self, picture: UInt8[np.ndarray, "s s 3"]) -> Source:
        """A face's crop, as the renderer reads it."""
        return encode_source(
            *(self.networks[part] for part in ("appearance", "motion", "warping")),
            picture[None],
        )

    def _meet_surroundings(
        self, source: Source, picture: UInt8[np.ndarray, "s s 3"], zoom: float
    ) -> tuple[Source, Int16[np.ndarray, "S S 3"]]:
        """The source of a tight crop, whose motion fades to none at the border, and
        what its frames lack of colour.

        One frame is looked at, and a chunk rendered: frames of a clip will need that
        program anyway.
        """
        mobility = soft_mask(source.volume.shape[2], motion_border(zoom))
        source = replace(source, mobility=mobility[None])
        rest = next(self.render(source, np.asarray(source.keypoints)))[0]
        return source, color_correction(picture, rest)

    def _frames(
        self,
        portrait: Portrait,
        keypoints: Float[np.ndarray, "frames k 3"],
        finish: Callable[[Frame], T],
    ) -> Iterator[T]:
        """Render chunks ahead on the device, paste and finish frames in threads, and
        give them in order."""
        with ThreadPoolExecutor(thread_name_prefix="paste") as pool:
            left = len(keypoints)
            for crops in self.render(portrait.source, keypoints):
                yield from pool.map(
                    lambda crop: finish(portrait.paste(crop)), crops[:left]
                )
                left -= len(crops)


def check_rate(output_fps: float) -> None:
    """Raise a ValueError unless clips can be made at so many frames a second."""
    if not 1 <= output_fps <= MAX_FPS:
        raise ValueError(
            f"output fps is {output_fps:g}: it must be from 1 to {MAX_FPS}"
        )


def frame_counts(seconds: float, output_fps: float) -> tuple[int, int]:
    """Of a clip: its frames, and those of the motion at 30 a second from which they are
    resampled.

    Raises:
      ValueError: no usable frame rate.
    """
    check_rate(output_fps)
    count = max(1, round(seconds * output_fps))
    return count, int(np.ceil((count - 1) * MOTION_FPS / output_fps)) + 1


def _checked(image: np.ndarray) -> UInt8[np.ndarray, "h w 3"]:
    """A copy of a picture; raise a ValueError if it is none that can be animated."""
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
        raise ValueError(
            f"the picture is {image.dtype}, {image.shape}: give RGB as uint8 (height, width, 3)"
        )
    if image.shape[0] % 2 or image.shape[1] % 2 or not image.size:
        raise ValueError(
            f"the picture is {image.shape[1]}x{image.shape[0]}: its sides must be even, crop a pixel"
        )
    return image.copy()


def _frames_at_once(backend: str, image_size: int) -> int:
    """A batch that keeps a device busy; a CPU takes 0.85 of the time a frame by four of
    the demo's, of 128 pixels."""
    if backend != "cpu":
        return 8
    return 4 if image_size <= 128 else 1


def _make_mesh(devices: int | None) -> Mesh:
    """So many of this process's devices, along the axis `data`."""
    found = jax.local_devices()
    if devices is not None and not 1 <= devices <= len(found):
        raise ValueError(f"devices is {devices}: choose from 1 to {len(found)}")
    return Mesh(np.array(found[:devices]), ("data",))


def _chunks(values: np.ndarray, size: int) -> Iterator[np.ndarray]:
    """Pieces of one size; the last repeats its last row."""
    for start in range(0, len(values), size):
        piece = values[start : start + size]
        yield np.concatenate([piece, np.repeat(piece[-1:], size - len(piece), axis=0)])
