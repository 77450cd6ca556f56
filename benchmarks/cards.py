"""NVIDIA's cards, as XLA is told of them to compile for them where there is none."""

from dataclasses import dataclass
from typing import Any

from jax.experimental import topologies

from benchmarks.hlo import Kernel

# NVIDIA's data sheets of the H100 and H200 (SXM), without sparsity.
PEAK = 989e12
"""Operations a second of either card's matrix units in half precision."""


@dataclass(frozen=True)
class Card:
    """A card with 132 cores of compute capability 9.0.

    Attributes:
      name: name that the driver reports.
      bandwidth: bytes a second of its memory.
      memory: bytes of its memory.
      link: bytes a second that it sends to other cards.
    """

    name: str
    bandwidth: int
    memory: int
    link: int = 450_000_000_000

    def least_time(self, kernel: Kernel) -> float:
        """Return the seconds that a kernel takes at the card's peaks."""
        # Collectives are limited by the link, the others by memory.
        is_collective = kernel.kind == "collective"
        return kernel.least_time(PEAK, self.link if is_collective else self.bandwidth)

    @property
    def target(self) -> str:
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
"""From NVIDIA's data sheets."""


def compile_targets(card: Card, count: int) -> Any:
    """Return devices that programs can be compiled for, and not run on.

    Raises:
      NotImplementedError: JAX has no plugin for CUDA here.
    """
    topology = topologies.get_topology_desc(
        "", "cuda", topology=f"1x1x{count}", target_config=card.target
    )
    return topology.devices
