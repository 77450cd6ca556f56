"""The networks of a job: checked before they are loaded, and loaded with remarks."""

from jaxportrait.animator import Animator
from jaxportrait.checkpoint import Checkpoint
from jaxportrait.job.cache import JobCache
from jaxportrait.job.events import JobNote, JobWarning, Notify
from jaxportrait.job.inputs import Inputs
from jaxportrait.job.request import Networks, PictureRequest, Request
from jaxportrait.job.stages import Stage
from jaxportrait.job.warnings import detector_warning, photograph_warning
from jaxportrait.media.faces import open_irises


def open_networks(
    request: Request, networks: Networks | Animator, inputs: Inputs
) -> tuple[Checkpoint | None, float]:
    """Check that the networks can make a clip.

    Returns:
      The open checkpoint of a description, and the rate that the clip has by default.

    Raises:
      ValueError: they cannot.
    """
    driving = inputs.driving
    checkpoint = None
    driver = None
    if isinstance(networks, Networks):
        checkpoint = networks.open(request.retargeting, driving)
        driver = networks.driver_config(checkpoint, driving)
    elif driving.uses_driver:
        driver = networks.sound_driver()
    if driver is not None:
        request.sampling.check_clip(
            driver,
            head=inputs.head is not None,
            retargeting=request.retargeting,
            is_video=inputs.source_fps is not None,
            lip_sync=request.lip_sync,
        )
        if request.sampling.condition == "source":
            # Opened again when it is used: a missing file is named at once.
            open_irises(networks.detector_models)
    # Motion of sound has the rate of its driver, other motion its own.
    return checkpoint, inputs.source_fps or (driver or driving).fps


def load_animator(
    request: PictureRequest,
    networks: Networks | Animator,
    checkpoint: Checkpoint | None,
    notify: Notify,
    stage: Stage,
    *,
    uses_driver: bool,
    cache: JobCache | None = None,
) -> Animator:
    """Return the animator of a job, loaded where it is only described.

    Args:
      checkpoint: the described one, open.
      uses_driver: load the driver of sound as well.
      cache: keeps the animator, and may hold it already.
    """
    if isinstance(networks, Animator):
        return networks
    # Loading takes seconds, so known remarks come before.
    send(notify, photograph_warning(request, networks))
    with stage("loading the networks"):
        cache = cache or JobCache()
        animator = cache.animator(networks, checkpoint, uses_driver=uses_driver)
    if networks.detector == "auto":
        notify(JobNote(animator.detector.summary))
    send(notify, detector_warning(request, networks, animator))
    return animator


def send(notify: Notify, warning: JobWarning | None) -> None:
    """Report a warning, if there is one."""
    if warning is not None:
        notify(warning)
