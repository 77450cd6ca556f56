"""NVIDIA's cards, as XLA is told of them to compile for them where there is none."""

from dataclasses import dataclass
from typing import Any

from jax.experimental import topologies

from benchmarks.hlo import Kernel
from train.engine.cards import H100, H200, Card


@dataclass(frozen=True)
class Target:
    """A card with 132 cores of compute capability 9.0, which XLA compiles for.

    Attributes:
      card: its name and its peaks.
      memory: bytes of its memory.
      link: bytes a second that it sends to other cards.
    """

    card: Card
    memory: int
    link: int = 450_000_000_000

    @property
    def name(self) -> str:
        """Name that the driver reports."""
        return self.card.name

    def least_time(self, kernel: Kernel) -> float:
        """Return the seconds that a kernel takes at the card's peaks."""
        # Collectives are limited by the link, the others by memory.
        is_collective = kernel.kind == "collective"
        bandwidth = self.link if is_collective else self.card.bandwidth
        return kernel.least_time(self.card.half, bandwidth)

    @property
    def description(self) -> str:
        """The card's description, in XLA's words."""
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
              memory_bandwidth: {round(self.card.bandwidth)} device_memory_size: {self.memory} l2_cache_size: 52428800
              runtime_version: "12.8.0" driver_version: "13.0.0" compile_time_toolkit_version: "12.8.0"
              dnn_version: "9.10.0"
            }}
            platform_name: "CUDA" dnn_version_info {{ major: 9 minor: 10 }} device_description_str: "{self.name}"
        """


TARGETS = {
    "h100": Target(H100, 84_942_979_072),
    "h200": Target(H200, 151_397_597_184),
}
"""From NVIDIA's data sheets."""


def compile_targets(target: Target, count: int) -> Any:
    """Return devices that programs can be compiled for, and not run on.

    Raises:
      NotImplementedError: JAX has no plugin for CUDA here.
    """
    topology = topologies.get_topology_desc(
        "", "cuda", topology=f"1x1x{count}", target_config=target.description
    )
    return topology.devices
