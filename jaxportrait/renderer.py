"""`Renderer`: a picture and the motion of a clip in, frames out; it knows no driver."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Self, TypeVar

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Shaped, UInt8

from jaxportrait.checkpoint import Checkpoint, open_checkpoint
from jaxportrait.devices import (
    DType,
    choose_precision,
    copy_to_all,
    default_batch_size,
    make_mesh,
    share_rows,
)
from jaxportrait.media.faces.openness import Openness
from jaxportrait.models.parts import RENDERER
from jaxportrait.motion.clip import MotionClip
from jaxportrait.motion.layers import smooth_head
from jaxportrait.motion.space import MOTION_SPACES
from jaxportrait.pipeline.ahead import run_ahead
from jaxportrait.pipeline.correct import CorrectionNetworks
from jaxportrait.pipeline.edits import (
    EditTrack,
    edit_keypoints,
    edit_motion,
    edit_parts,
)
from jaxportrait.pipeline.encode import encode_source, fade_motion, volume_side
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.read import read_frames, read_motion
from jaxportrait.pipeline.render import render, render_video
from jaxportrait.pipeline.rest import RestPolicy, choose_rest
from jaxportrait.pipeline.retarget import check_finite, drive
from jaxportrait.pipeline.retarget_video import VideoFaces, drive_video
from jaxportrait.pipeline.sliders import choose_sliders
from jaxportrait.ranges import BatchSize, check_value
from jaxportrait.types import Source, SourceFrames

T = TypeVar("T")

PER_FRAME = ("warping", "generator")
READ_BATCH = 16
"""Pictures whose motion is read at once."""


class Renderer:
    """F, M, W, G and stitching, loaded once, on a mesh of devices.

    Example:
      renderer = Renderer.from_checkpoint("checkpoints/liveportrait")
      source = renderer.source(crop)
      keypoints = renderer.keypoints(source, clip)
      frames = np.concatenate(list(renderer.frames(source, keypoints)))

    Attributes:
      networks: by part; S and R only where the checkpoint holds them.
      mesh: devices that share the frames of a clip.
      batch_size: frames that a device renders at once.
      precision: dtypes of the networks.
      image_size: side in pixels of the crops that F and M read.
      crop_zoom: how many times tighter than LivePortrait's the networks' crops are.
      crop_detector: name of the face detector that these crops were made with; None if
        it is unknown.
      keypoint_groups: the keypoints of eyes, brows and lips.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        *,
        dtype: DType = "auto",
        batch_size: int | None = None,
        devices: int | None = None,
    ):
        """Load the networks onto every device that renders.

        Args:
          checkpoint: with F, M, W and G at least.
          dtype: compute dtype of W and G; F, M and stitching compute in float32.
            "auto" is float16 on a GPU, bfloat16 on a TPU and float32 on a CPU.
            "float32" is full float32: the factors of products are not rounded either,
            which accelerators do by default.
          batch_size: frames that a device renders at once; by default 8 on an
            accelerator, and on a CPU 1, or 4 by networks for small pictures.
          devices: how many of this process's devices share the frames of a clip; by
            default all.

        Raises:
          CheckpointError: a part is missing or cannot be read.
          ValueError: a batch of no frames, more devices than there are, or no such
            dtype.
        """
        # Before networks are loaded.
        check_value("batch_size", batch_size, BatchSize)
        self.mesh = make_mesh(devices)
        checkpoint.require(RENDERER)
        self.precision = choose_precision(dtype)
        self.image_size = checkpoint.crop.image_size
        self.crop_zoom = checkpoint.crop.zoom
        self.crop_detector = checkpoint.crop.detector
        self.keypoint_groups = checkpoint.keypoints
        self.batch_size = batch_size or default_batch_size(self.image_size)
        dtypes: dict[str, str] = dict.fromkeys(RENDERER, "float32")
        dtypes |= dict.fromkeys(PER_FRAME, self.precision.frames)
        dtypes |= dict.fromkeys(checkpoint.with_role("retargeting"), "float32")
        # Every device renders, and so has a copy of every network.
        self.networks = {
            part: self._spread(checkpoint.network(part, dtype=jnp.dtype(dtype)))
            for part, dtype in dtypes.items()
        }

    @classmethod
    def from_checkpoint(
        cls,
        checkpoint: str | Path | Checkpoint,
        *,
        dtype: DType = "auto",
        batch_size: int | None = None,
        devices: int | None = None,
    ) -> Self:
        """Open a checkpoint, by its path or already open; see `__init__` for details."""
        if not isinstance(checkpoint, Checkpoint):
            checkpoint = open_checkpoint(checkpoint)
        return cls(checkpoint, dtype=dtype, batch_size=batch_size, devices=devices)

    def __repr__(self) -> str:
        size = self.image_size
        devices = f"{self.mesh.size} device{'s' * (self.mesh.size > 1)}"
        return (
            f"Renderer({size}x{size} crops, {self.precision.frames}, {devices}, "
            f"{self.batch_size} frames at once)"
        )

    def source(self, picture: UInt8[np.ndarray, "s s 3"], zoom: float = 1.0) -> Source:
        """Encode a picture that is cropped to a face.

        Args:
          picture: RGB, `image_size` pixels a side.
          zoom: how many times tighter than LivePortrait's it is cropped. Motion fades
            to none at the border of a tighter crop, so that it meets its surroundings.
        """
        source = encode_source(
            self.networks["appearance"],
            self.networks["motion"],
            self.networks["warping"],
            picture[None],
        )
        if zoom <= 1:
            return source
        # As large as the feature volume.
        mobility = fade_motion(source.volume.shape[2], zoom)
        return replace(source, mobility=mobility)

    def read(
        self, pictures: Iterable[UInt8[np.ndarray, "s s 3"]], fps: float
    ) -> MotionClip:
        """Read the motion of pictures that are cropped to one face.

        Args:
          pictures: RGB, `image_size` pixels a side; at least one.
          fps: pictures a second.
        """
        values = read_motion(self.networks["motion"], pictures, READ_BATCH)
        return MotionClip.from_values(values, MOTION_SPACES["face"], fps)

    def keypoints(
        self,
        source: Source,
        clip: MotionClip,
        rest: RestPolicy | MotionClip = "mixed",
        retargeting: Retargeting = Retargeting(),
        openness: Openness | None = None,
    ) -> Float[np.ndarray, "n k 3"]:
        """Return the driving keypoints of every frame of a clip.

        Args:
          source: the picture's source.
          clip: whole, for the rest "mixed": a part of it isn't driven as within the
            whole.
          rest: the motion that leaves the source as it is; see `find_rest`. A clip
            passes its first frame, for the parts of a longer one.
          retargeting: options of the source's motion.
          openness: openness of the source's eyes and lips, for options that need it.

        Raises:
          ValueError: this motion or these networks cannot be driven so, or a keypoint
            is not finite.
        """
        self.check_retargeting(retargeting, moves_head=clip.moves_head)
        retargeting.check_source(is_video=False)
        # Before rest is found, which is a frame or a median of this motion.
        clip = clip.transform(partial(smooth_head, seconds=retargeting.head_smoothing))
        retargeting = self._with_stitching(retargeting)
        keypoints = drive(
            self._spread(source),
            clip,
            self._find_rest(clip, rest, retargeting),
            retargeting,
            CorrectionNetworks.of(self.networks, retargeting.parts),
            groups=self.keypoint_groups,
            openness=openness,
        )
        check_finite(keypoints, clip.fps)
        return keypoints

    def edit(
        self,
        source: Source,
        track: EditTrack,
        *,
        openness: Openness | None = None,
        stitching: bool | None = None,
    ) -> tuple[MotionClip, Float[np.ndarray, "n k 3"]]:
        """Return the motion of edits, and the driving keypoints of every frame.

        Args:
          source: the picture's source.
          openness: openness of the source's eyes and lips, for edits that set it.
          stitching: correct the keypoints so that shoulders and crop border stay in
            place; by default where there is a network for it.

        Raises:
          ValueError: a network is missing, or the openness.
        """
        parts = edit_parts(track, self.networks, stitching)
        source = self._spread(source)
        sliders = choose_sliders(source, self.keypoint_groups)
        motion, _ = edit_motion(track, source, sliders)
        networks = CorrectionNetworks.of(self.networks, parts)
        keypoints = edit_keypoints(
            source, track, networks, sliders=sliders, openness=openness
        )
        check_finite(keypoints, track.fps)
        return motion, keypoints

    def check_retargeting(self, retargeting: Retargeting, *, moves_head: bool) -> None:
        """Raise a ValueError unless these networks can drive motion so.

        Args:
          retargeting: options of the source's motion.
          moves_head: whether the motion has more than the lips' expression.
        """
        retargeting.check(self.networks, moves_head=moves_head)

    def read_video(self, crops: Iterable[UInt8[np.ndarray, "s s 3"]]) -> SourceFrames:
        """Read the keypoints and the motion of the frames of a source video.

        Args:
          crops: RGB, cropped to the face, `image_size` pixels a side; at least one.
        """
        return read_frames(self.networks["motion"], crops, READ_BATCH)

    def video_keypoints(
        self,
        faces: VideoFaces,
        clip: MotionClip,
        rest: RestPolicy | MotionClip = "first",
        retargeting: Retargeting = Retargeting(),
    ) -> Float[np.ndarray, "n k 3"]:
        """Return the driving keypoints of every frame of a clip over a source video.

        Args:
          faces: the frames' own faces.
          clip: motion of every frame, or of one that drives all of them.
          rest: the motion that leaves the frames as they are; see `keypoints`.
          retargeting: options of the source's motion.

        Raises:
          ValueError: this motion or these networks cannot be driven so, or a keypoint
            is not finite.
        """
        retargeting.check_source(is_video=True)
        self.check_retargeting(retargeting, moves_head=clip.moves_head)
        clip = clip.transform(partial(smooth_head, seconds=retargeting.head_smoothing))
        retargeting = self._with_stitching(retargeting)
        # As published, a driving picture counts from a neutral face in every region.
        anywhere = replace(retargeting, region="all")
        keypoints = drive_video(
            faces,
            clip,
            self._find_rest(clip, rest, anywhere),
            retargeting,
            CorrectionNetworks.of(self.networks, retargeting.parts),
            groups=self.keypoint_groups,
        )
        check_finite(keypoints, clip.fps)
        return keypoints

    def frames(
        self, source: Source, keypoints: Float[np.ndarray, "n k 3"]
    ) -> Iterator[UInt8[np.ndarray, "batch S S 3"]]:
        """Yield the frames with these driving keypoints, in batches of the devices.

        The devices are given work ahead of what is waited for.
        """
        source = self._spread(source)

        def render_chunk(first: int) -> tuple[Array, int]:
            driving, count = self._chunk(keypoints, first)
            with self.precision.products():
                pictures = render(
                    self.networks["warping"],
                    self.networks["generator"],
                    source,
                    driving,
                )
            return pictures, count

        return run_ahead(map(render_chunk, range(0, len(keypoints), self.chunk_size)))

    def warm_up(self, motion: MotionClip, retargeting: Retargeting) -> None:
        """Compile what clips of pictures with such motion need."""
        size = self.image_size
        source = self.source(np.zeros((size, size, 3), np.uint8))
        keypoints = self.keypoints(source, motion, "mixed", retargeting)
        for _ in self.frames(source, keypoints):
            pass

    def video_frames(
        self,
        crops: Iterable[UInt8[np.ndarray, "s s 3"]],
        source: Float[np.ndarray, "n k 3"],
        keypoints: Float[np.ndarray, "n k 3"],
        zoom: float = 1.0,
    ) -> Iterator[UInt8[np.ndarray, "batch S S 3"]]:
        """Yield the frames of a source video with these driving keypoints, in batches
        of the devices.

        Args:
          crops: the n frames, cropped to the face; they are read as they are needed.
          source: the frames' own keypoints.
          keypoints: driving keypoints.
          zoom: how many times tighter than LivePortrait's the frames are cropped.
        """
        side = volume_side(self.networks["appearance"], self.image_size)
        mobility = self._spread(fade_motion(side, zoom))
        remaining = iter(crops)

        def render_chunk(first: int) -> tuple[Array, int]:
            pictures = list(islice(remaining, self.chunk_size))
            still, _ = self._chunk(source, first)
            driving, count = self._chunk(keypoints, first)
            chunk, _ = self._chunk(np.stack(pictures), 0)
            with self.precision.products():
                rendered = render_video(
                    self.networks["appearance"],
                    self.networks["warping"],
                    self.networks["generator"],
                    chunk,
                    still,
                    driving,
                    mobility,
                )
            return rendered, count

        return run_ahead(map(render_chunk, range(0, len(keypoints), self.chunk_size)))

    @property
    def chunk_size(self) -> int:
        """Frames that all devices render at once."""
        return self.batch_size * self.mesh.size

    def _chunk(
        self, rows: Shaped[np.ndarray, "n ..."], first: int
    ) -> tuple[Array, int]:
        """Return a chunk of rows, and how many of them count; see `share_rows`."""
        return share_rows(rows, first, self.chunk_size, self.mesh)

    def _with_stitching(self, retargeting: Retargeting) -> Retargeting:
        if retargeting.stitching is not None:
            return retargeting
        # Stitching is used where there is a network for it.
        return replace(retargeting, stitching="stitching" in self.networks)

    def _find_rest(
        self,
        clip: MotionClip,
        rest: RestPolicy | MotionClip,
        retargeting: Retargeting,
    ) -> MotionClip | None:
        return choose_rest(
            clip,
            rest,
            self.keypoint_groups,
            region=retargeting.region,
            composition=retargeting.composition,
        )

    def _spread(self, values: T) -> T:
        # A source of another renderer may lie on other devices.
        return copy_to_all(values, self.mesh)
