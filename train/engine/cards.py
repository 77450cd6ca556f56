"""Cards that training may run on, and their peaks, from NVIDIA's data sheets.

Peaks are those of dense matrix products that add up in float32.
"""

from dataclasses import dataclass, field

GIGA = 10**9
TERA = 10**12


@dataclass(frozen=True)
class Card:
    """A card's name and its limits.

    Attributes:
      name: name that the driver reports, and JAX as a device's kind.
      half: operations a second of matrix products in half precision.
      single: those of float32, which XLA multiplies as TF32 unless it is told
        otherwise.
      bandwidth: bytes a second of its memory.
    """

    name: str
    half: float
    single: float
    bandwidth: float = field(repr=False)

    def peak(self, dtype: str) -> float:
        """Return the operations a second of a compute dtype."""
        return self.single if dtype == "float32" else self.half


H100 = Card("NVIDIA H100 80GB HBM3", 989 * TERA, 495 * TERA, 3352.32 * GIGA)
H200 = Card("NVIDIA H200", 989 * TERA, 495 * TERA, 4800 * GIGA)
# Sparse figures of the sheets are halved.
CARDS = (
    H100,
    H200,
    Card("NVIDIA H100 PCIe", 756 * TERA, 378 * TERA, 2000 * GIGA),
    Card("NVIDIA A100-SXM4-80GB", 312 * TERA, 156 * TERA, 2039 * GIGA),
    Card("NVIDIA A100 80GB PCIe", 312 * TERA, 156 * TERA, 1935 * GIGA),
    Card("NVIDIA A100-SXM4-40GB", 312 * TERA, 156 * TERA, 1555 * GIGA),
    Card("NVIDIA L40S", 362 * TERA, 183 * TERA, 864 * GIGA),
    Card("NVIDIA L4", 121 * TERA, 60 * TERA, 300 * GIGA),
    Card("NVIDIA GeForce RTX 4090", 165 * TERA, 82.6 * TERA, 1008 * GIGA),
    Card("NVIDIA GeForce RTX 3090", 71 * TERA, 35.6 * TERA, 936 * GIGA),
)


def find_card(name: str) -> Card | None:
    """Return the card of a device's kind; None where its peaks are not known."""
    cards = {card.name: card for card in CARDS}
    return cards.get(name)
