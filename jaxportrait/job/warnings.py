"""The warnings of a job, as data: each for one subject, or None."""

from jaxportrait import demo
from jaxportrait.animator import Animator
from jaxportrait.job.events import JobWarning
from jaxportrait.job.request import Networks, PictureRequest, Request
from jaxportrait.media.audio import Audio
from jaxportrait.media.faces import MESH_REMEDY
from jaxportrait.media.write import choose_container
from jaxportrait.media.write.containers import H264
from jaxportrait.media.write.level import longest_side, passes_level
from jaxportrait.portrait import PortraitVideo, Subject


def sound_warning(audio: Audio | None) -> JobWarning | None:
    """Warn of stretches of the recording that silence replaces."""
    if audio is None or not audio.flaw:
        return None
    message = f"{audio.path}: {audio.flaw}, use an intact copy if there is one"
    return JobWarning("sound", message)


def level_warning(
    request: Request, size: tuple[int, int], fps: float
) -> JobWarning | None:
    """Warn of a video that many players cannot show."""
    width, height = size
    is_h264 = choose_container(request.output).pictures == H264
    if not is_h264 or not passes_level((width, height), fps):
        return None
    side = longest_side((width, height), fps)
    return JobWarning(
        "level",
        f"a video of {width}x{height} pixels at {fps:g} frames/s is beyond H.264's level 5.2, "
        f"and many players do not show it: limit its longest side to {side} by max_size",
    )


def photograph_warning(
    request: PictureRequest, networks: Networks
) -> JobWarning | None:
    """Warn of a picture that the demo's networks were not trained for."""
    if networks.checkpoint != demo.CHECKPOINT or request.source == demo.PORTRAIT:
        return None
    return JobWarning(
        "networks",
        "the demo's networks know only drawn heads, and photographs come out smeared: use another checkpoint",
    )


def detector_warning(
    request: PictureRequest, networks: Networks, animator: Animator
) -> JobWarning | None:
    """Warn where only the Haar cascade is available, and say how to get the face mesh."""
    detector = animator.detector
    # The demo's own picture is found as well by the cascade.
    if request.source == demo.PORTRAIT or not detector.is_fallback:
        return None
    message = (
        "the Haar cascade frames faces less exactly than the face mesh, and misses rolled ones: "
        f"to get the mesh, {MESH_REMEDY}"
    )
    # A folder that was named should have held a better one.
    if networks.detector_models is not None:
        message += f" ({'; '.join(detector.passed_over)})"
    return JobWarning("detector", message)


def uncertain_warning(portrait: Subject) -> JobWarning | None:
    """Warn of a face that the detector is not sure of."""
    if portrait.doubt is None:
        return None
    return JobWarning(
        "faces", f"{portrait.doubt}: look at the video, or use another picture"
    )


def faces_warning(request: PictureRequest, portrait: Subject) -> JobWarning | None:
    """Warn of faces among which the largest was chosen."""
    if not portrait.passed_over or request.face is not None:
        return None
    count = portrait.passed_over + 1
    return JobWarning(
        "faces",
        f"{count} faces found, animating the largest: choose another with face=N",
    )


def absence_warning(portrait: Subject) -> JobWarning | None:
    """Warn of times at which a source video shows no face."""
    if not isinstance(portrait, PortraitVideo) or not portrait.absences:
        return None
    return JobWarning(
        "faces", f"{portrait.absences} of the source video: its frames stay as they are"
    )
