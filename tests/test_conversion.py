"""A conversion where PyTorch is not installed."""

import subprocess
import sys

from jaxportrait.checkpoint import open_checkpoint
from tests.convert_weights.test_ctranslate2 import (
    openai_tensors,
    variables_of,
    write_model,
)

WITHOUT_TORCH = """
import sys


class WithoutTorch:
    @staticmethod
    def find_spec(name, *_):
        if name == "torch":
            raise ModuleNotFoundError("no torch", name=name)


sys.meta_path.insert(0, WithoutTorch)
from jaxportrait.__main__ import main

main()
"""


def test_whisper_of_faster_whisper_is_converted_without_torch(tmp_path):
    folder = write_model(tmp_path / "whisper", variables_of(openai_tensors()))
    output = tmp_path / "checkpoint"
    words = ["convert", "--whisper", str(folder), "--output", str(output)]
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_TORCH, *words], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert open_checkpoint(output).sizes("whisper").layers == 2
