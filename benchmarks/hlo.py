"""What a compiled program runs, read from its text: kernels, with the bytes that they
move and their operations."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

Kind = Literal["convolution", "matrix product", "gather", "copy", "collective", "other"]

BYTES = {
    "pred": 1,
    "s8": 1,
    "u8": 1,
    "s32": 4,
    "u32": 4,
    "s64": 8,
    "u64": 8,
    "f16": 2,
    "bf16": 2,
    "f32": 4,
    "f64": 8,
    "token": 0,
}
NO_KERNEL = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
}
MOVES = {"transpose", "copy", "bitcast", "parameter", "constant"}
"""Of a fusion that only changes the order of what it reads."""
COLLECTIVES = (
    "all-reduce",
    "all-gather",
    "reduce-scatter",
    "all-to-all",
    "collective-permute",
)
PRODUCTS = {"dot", "convolution"}
SLICES = {"slice", "dynamic-slice"}
ARRAY = re.compile(r"(\w+)\[([\d,]*)\]")
INSTRUCTION = re.compile(
    r"\s+(?:ROOT )?%(?P<name>\S+) = (?P<shape>\(.*?\)|\S+) (?P<opcode>[a-z][\w-]*)\((?P<rest>.*)"
)
WORKSPACE = re.compile(r", [su]8\[\d+\]\{0\}\)$")
"""The last result of a library's call: memory that it may scribble in."""
COMPUTATION = re.compile(r"(?P<entry>ENTRY )?%(?P<name>\S+) \(")


@dataclass(frozen=True)
class Instruction:
    """A line of a program's text.

    Attributes:
      shape: of its result, or of a tuple of results.
      rest: operands and attributes.
    """

    name: str
    shape: str
    opcode: str
    rest: str

    @property
    def operands(self) -> list[str]:
        return re.findall(r"%([\w.-]+)", self.rest[: self.rest.index(")")])

    def attribute(self, pattern: str) -> str | None:
        """What the first group of `pattern` finds among the attributes."""
        found = re.search(pattern, self.rest)
        return found and found[1]


@dataclass(frozen=True)
class Kernel:
    """A kernel, or a call of a library.

    Attributes:
      flops: of products, a multiplication and an addition counted as two; those of
        anything else are left out.
      moved: bytes that it reads and writes, each counted once.
      calls: how often it runs, in a loop.
    """

    name: str
    kind: Kind
    flops: float
    moved: float
    calls: int

    def least_time(self, flops: float, bandwidth: float) -> float:
        """Seconds that all calls take at the least on a device of so many operations
        and bytes a second."""
        return self.calls * max(self.flops / flops, self.moved / bandwidth)


def read_kernels(text: str) -> list[Kernel]:
    """The kernels of a compiled program.

    Raises:
      ValueError: it holds a loop whose length is not known.
    """
    computations, entry = _parse(text)
    return list(_kernels(computations, entry, 1))


def _parse(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """Computation -> its instructions by name; and which one is the program."""
    computations: dict[str, dict[str, Instruction]] = {}
    entry, current = "", {}
    for line in text.splitlines():
        if line.endswith("{") and (head := COMPUTATION.match(line)):
            computations[head["name"]] = current = {}
            entry = head["name"] if head["entry"] else entry
        elif found := INSTRUCTION.match(line):
            current[found["name"]] = Instruction(**found.groupdict())
    return computations, entry


def _kernels(
    computations: Mapping[str, Mapping[str, Instruction]], name: str, calls: int
) -> Iterator[Kernel]:
    instructions = computations[name]
    for instruction in instructions.values():
        if instruction.opcode in NO_KERNEL or instruction.opcode.endswith("-done"):
            continue
        if instruction.opcode == "while":
            trips = instruction.attribute(r'known_trip_count":\{"n":"(\d+)"')
            if trips is None:
                raise ValueError(
                    f"the loop {instruction.name} runs until its condition says so"
                )
            yield from _kernels(
                computations,
                str(instruction.attribute(r"body=%([\w.-]+)")),
                calls * int(trips),
            )
        elif instruction.opcode == "call":
            yield from _kernels(
                computations, str(instruction.attribute(r"to_apply=%([\w.-]+)")), calls
            )
        else:
            fused = computations.get(
                str(instruction.attribute(r"calls=%([\w.-]+)")), {}
            )
            yield _kernel(instruction, instructions, fused, calls)


def _kernel(
    instruction: Instruction,
    among: Mapping[str, Instruction],
    fused: Mapping[str, Instruction],
    calls: int,
) -> Kernel:
    shapes = [
        among[operand].shape for operand in instruction.operands if operand in among
    ]
    made = (
        WORKSPACE.sub("", instruction.shape)
        if instruction.opcode == "custom-call"
        else instruction.shape
    )
    moved = _size(made) + sum(_size(shape) for shape in _read(shapes, fused))
    products = [
        (step, fused) for step in fused.values() if step.opcode in PRODUCTS
    ] or [(instruction, among)]
    flops = sum(_flops(step, others) for step, others in products)
    return Kernel(instruction.name, _kind(instruction, fused), flops, moved, calls)


def _read(shapes: Sequence[str], fused: Mapping[str, Instruction]) -> Iterator[str]:
    """What a fusion reads of its operands: of those that it only slices, the slices."""
    users: dict[str, list[Instruction]] = {}
    for step in fused.values():
        for operand in step.operands if step.opcode != "parameter" else ():
            users.setdefault(operand, []).append(step)

    def readers(name: str) -> Iterator[Instruction]:
        for user in users.get(name, ()):
            yield from readers(user.name) if user.opcode == "bitcast" else (user,)

    parts = {
        int(step.rest[: step.rest.index(")")]): [
            reader.shape for reader in readers(name)
        ]
        for name, step in fused.items()
        if step.opcode == "parameter"
        and all(reader.opcode in SLICES for reader in readers(name))
    }
    for number, shape in enumerate(shapes):
        yield from parts.get(number, [shape])


def _kind(instruction: Instruction, fused: Mapping[str, Instruction]) -> Kind:
    opcodes = {step.opcode for step in fused.values()} or {instruction.opcode}
    target = instruction.attribute(r'custom_call_target="([^"]+)"') or ""
    if instruction.opcode.startswith(COLLECTIVES):
        return "collective"
    if "convolution" in opcodes or "conv" in target:
        return "convolution"
    if "dot" in opcodes or "gemm" in target or "cublas" in target:
        return "matrix product"
    if "gather" in opcodes:
        return "gather"
    return "copy" if opcodes <= MOVES else "other"


def _flops(instruction: Instruction, among: Mapping[str, Instruction]) -> float:
    """Of a convolution or a matrix product; 0 of anything else."""
    result = _dimensions(instruction.shape)
    operands = [
        _dimensions(among[operand].shape)
        for operand in instruction.operands
        if operand in among
    ]
    if labels := instruction.attribute(r"dim_labels=\w+_(\w+)->"):
        return 2 * prod(result) * prod(operands[1]) / operands[1][labels.index("o")]
    contracted = instruction.attribute(
        r'lhs_contracting_dim(?:ension)?s"?[=:][{\[]([\d,"]+)[}\]]'
    )
    if contracted is None:
        return 0
    return (
        2
        * prod(result)
        * prod(operands[0][int(axis.strip('"'))] for axis in contracted.split(","))
    )


def _dimensions(shape: str) -> Sequence[int]:
    """Of an array, or of the first one of a tuple."""
    found = ARRAY.search(shape)
    return [int(size) for size in found[2].split(",") if size] if found else []


def _size(shape: str) -> int:
    """Bytes of an array, or of all arrays of a tuple."""
    arrays = ARRAY.findall(shape)
    return sum(
        BYTES[dtype] * prod(int(size) for size in sizes.split(",") if size)
        for dtype, sizes in arrays
    )
