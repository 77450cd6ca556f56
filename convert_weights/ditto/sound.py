"""Golden features of the stand-in for HuBERT-large, and the counts of frames."""

from pathlib import Path

import numpy as np

from convert_weights.ditto.recipe import DittoRecipe
from convert_weights.ditto.stub import write_stub
from convert_weights.outputs import Outputs, golden_waveform
from jaxportrait.features.chunks import (
    Cutting,
    published_count,
    published_live_count,
)
from jaxportrait.features.onnx import ChunkFeatures, OnnxEncoder, check_encoder
from jaxportrait.media.audio import SAMPLE_RATE

PUBLISHED_LIVE = Cutting(lead=1920)
"""Chunks of the published command line, live."""
SHORT = Cutting(1, 3, 1)


def run_sound(recipe: DittoRecipe, names: list[str], folder: Path) -> Outputs:
    """Yield the features of the golden waveforms by the names of their figures.

    Args:
      folder: a folder to write graphs to.
    """
    cuttings = {
        "offline": Cutting(),
        "online": PUBLISHED_LIVE,
        "offline_1_3_1": SHORT,
    }
    for name in names:
        way, _, count = name.partition("/")
        if way == "stub":
            encoder = open_stub(folder, Cutting().length)
            yield name, encoder(golden_samples(recipe, Cutting().length))
        elif way in cuttings:
            samples = golden_samples(recipe, int(count))
            yield name, encode(samples, cuttings[way], folder)


def encode(samples: np.ndarray, cutting: Cutting, folder: Path) -> np.ndarray:
    """Return the features of a waveform, as many as Ditto makes."""
    encoder = open_stub(folder, cutting.length)
    check_encoder(encoder, cutting)
    # As many frames as the published program counts.
    count = published_count(len(samples))
    if cutting is PUBLISHED_LIVE:
        count = published_live_count(len(samples), cutting)
    return ChunkFeatures(encoder, cutting).encode(lambda: [samples], count)


def open_stub(folder: Path, samples: int) -> OnnxEncoder:
    """Return the stand-in for chunks of so many samples, run by ONNX Runtime."""
    path = folder / f"stub{samples}.onnx"
    if not path.exists():
        write_stub(path, samples)
    return OnnxEncoder(path)


def golden_samples(recipe: DittoRecipe, count: int) -> np.ndarray:
    return golden_waveform(recipe, count / SAMPLE_RATE)


def run_counts(lengths: np.ndarray) -> np.ndarray:
    """Return the golden table of lengths: samples, frames offline, frames live."""
    # Counts of the table are computed from its first column.
    rows = []
    for samples in lengths[:, 0]:
        live = published_live_count(int(samples), PUBLISHED_LIVE)
        rows.append([samples, published_count(int(samples)), live])
    return np.array(rows)
