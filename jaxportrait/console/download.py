"""`jaxportrait download faces`: fetch model files that are not shipped."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

import tyro

from jaxportrait.console.errors import exit_on_error
from jaxportrait.console.options import parse_options
from jaxportrait.media.faces.download import ADDRESS, download_faces

SUMMARY = """Fetch model files that are published by others.

`faces` are MediaPipe's face detector, face mesh and iris model (7 MB, Apache licence)."""
EXAMPLE = "faces"


@dataclass(frozen=True)
class Options:
    """Fetch model files that are published by others.

    Attributes:
      files: the files to fetch.
      output_dir: folder to write to; by default the user's own, in which the face
        detector finds them.
      address: address of the published files, or of a mirror.
    """

    files: tyro.conf.Positional[Literal["faces"]]
    output_dir: Annotated[Path | None, tyro.conf.arg(aliases=["-o"], metavar="DIR")] = (
        None
    )
    address: Annotated[str, tyro.conf.arg(metavar="URL")] = ADDRESS


def main() -> None:
    options = parse_options(Options, "download", summary=SUMMARY, example=EXAMPLE)
    with exit_on_error(resume="the same command fetches the other files"):
        download_faces(options.output_dir, options.address, print)


if __name__ == "__main__":
    main()
