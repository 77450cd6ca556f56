"""The PyTorch originals that benchmarks compare with, each in a process of its own
(`Neighbour`).

They are imported from checkouts that the user names; no line of them is part of this
project.
"""

import copy
import itertools
import sys
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import numpy as np

from benchmarks.networks import PARTS, StateDicts
from convert_weights.recipe import MODULES
from jaxportrait.motion.space import MOTION_SPACES
from train.data.records import WINDOW_FRAMES
from train.flow.config import TransformerSize
from train.flow.data import WINDOW_FEATURES

EAGER, COMPILED = "original float32", "original float16, compiled"
CLASSES = {
    "F": ("appearance_feature_extractor", "AppearanceFeatureExtractor"),
    "M": ("motion_extractor", "MotionExtractor"),
    "W": ("warping_network", "WarpingNetwork"),
    "G": ("spade_generator", "SPADEDecoder"),
}
"""Letter -> module and class of the original."""


class OriginalRenderer:
    """LivePortrait's networks, on a GPU if PyTorch has one.

    Args:
      checkout: folder of a checkout of LivePortrait.
      states: weights by part.

    Raises:
      FileNotFoundError: no checkout of LivePortrait.
    """

    def __init__(self, checkout: Path, states: StateDicts):
        import torch
        import yaml

        if not (checkout / "src" / "modules").is_dir():
            raise FileNotFoundError(
                f"{checkout} holds no src/modules: name a checkout of LivePortrait with --against"
            )
        # The checkouts are no packages.
        sys.path.insert(0, str(checkout))
        sizes = yaml.safe_load(
            (checkout / "src" / "config" / "models.yaml").read_text()
        )["model_params"]
        self.networks, self.device = {}, _device()
        for letter, part in PARTS.items():
            if part not in states:
                continue
            module, name = CLASSES[letter]
            imported = __import__(f"src.modules.{module}", fromlist=[name])
            network = getattr(imported, name)(**sizes[f"{MODULES[part]}_params"])
            network.load_state_dict(
                {key: torch.as_tensor(value) for key, value in states[part].items()}
            )
            self.networks[letter] = network.eval().to(self.device)

    @cached_property
    def halves(self) -> dict[str, Any]:
        """The same networks in half precision."""
        return {
            letter: copy.deepcopy(network).half()
            for letter, network in self.networks.items()
        }

    def compiled(self) -> dict[str, Any]:
        """Return them compiled, at the first call, for the shapes of that call only."""
        import torch

        return {
            letter: torch.compile(network, mode="max-autotune", dynamic=False)
            for letter, network in self.halves.items()
        }

    def forms(self) -> tuple[str, ...]:
        """Return the forms to run: float32, eager; on a GPU also float16, compiled."""
        return (EAGER, COMPILED) if self.device == "cuda" else (EAGER,)

    def program(
        self, name: str, inputs: dict[str, np.ndarray], form: str
    ) -> Callable[[], None]:
        """Return a call of a network, or of W and G after each other.

        Args:
          name: letter of a network, or "W+G".
          inputs: arrays of the networks' inputs by name.
          form: one of `forms`.
        """
        import torch

        compiled = form == COMPILED
        # Inputs on the device, in the form's precision.
        x = {
            name: torch.from_numpy(value).to(
                self.device, torch.float16 if compiled else None
            )
            for name, value in inputs.items()
        }
        networks = self.compiled() if compiled else self.networks
        frames = len(inputs["driving"])
        volume, source = (
            x[name].expand(frames, *x[name].shape[1:]) for name in ("volume", "source")
        )
        calls: dict[str, Callable] = {
            "F": lambda: networks["F"](x["image"]),
            "M": lambda: networks["M"](x["image"]),
            "W": lambda: networks["W"](
                volume, kp_driving=x["driving"], kp_source=source
            )["out"],
            "G": lambda: networks["G"](x["features"]),
            "W+G": lambda: networks["G"](calls["W"]()),
        }

        # On a GPU a call returns before its work is done.
        def run() -> None:
            with torch.inference_mode():
                calls[name]()
            if self.device == "cuda":
                torch.cuda.synchronize()

        return run


class OriginalTransformer:
    """The audio-driven original's flow transformer with fresh weights, on a GPU if
    PyTorch has one.

    Args:
      checkout: folder of a checkout of LivePortrait_AudioDriven.
      size: sizes of the transformer.
      audio_width: values of an audio feature.

    Raises:
      FileNotFoundError: no checkout of LivePortrait_AudioDriven.
    """

    def __init__(self, checkout: Path, size: TransformerSize, audio_width: int):
        import torch

        if not (checkout / "src" / "modules" / "animate_network.py").is_file():
            raise FileNotFoundError(
                f"{checkout} holds no src/modules/animate_network.py: name a checkout of LivePortrait_AudioDriven"
            )
        sys.path.insert(0, str(checkout))
        from src.modules.animate_network import AnimateNet  # pyright: ignore[reportMissingImports]

        # The original reads its statistics from a file.
        with NamedTemporaryFile(suffix=".pt") as statistics:
            torch.save(
                {"mean": torch.zeros(63), "std": torch.ones(63)}, statistics.name
            )
            network = AnimateNet(
                input_dim=MOTION_SPACES["lip"].width,
                aud_cond_dim=audio_width,
                hidden_dim=size.width,
                num_heads=size.heads,
                depth=size.joint_blocks + size.fused_blocks,
                fused_depth=size.fused_blocks,
                ctx_len=WINDOW_FRAMES,
                convert_len_multiplier=WINDOW_FEATURES / WINDOW_FRAMES,
                v2=True,
                statistic_path=statistics.name,
            )
        self.device = _device()
        self.network: Any = network.to(self.device)

    def sampler(
        self, features: np.ndarray, steps: int, guidance: float, half: bool
    ) -> Callable[[], None]:
        """Return a call of its sampling: all windows of a clip in one batch.

        Args:
          features: audio features of every window, (windows, audio frames, width).
          steps: number of Euler steps.
          guidance: scale of classifier-free guidance.
          half: compute in bfloat16, as far as autocast does.
        """
        import torch

        network = self.network
        audio = torch.from_numpy(features).to(self.device)
        times = torch.linspace(0, 1, steps + 1)

        def run() -> None:
            with (
                torch.inference_mode(),
                torch.autocast(self.device, torch.bfloat16, enabled=half),
            ):
                motion = torch.randn(
                    len(audio),
                    network.latent_seq_len,
                    network.latent_dim,
                    device=audio.device,
                )
                conditions = (
                    network.preprocess_conditions(audio),
                    network.get_empty_conditions(len(audio)),
                )
                for time, following in itertools.pairwise(times):
                    motion = motion + (following - time) * network.ode_wrapper(
                        time, motion, *conditions, guidance
                    )
                network.unnormalize(motion).cpu()

        return run

    def update(self, batch: dict[str, np.ndarray], half: bool) -> Callable[[], None]:
        """Return a call of an update of its weights.

        It is forward, mean squared error, backward, clip and AdamW.

        Args:
          batch: `motion` and `features` of windows.
          half: compute in bfloat16, as far as autocast does.
        """
        import torch

        network = self.network.train()
        adamw = torch.optim.AdamW(
            network.parameters(), lr=1e-4, betas=(0.9, 0.95), weight_decay=1e-6
        )
        motion, features = (
            torch.from_numpy(batch[name]).to(self.device).float()
            for name in ("motion", "features")
        )

        # A straight path from motion to noise, whose velocity is their difference.
        def run() -> None:
            noise = torch.randn_like(motion)
            time = torch.sigmoid(torch.randn(len(motion), device=motion.device))
            at = time[:, None, None]
            with torch.autocast(self.device, torch.bfloat16, enabled=half):
                velocity = network((1 - at) * noise + at * motion, features, time)
                loss = (velocity.float() - (motion - noise)).square().mean()
            adamw.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            adamw.step()
            loss.item()

        return run


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"
