"""Published weights: their places and their download."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import NamedTuple

from convert_weights.convert import ConversionError
from convert_weights.ditto import files as ditto_files
from convert_weights.tensors import first_line
from jaxportrait.whole import write_whole

# Paths are as LivePortrait publishes them.
HUGGING_FACE_REPOSITORY = "KwaiVGI/LivePortrait"
JOYVASA_REPOSITORY = "jdh-algo/JoyVASA"
JOYVASA_FOLDER = "JoyVASA"
"""Folder of JoyVASA's files within that of LivePortrait's, as JoyVASA lays them out."""
JOYVASA_MODEL = "motion_generator/motion_generator_hubert_chinese.pt"
JOYVASA_TEMPLATE = "motion_template/motion_template.pkl"
WHISPER_FILE = "audio_processor/tiny.pt"
STITCHING_FILE = "liveportrait/retargeting_models/stitching_retargeting_module.pth"
BASE_FOLDERS = {
    False: ("liveportrait/base_models",),
    True: ("liveportrait_animals/base_models_v1.1", "liveportrait_animals/base_models"),
}
"""Folders of human and of animal weights, the newer one first."""

BASE_FILES = {
    "appearance": "appearance_feature_extractor.pth",
    "motion": "motion_extractor.pth",
    "warping": "warping_module.pth",
    "generator": "spade_generator.pth",
}


class PublishedPart(NamedTuple):
    """The place of a part among the published files.

    Attributes:
      kind: kind of the network, which chooses its key map.
      source: name of the file, which may hold several parts.
      entry: key of the state dict within the file; None where the file is one.
      metadata: key of the file's metadata, where the network's size needs it.
    """

    kind: str
    source: str
    entry: str | None = None
    metadata: str | None = None


PARTS = {
    "appearance": PublishedPart("appearance", "appearance"),
    "motion": PublishedPart("motion", "motion"),
    "warping": PublishedPart("warping", "warping"),
    "generator": PublishedPart("generator", "generator"),
    "stitching": PublishedPart(
        "stitching", "stitching_retargeting", "retarget_shoulder"
    ),
    "lip_retargeting": PublishedPart(
        "stitching", "stitching_retargeting", "retarget_mouth"
    ),
    "eye_retargeting": PublishedPart(
        "stitching", "stitching_retargeting", "retarget_eye"
    ),
    "whisper": PublishedPart("whisper", "whisper", "model_state_dict", "dims"),
    "flow_transformer": PublishedPart("flow_transformer", "flow_transformer"),
    "lmdm": PublishedPart("lmdm", "lmdm", "model_state_dict"),
    "hubert": PublishedPart("hubert", "joyvasa"),
    "motion_diffusion": PublishedPart("motion_diffusion", "joyvasa"),
    "perceptual": PublishedPart("vgg", "perceptual"),
}
"""Part -> its published place."""


STITCHING_ONLY = "stitching"
"""Ditto's file of one of LivePortrait's three networks that correct keypoints."""


def parts_of(source: str) -> dict[str, PublishedPart]:
    """Return the parts that a file holds."""
    if source == STITCHING_ONLY:
        return {STITCHING_ONLY: PARTS[STITCHING_ONLY]}
    return {name: part for name, part in PARTS.items() if part.source == source}


def find_published(
    folder: Path, *, animals: bool = False, ditto: bool = False
) -> dict[str, Path]:
    """Return the files of the published layout that `folder` holds.

    Their names are the base parts, `stitching_retargeting` and `whisper`; and
    `stitching` for Ditto's file of only that network.

    Args:
      animals: use the animal weights.
      ditto: use Ditto's copies of LivePortrait's networks where the folder has none of
        LivePortrait's own.

    Raises:
      ConversionError: the folder does not exist, or holds none of them.
    """
    if not folder.is_dir():
        raise ConversionError(
            f"no folder {folder}: pass the folder of published weights, or --download to fetch them"
        )
    files: dict[str, Path] = {}
    for base in BASE_FOLDERS[animals]:
        files = _present_files(folder / base, BASE_FILES)
        # Never some of one version and some of another.
        if files:
            break
    # Humans and animals share these.
    others = {"stitching_retargeting": STITCHING_FILE, "whisper": WHISPER_FILE}
    files |= _present_files(folder, others)
    if ditto and not animals:
        files = _with_copies(files, folder / ditto_files.FOLDER)
    if not files:
        places = [f"{base}/*.pth" for base in BASE_FOLDERS[animals]]
        places += others.values()
        if ditto:
            places.append(f"{ditto_files.FOLDER}/ditto_pytorch/models/*.pth")
        raise ConversionError(
            f"{folder} holds no published weights: looked for {', '.join(places)}"
        )
    return files


def _with_copies(files: dict[str, Path], folder: Path) -> dict[str, Path]:
    """Return files with Ditto's copies of those that are missing.

    Args:
      folder: Ditto's own.
    """
    copies = {}
    # All four networks or none: never some of one version and some of another.
    if not files.keys() & BASE_FILES.keys():
        copies |= _present_files(folder, ditto_files.RENDERER_FILES)
    if "stitching_retargeting" not in files:
        stitching = {STITCHING_ONLY: ditto_files.STITCHING_FILE}
        copies |= _present_files(folder, stitching)
    return files | copies


def _present_files(folder: Path, names: Mapping[str, str]) -> dict[str, Path]:
    """Return the paths of the named files that exist under `folder`."""
    paths = {part: folder / name for part, name in names.items()}
    return {part: path for part, path in paths.items() if path.is_file()}


def download_liveportrait(folder: Path, *, animals: bool = False) -> str | None:
    """Fetch the published LivePortrait weights into `folder`; see `_download`.

    Args:
      animals: whether the animal weights are the ones that are needed.
    """
    # The older animal weights are left out.
    patterns = ["liveportrait/*", "liveportrait_animals/base_models_v1.1/*"]
    return _download(HUGGING_FACE_REPOSITORY, folder, patterns, needed_files(animals))


def download_joyvasa(folder: Path) -> str | None:
    """Fetch JoyVASA's model and template into its folder within `folder`; see
    `_download`."""
    needed = [JOYVASA_MODEL, JOYVASA_TEMPLATE]
    return _download(JOYVASA_REPOSITORY, folder / JOYVASA_FOLDER, needed, needed)


def download_ditto(folder: Path) -> str | None:
    """Fetch Ditto's network, options and graph into its folder within `folder`; see
    `_download`."""
    needed = [ditto_files.MODEL_FILE, ditto_files.OPTIONS_FILE, ditto_files.HUBERT_FILE]
    place = folder / ditto_files.FOLDER
    return _download(ditto_files.REPOSITORY, place, needed, needed)


def _download(
    repository: str, folder: Path, patterns: list[str], needed: list[str]
) -> str | None:
    """Fetch files of a repository of Hugging Face into `folder`.

    An interrupted download resumes where it stopped.

    Args:
      patterns: files to fetch.
      needed: files without which nothing can be converted.

    Returns:
      A remark, if the download failed and the folder holds all that is needed.

    Raises:
      ConversionError: the download failed, and the folder lacks a file.
    """
    reason = _fetch(repository, folder, patterns)
    if reason is None:
        return None
    missing = _missing_files(folder, needed)
    if not missing:
        return (
            f"nothing was fetched ({reason}): {folder} holds all files that are needed"
        )
    raise ConversionError(
        f"downloading {repository} failed ({reason}), and {folder} lacks {missing[0]}: run the command "
        f"again to resume, or fetch https://huggingface.co/{repository} by hand into {folder} and "
        "leave out --download"
    )


def _fetch(repository: str, folder: Path, patterns: list[str]) -> str | None:
    """Fetch published files; return the reason if some were not fetched."""
    # Imported here: only a download needs it.
    from huggingface_hub import HfApi, snapshot_download
    from huggingface_hub.utils import filter_repo_objects

    try:
        names = HfApi().list_repo_files(repository)
        snapshot_download(repository, local_dir=folder, allow_patterns=patterns)
    # The hub raises errors of many libraries.
    except Exception as error:
        return first_line(error)
    # Without a connection, a download into a folder that exists ends with no error.
    missing = _missing_files(
        folder, filter_repo_objects(names, allow_patterns=patterns)
    )
    return f"{missing[0]} did not arrive" if missing else None


def needed_files(animals: bool) -> list[str]:
    """Return the published paths of the newest weights, of humans or of animals."""
    base = BASE_FOLDERS[animals][0]
    return [*(f"{base}/{name}" for name in BASE_FILES.values()), STITCHING_FILE]


def _missing_files(folder: Path, names: Iterable[str]) -> list[str]:
    return [name for name in names if not (folder / name).is_file()]


def whisper_names() -> list[str]:
    """Return the names of the models that openai-whisper can fetch."""
    import whisper

    return whisper.available_models()


def download_whisper(name: str, folder: Path) -> Path:
    """Fetch a Whisper model by name into `folder` through openai-whisper.

    Half a download is never kept.
    """
    import whisper

    target = folder / f"{name}.pt"
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with write_whole(target) as partial:
            download = partial.with_name("download")
            whisper.load_model(name, device="cpu", download_root=str(download))
            # `turbo` and `large` are stored under longer names.
            files = list(download.glob("*.pt"))
            files[0].replace(partial)
    # The network, the checksum and an unknown name raise errors of many types.
    except Exception as error:
        raise ConversionError(
            f"downloading Whisper {name} failed ({first_line(error)}): run the command again, or fetch {name}.pt by "
            "hand (openai-whisper lists its address) and pass its path to --whisper"
        ) from error
    return target
