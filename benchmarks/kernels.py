"""`python -m benchmarks.kernels`: what an NVIDIA GPU would run, compiled and read where
there is none.

XLA compiles for a card that it is told of, so its choices can be read on any machine:
which convolutions and matrix products it calls, what is copied only to change a layout,
what gathers, and the time that the operations or the bytes of each kernel would take at
the card's peaks. That is no measurement: `benchmarks.renderer` and `benchmarks.sampler`
measure. Nothing is tuned, which takes a card: matrix products are all the library's,
and fewer kernels are fused with them than where Triton's win. Bytes count as read from
the card's memory, though some lie in its cache.

It needs the extras `cuda12` and `train`. The networks have the published size, and no
weights.
"""

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
import tyro
from flax import nnx
from jax.experimental import topologies
from jax.sharding import Mesh, SingleDeviceSharding

from benchmarks.hlo import Kernel, read_kernels
from benchmarks.report import publish
from jaxportrait.checkpoint import Contents
from jaxportrait.drivers.flow import sample_motion
from jaxportrait.drivers.windows import GROUP, plan_windows
from jaxportrait.models.blocks import fold
from jaxportrait.models.flow_transformer import FlowTransformerConfig
from jaxportrait.models.parts import build
from jaxportrait.motion.space import MOTION_FPS, MotionStatistics
from jaxportrait.pipeline.encode import encode_source
from jaxportrait.pipeline.render import render
from train.engine.config import OptimizerConfig
from train.flow.stage import flow_program
from train.flow.step import StepConfig

COLUMNS = ("program", "kernels", "calls", "TFLOP", "GB", "of the bytes", "at peaks, ms")
WITHOUT_TUNING: dict[str, str | bool] = {"xla_gpu_enable_triton_gemm": False}
"""Triton's matrix products are chosen by timing them on the card; here the library has
all of them."""
PEAK = 989e12
"""Operations a second of either card's matrix units in halves."""


@dataclass(frozen=True)
class Card:
    """A card with 132 cores of compute capability 9.0.

    Attributes:
      bandwidth: of its memory, bytes a second.
      memory: bytes.
      link: bytes a second that it sends to other cards.
    """

    name: str
    bandwidth: int
    memory: int
    link: int = 450_000_000_000

    def rate(self, kernel: Kernel) -> int:
        """Bytes a second that a kernel can move."""
        return self.link if kernel.kind == "collective" else self.bandwidth

    @property
    def target(self) -> str:
        """As XLA is told of it."""
        return f"""
            gpu_device_info {{
              cuda_compute_capability {{ major: 9 }}
              name: "{self.name}" device_vendor: "NVIDIA Corporation" device_address_bits: 64
              core_count: 132 fpus_per_core: 128 clock_rate_ghz: 1.98 threads_per_warp: 32
              threads_per_block_limit: 1024 threads_per_core_limit: 2048
              thread_dim_limit_x: 1024 thread_dim_limit_y: 1024 thread_dim_limit_z: 64
              block_dim_limit_x: 2147483647 block_dim_limit_y: 65535 block_dim_limit_z: 65535
              registers_per_core_limit: 65536 registers_per_block_limit: 65536
              shared_memory_per_block: 49152 shared_memory_per_block_optin: 232448 shared_memory_per_core: 233472
              memory_bandwidth: {self.bandwidth} device_memory_size: {self.memory} l2_cache_size: 52428800
              runtime_version: "12.8.0" driver_version: "13.0.0" compile_time_toolkit_version: "12.8.0"
              dnn_version: "9.10.0"
            }}
            platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }} device_description_str: "{self.name}"
        """


CARDS = {
    "h100": Card("NVIDIA H100 80GB HBM3", 3_352_320_000_000, 84_942_979_072),
    "h200": Card("NVIDIA H200", 4_800_000_000_000, 151_397_597_184),
}


@dataclass(frozen=True)
class Options:
    """Read what a GPU would run.

    Attributes:
      card: that is compiled for.
      dtype: in which W and G compute; the flow transformer has bfloat16.
      batch_size: frames a call.
      seconds: of audio.
      steps: Euler steps.
      windows: of a batch, in training.
      devices: such cards on which a batch is spread.
      text: folder for the programs' texts.
      json: where to write the figures.
    """

    card: Literal["h100", "h200"] = "h200"
    dtype: Literal["float16", "bfloat16"] = "float16"
    batch_size: int = 8
    seconds: float = 60.0
    steps: int = 25
    windows: int = 64
    devices: int = 1
    text: Path | None = None
    json: Path | None = None


def main() -> None:
    options = tyro.cli(Options, description=__doc__)
    card = CARDS[options.card]
    try:
        devices = gpus(card, options.devices)
    except NotImplementedError as error:
        print(
            f"error: no compiler for NVIDIA GPUs ({error}): pip install -e '.[cuda12]'",
            file=sys.stderr,
        )
        sys.exit(2)
    place = partial(on_device, SingleDeviceSharding(devices[0]))
    programs = {
        f"{options.batch_size} frames": partial(frames_program, options, place),
        f"motion of {options.seconds:g} s": partial(motion_program, options, place),
        f"an update by {options.windows} windows": partial(
            update_program, options, devices
        ),
    }
    rows, figures = [], {}
    for name, program in programs.items():
        text = program().compile(WITHOUT_TUNING).as_text() or ""
        kernels = read_kernels(text)
        rows += rows_of(name, kernels, card)
        figures[name] = [vars(kernel) for kernel in kernels]
        if options.text is not None:
            options.text.mkdir(parents=True, exist_ok=True)
            (options.text / f"{name}.txt").write_text(text, encoding="utf-8")
    publish(
        f"{card.name}, {options.dtype}, compiled without it",
        COLUMNS,
        rows,
        figures,
        options.json,
    )


def gpus(card: Card, count: int) -> Any:
    """Devices that programs can be compiled for, and not run on.

    Raises:
      NotImplementedError: JAX has no plugin for CUDA here.
    """
    return topologies.get_topology_desc(
        "", "cuda", topology=f"1x1x{count}", target_config=card.target
    ).devices


def on_device(sharding: SingleDeviceSharding, tree: Any) -> Any:
    """The shapes of a tree of arrays, on a device."""
    return jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=sharding),
        tree,
    )


def inference_network(config: Any, dtype: str) -> nnx.Module:
    """Return the shapes of a network as `Checkpoint.network` returns it."""

    def make() -> nnx.Module:
        network = build(config, dtype=jnp.dtype(dtype), rngs=nnx.Rngs(0))
        network.eval()
        fold(network)
        nnx.update(
            network, jax.tree.map(lambda leaf: leaf.astype(dtype), nnx.state(network))
        )
        return network

    return nnx.eval_shape(make)


def frames_program(options: Options, place: Callable[[Any], Any]) -> jax.stages.Lowered:
    """A chunk of frames, as `Renderer.frames` runs it."""
    full = Contents.full()
    warping, generator = (
        inference_network(full.parts[part], options.dtype)
        for part in ("warping", "generator")
    )
    once = (
        inference_network(full.parts[part], "float32")
        for part in ("appearance", "motion")
    )
    picture = jax.ShapeDtypeStruct(
        (1, full.crop.image_size, full.crop.image_size, 3), jnp.uint8
    )
    source = jax.eval_shape(encode_source, *once, warping, picture)
    driving = jax.ShapeDtypeStruct(
        (options.batch_size, *source.keypoints.shape[1:]), jnp.float32
    )
    return render.lower(*place((warping, generator, source, driving)))


def motion_program(options: Options, place: Callable[[Any], Any]) -> jax.stages.Lowered:
    """The motion of a clip, as `FlowDriver.make` runs it, but that the number of
    windows is known when it is compiled.

    There it is not, so that clips of other lengths need no other program, and the
    length of a loop is read on the card.
    """
    config = FlowTransformerConfig.full()
    network = inference_network(config, "bfloat16")
    plan, count = plan_windows(round(options.seconds * MOTION_FPS), config, group=GROUP)

    def inputs() -> tuple[Any, ...]:
        statistics = MotionStatistics(
            jnp.zeros(config.motion_width), jnp.ones(config.motion_width)
        )
        return (
            statistics,
            jnp.zeros((plan.features, config.audio_width)),
            jax.random.key(0),
            jnp.float32(0),
        )

    def sample(
        network: Any, statistics: Any, features: Any, key: Any, guidance: Any
    ) -> jax.Array:
        fixed = partial(sample_motion, plan=plan, steps=options.steps, guided=True)
        return fixed(network, statistics, features, key, jnp.asarray(count), guidance)

    return jax.jit(sample).lower(*place((network, *jax.eval_shape(inputs))))


def update_program(options: Options, devices: Any) -> jax.stages.Lowered:
    """An update of the flow transformer's weights, as `python -m train` runs it on so
    many devices."""
    config = StepConfig(
        FlowTransformerConfig.full(), OptimizerConfig(), dtype="bfloat16"
    )
    mesh = Mesh(np.array(devices)[:, None], ("data", "fsdp"))
    return flow_program(config, 0).lower_update(options.windows, mesh)


def rows_of(name: str, kernels: Sequence[Kernel], card: Card) -> list[list[str]]:
    """A row a kind of kernels, and one for all of them."""
    kinds = sorted({kernel.kind for kernel in kernels})
    groups = {
        kind: [kernel for kernel in kernels if kernel.kind == kind] for kind in kinds
    } | {"all": list(kernels)}
    moved = {
        kind: sum(kernel.moved * kernel.calls for kernel in group)
        for kind, group in groups.items()
    }
    return [
        [
            name if kind == kinds[0] else "",
            kind,
            str(sum(kernel.calls for kernel in group)),
            f"{sum(kernel.flops * kernel.calls for kernel in group) / 1e12:.2f}",
            f"{moved[kind] / 1e9:.2f}",
            f"{moved[kind] / moved['all']:.0%}",
            f"{1e3 * sum(kernel.least_time(PEAK, card.rate(kernel)) for kernel in group):.2f}",
        ]
        for kind, group in groups.items()
    ]


if __name__ == "__main__":
    main()
