"""Ditto's option sets: keypoints that it hands to the renderer, beside those of our
composition.

Fading and offsets of single angles are options of its program that ours does not have;
they are added here between the steps of our composition.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import chain, cycle, repeat
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from convert_weights.ditto.recipe import ANGLES, DittoRecipe, read_video
from convert_weights.outputs import Outputs
from jaxportrait.drivers.blinks import (
    blink_offsets,
    published_rows,
    replace_eyes,
)
from jaxportrait.models.stitching import StitchingNetwork
from jaxportrait.motion.binned import degrees_of
from jaxportrait.motion.clip import MotionClip, Performer
from jaxportrait.motion.rotation import matrices_of
from jaxportrait.motion.space import BINS, KEYPOINTS, KeypointGroups, Region
from jaxportrait.ops.geometry import expected_degrees
from jaxportrait.pipeline.compose_ditto import (
    BinnedMotion,
    add,
    head_ratios,
    limit,
    multiply,
    place,
    subtract,
)
from jaxportrait.pipeline.correct import CorrectionNetworks, stitch_keypoints
from jaxportrait.pipeline.encode import locate_keypoints
from jaxportrait.pipeline.options import Retargeting
from jaxportrait.pipeline.retarget import drive
from jaxportrait.types import Motion, Source

FPS = 25.0
FRAMES = 6
KEYS = ("scale", *ANGLES, "t", "exp")
PICTURE_KEYS = ("exp", *ANGLES, "t")
VIDEO_KEYS = ("exp",)
"""Parts of the motion that move by default."""
DEFECTS = ("alpha_pitch", "alpha_yaw", "alpha_roll", "vad_alpha")
"""Options that show a published defect; tests run them against a reference."""
GROUPS = KeypointGroups()


@dataclass(frozen=True)
class Case:
    """An option set.

    Attributes:
      setup: options of the whole clip.
      frame: name -> value of each frame.
      video: the source is a video.
    """

    setup: Mapping[str, Any]
    frame: Mapping[str, Any]
    video: bool

    @property
    def shows_defect(self) -> bool:
        options = {**self.setup.get("overall_ctrl_info", {}), **self.frame}
        return any(name in options for name in DEFECTS)

    @property
    def weights(self) -> dict[str, float]:
        """Factor of each part that moves."""
        keys = self.setup.get("use_d_keys")
        if keys is None:
            keys = VIDEO_KEYS if self.video else PICTURE_KEYS
        return dict(keys) if isinstance(keys, Mapping) else dict.fromkeys(keys, 1.0)

    @property
    def drives_eyes(self) -> bool:
        return self.setup.get("drive_eye", not self.video)

    @property
    def relative(self) -> bool:
        return "d0" in self.setup or self.setup.get("relative_d", True)

    @property
    def is_ours(self) -> bool:
        """True for a set that our program has: no fading, and no single angle moved."""
        parts = {"use_d_keys", "overall_ctrl_info", "fade_type", "drive_eye"}
        # Weights, fading and offsets are added by this module.
        plain = not (parts & self.setup.keys()) and not self.frame
        return plain and not self.video


def read_cases(recipe: DittoRecipe) -> dict[str, Case]:
    """Return the option sets by their names."""
    cases = recipe.manifest["keypoints"]
    return {name: Case(**case) for name, case in cases.items()}


def run_cases(recipe: DittoRecipe, stitching: StitchingNetwork) -> Outputs:
    """Yield the keypoints of the option sets that show no defect."""
    still = read_source(recipe, video=False).keypoints
    # The picture is the same in every frame.
    yield "default/x_s", jnp.broadcast_to(still, (FRAMES, *still.shape[1:]))
    yield "video/x_s", read_source(recipe, video=True).keypoints
    for name, case in read_cases(recipe).items():
        if not case.shows_defect:
            yield f"{name}/x_d", drive_case(recipe, case, stitching)
    motion = BinnedMotion.of_clip(read_clip(recipe, "stitch/motion"))
    yield "degrees", expected_degrees(jnp.asarray(motion.logits)[:, 0])


def drive_case(
    recipe: DittoRecipe, case: Case, stitching: StitchingNetwork
) -> Float[Array, "n k 3"]:
    """Return the driving keypoints of an option set."""
    source = read_source(recipe, video=case.video)
    clip, rest = read_motion(recipe, case)
    stitches = case.setup.get("flag_stitching", False)
    if case.is_ours:
        networks = CorrectionNetworks(stitching=stitching if stitches else None)
        retargeting = Retargeting(
            composition="ditto", relative_motion=case.relative, stitching=stitches
        )
        keypoints = drive(source, clip, rest, retargeting, networks, groups=GROUPS)
        return jnp.asarray(keypoints)
    driven = move(source.motion, clip, rest, case)
    keypoints = pose(recipe, source.motion, driven, case)
    if stitches:
        keypoints = stitch_keypoints(stitching, source.keypoints, keypoints)
    return keypoints


def move(
    motion: Motion, clip: MotionClip, rest: MotionClip | None, case: Case
) -> BinnedMotion:
    """Return the motion of the source's own parts and of those that are driven."""
    still = BinnedMotion.of_motion(motion)
    moved = BinnedMotion.of_clip(clip)
    # The ratio of the heads first, and then the weights.
    ratios = head_ratios(clip, motion, GROUPS)
    if rest is not None:
        moved = subtract(moved, BinnedMotion.of_clip(rest))
    moved = weigh(multiply(moved, ratios), case.weights)
    if rest is not None:
        moved = add(still, moved)
    region: Region = "all" if case.drives_eyes else "lips"
    limited = limit(still, moved, region, GROUPS)
    return choose(still, moved, limited, case.weights)


def weigh(motion: BinnedMotion, weights: Mapping[str, float]) -> BinnedMotion:
    """Return motion with a factor for each part; one that does not move has 1."""
    factors = [weights.get(key, 1.0) for key in KEYS]
    # In the order of the keys.
    scale, *angles, translation, expression = factors
    return BinnedMotion(
        motion.expression * expression,
        motion.logits * np.array(angles, np.float32)[None, :, None],
        motion.translation * translation,
        motion.scale * scale,
    )


def choose(
    still: BinnedMotion,
    moved: BinnedMotion,
    limited: BinnedMotion,
    weights: Mapping[str, float],
) -> BinnedMotion:
    """Return the parts that move, and the source's others.

    Args:
      limited: motion whose expression is limited to lips and eyes.
    """
    turns = np.array([angle in weights for angle in ANGLES])[None, :, None]
    count = len(moved.expression)

    def pick(key: str, first: Any, second: Any) -> Any:
        chosen = first if key in weights else second
        # A picture has one row for all frames.
        return jnp.broadcast_to(chosen, (count, *chosen.shape[1:]))

    return BinnedMotion(
        pick("exp", limited.expression, still.expression),
        jnp.where(turns, moved.logits, still.logits),
        pick("t", moved.translation, still.translation),
        pick("scale", moved.scale, still.scale),
    )


def pose(
    recipe: DittoRecipe, still: Motion, driven: BinnedMotion, case: Case
) -> Float[Array, "n k 3"]:
    """Return the keypoints of motion, after offsets and fading."""
    options = {**case.setup.get("overall_ctrl_info", {}), **case.frame}
    if "delta_exp" in options:
        offset = recipe.input("stitch/delta_exp", (1, 63), 0.02)
        expression = driven.expression + offset.reshape(1, KEYPOINTS, 3)
        driven = replace(driven, expression=expression)
    # Offsets are of degrees: such an angle is in degrees from here on.
    offsets = {
        axis: np.asarray(options[f"delta_{angle}"], np.float32)
        for axis, angle in enumerate(ANGLES)
        if f"delta_{angle}" in options
    }
    degrees = expected_degrees(jnp.asarray(driven.logits))
    for axis, offset in offsets.items():
        degrees = degrees.at[:, axis].add(offset)
    faded, degrees = fade(still, driven, degrees, case, list(offsets))
    return place(still, faded, degrees, np.array(case.drives_eyes, np.float32))


def fade(
    still: Motion,
    driven: BinnedMotion,
    degrees: Float[Array, "n 3"],
    case: Case,
    in_degrees: list[int],
) -> tuple[BinnedMotion, Float[Array, "n 3"]]:
    """Return motion that fades to the source, or to the first frame.

    Args:
      in_degrees: axes of the angles that fade as degrees.
    """
    kind = case.setup.get("fade_type", "")
    if not kind or "fade_alpha" not in case.frame:
        return driven, degrees
    shares = np.array(case.frame["fade_alpha"], np.float32)[:, None]
    keys = case.setup.get("fade_out_keys", ("exp",)) or KEYS
    # "s" fades to the source, and "d0" to the first frame.
    target = BinnedMotion.of_motion(still)
    if kind == "d0":
        target = jax.tree.map(lambda values: values[:1], driven)

    def mix(values: Any, end: Any) -> Any:
        share = shares if values.ndim == 2 else shares[..., None]
        return share * values + (1 - share) * end

    names = {"exp": "expression", "t": "translation", "scale": "scale"}
    fields = {
        name: mix(getattr(driven, name), getattr(target, name))
        for key, name in names.items()
        if key in keys
    }
    # As published, angles fade as logits, unless an offset has made degrees of them.
    mixed = expected_degrees(mix(driven.logits, target.logits))
    for axis, angle in enumerate(ANGLES):
        if angle in keys and axis in in_degrees:
            degrees = degrees.at[:, axis].set(
                mix(degrees[:, axis : axis + 1], degrees[:1, axis : axis + 1])[:, 0]
            )
        elif angle in keys:
            degrees = degrees.at[:, axis].set(mixed[:, axis])
    return replace(driven, **fields), degrees


def read_motion(
    recipe: DittoRecipe, case: Case
) -> tuple[MotionClip, MotionClip | None]:
    """Return the clip of an option set, and the frame that it counts from."""
    clip = read_clip(recipe, "stitch/motion")
    # Offline, the first frame is the anchor.
    rest = clip[:1] if case.relative else None
    if case.setup.get("d0"):
        rest = read_clip(recipe, "stitch/anchor", 1)
    if case.setup.get("ch_info"):
        character = read_video(recipe, "character", 1)
        has_curve = "delta_eye_arr" in case.setup
        scale = float(character["scale"][0, 0, 0])
        clip = replace(clip, performer=Performer(scale, scales_eyes=not has_curve))
    if case.setup.get("delta_eye_arr") and rest is not None:
        curve = recipe.input("stitch/blink", (3, 63), 0.02)
        rows = blink_table(FRAMES, len(curve), case.setup["delta_eye_open_n"], [])
        clip = replace_eyes(clip, rest, blink_offsets(curve, rows))
    return clip, rest


def run_tables(recipe: DittoRecipe) -> Outputs:
    """Yield the rows of blinks, and the shares of fading."""
    for index, (count, fade_in, fade_out) in enumerate(recipe.manifest["fades"]):
        yield f"fades/{index}", fade_shares(count, fade_in, fade_out)
    for index, (count, length, interval) in enumerate(recipe.manifest["blinks"]):
        draws = recipe.manifest["draws"]
        yield f"blinks/{index}", blink_table(count, length, interval, draws)


def blink_table(
    count: int, length: int, interval: int | list[int], draws: list[int]
) -> np.ndarray:
    """Return the row of a blink of every frame.

    Args:
      interval: frames between blinks; 0 draws them, less than 0 makes none, and a list
        has the first, the last, and those from the second on.
      draws: drawn intervals in their order.
    """
    intervals: Iterator[int]
    if isinstance(interval, list):
        # The list starts again with its first interval.
        between = cycle([*interval[1:], interval[0]])
        intervals = chain([interval[0], interval[-1]], between)
    elif interval < 0:
        return np.zeros(count, int)
    else:
        intervals = repeat(interval) if interval else iter(draws)
    return published_rows(count, length, intervals)


def fade_shares(count: int, fade_in: int, fade_out: int) -> np.ndarray:
    """Return the share of the motion of every frame; -1 where nothing fades.

    Args:
      fade_in: frames from none of the motion to all of it; -1 does not fade in.
      fade_out: frames from all of it to none.
    """
    shares = np.full(count, -1.0)
    for frame in range(min(count, fade_in)):
        shares[frame] = frame / fade_in
    if fade_out > 0:
        for frame in range(max(0, count - fade_out - 1), count):
            shares[frame] = (count - 1 - frame) / fade_out
    return shares


def read_clip(recipe: DittoRecipe, name: str, count: int = FRAMES) -> MotionClip:
    """Return frames of the recipe's motion."""
    angles = [recipe.input(f"{name}/{angle}", (count, BINS), 1.5) for angle in ANGLES]
    logits = np.stack(angles, axis=1)
    return MotionClip(
        expression=recipe.input(f"{name}/exp", (count, 63), 0.02).reshape(-1, 21, 3),
        rotation=matrices_of(degrees_of(logits)),
        translation=recipe.input(f"{name}/t", (count, 3), 0.05),
        scale=1 + recipe.input(f"{name}/scale", (count, 1), 0.05, 0.3),
        fps=FPS,
        logits=logits,
    )


def read_source(recipe: DittoRecipe, *, video: bool) -> Source:
    """Return the source of pictures or of a video; its volumes are of no interest."""
    name, count = ("video", FRAMES) if video else ("source", 1)
    # The recipe's video has more frames than the cases use.
    whole = read_video(recipe, name, 9 if video else 1)
    values = {key: jnp.asarray(value[:count, 0]) for key, value in whole.items()}
    logits = jnp.stack([values[angle] for angle in ANGLES], axis=1)
    motion = Motion(
        keypoints=values["kp"].reshape(count, KEYPOINTS, 3),
        expression=values["exp"].reshape(count, KEYPOINTS, 3),
        pose=expected_degrees(logits),
        translation=values["t"],
        scale=values["scale"],
        logits=logits,
    )
    nothing = jnp.zeros(())
    return Source(nothing, nothing, locate_keypoints(motion), motion, nothing)
