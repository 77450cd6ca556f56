"""The demo that ships with the package: small networks, a portrait and a sentence.
README.md tells of them."""

from importlib.resources import files
from pathlib import Path

FOLDER = Path(str(files(__name__)))
CHECKPOINT = FOLDER / "checkpoint"
PORTRAIT = FOLDER / "portrait.png"
SENTENCE = FOLDER / "sentence.m4a"
