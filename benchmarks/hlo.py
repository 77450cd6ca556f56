"""The kernels of a compiled program, read from its text.

Each comes with its operations and the bytes that it moves.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from math import prod
from typing import Literal

Kind = Literal["convolution", "matrix product", "gather", "copy", "collective", "other"]

# XLA's names of element types.
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
# Instructions that only name or group values.
NO_KERNEL = {
    "parameter",
    "constant",
    "tuple",
    "get-tuple-element",
    "bitcast",
    "after-all",
}
MOVES = {"transpose", "copy", "bitcast", "parameter", "constant"}
"""Operations of a fusion that only changes the order of its operands."""
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
"""The last result of a library's call: its scratch memory."""
COMPUTATION = re.compile(r"(?P<entry>ENTRY )?%(?P<name>\S+) \(")


@dataclass(frozen=True)
class Instruction:
    """A line of a program's text.

    Attributes:
      name: name of the result.
      shape: type and dimensions of the result, or of a tuple of results.
      opcode: operation.
      rest: operands and attributes.
    """

    name: str
    shape: str
    opcode: str
    rest: str

    @property
    def operands(self) -> list[str]:
        """Names of its operands."""
        # Up to the first closing bracket: attributes follow it, which name others.
        return re.findall(r"%([\w.-]+)", self.rest[: self.rest.index(")")])

    def attribute(self, pattern: str) -> str | None:
        """Return the first group of `pattern` among the attributes."""
        match = re.search(pattern, self.rest)
        return match and match[1]


@dataclass(frozen=True)
class Kernel:
    """A kernel, or a call of a library.

    Attributes:
      name: name of its result.
      kind: kind of work.
      flops: operations of products, a multiplication and an addition counted as two;
        those of all else are left out.
      moved: bytes that it reads and writes, each counted once.
      calls: how often it runs, in a loop.
    """

    name: str
    kind: Kind
    flops: float
    moved: float
    calls: int

    def least_time(self, flops: float, bandwidth: float) -> float:
        """Return the seconds that all calls take at least.

        Args:
          flops: operations a second of the device.
          bandwidth: bytes a second of its memory.
        """
        return self.calls * max(self.flops / flops, self.moved / bandwidth)


def read_kernels(text: str) -> list[Kernel]:
    """Return the kernels of a compiled program.

    Raises:
      ValueError: it holds a loop whose length is not known.
    """
    computations, entry = _parse(text)
    return list(_kernels(computations, entry, 1))


def _parse(text: str) -> tuple[dict[str, dict[str, Instruction]], str]:
    """Return the instructions of every computation by name, and the program's name."""
    computations: dict[str, dict[str, Instruction]] = {}
    current: dict[str, Instruction] = {}
    entry = ""
    for line in text.splitlines():
        # A computation's head ends in a brace, its instructions are indented.
        head = COMPUTATION.match(line)
        body = INSTRUCTION.match(line)
        if head and line.endswith("{"):
            current = {}
            computations[head["name"]] = current
            if head["entry"]:
                entry = head["name"]
        elif body:
            current[body["name"]] = Instruction(**body.groupdict())
    return computations, entry


def _kernels(
    computations: Mapping[str, Mapping[str, Instruction]], name: str, calls: int
) -> Iterator[Kernel]:
    """Yield the kernels of a computation that is called so often."""
    instructions = computations[name]
    for instruction in instructions.values():
        # The second half of an asynchronous operation moves nothing.
        if instruction.opcode in NO_KERNEL or instruction.opcode.endswith("-done"):
            continue
        # Loops and calls are followed; any other line is one kernel.
        if instruction.opcode == "while":
            body = str(instruction.attribute(r"body=%([\w.-]+)"))
            yield from _kernels(computations, body, calls * _trips(instruction))
        elif instruction.opcode == "call":
            callee = str(instruction.attribute(r"to_apply=%([\w.-]+)"))
            yield from _kernels(computations, callee, calls)
        else:
            fusion = str(instruction.attribute(r"calls=%([\w.-]+)"))
            steps = computations.get(fusion, {})
            yield _kernel(instruction, instructions, steps, calls)


def _trips(loop: Instruction) -> int:
    # XLA notes the number where it could prove it.
    trips = loop.attribute(r'known_trip_count":\{"n":"(\d+)"')
    if trips is None:
        raise ValueError(
            f"the length of loop {loop.name} is not known: use a fixed number of turns"
        )
    return int(trips)


def _kernel(
    instruction: Instruction,
    siblings: Mapping[str, Instruction],
    steps: Mapping[str, Instruction],
    calls: int,
) -> Kernel:
    """Describe an instruction.

    Args:
      instruction: a line of the program.
      siblings: all lines of its computation, where its operands stand.
      steps: the lines of its fusion; none if it is no fusion.
      calls: how often it runs.
    """
    # Scratch memory is no result.
    result = instruction.shape
    if instruction.opcode == "custom-call":
        result = WORKSPACE.sub("", result)
    operands = _operands(instruction, siblings)
    moved = _size(result)
    moved += sum(_size(shape) for shape in _read(operands, steps))

    # Products stand in the program itself, or inside a fusion.
    flops = _flops(instruction, siblings)
    for step in steps.values():
        if step.opcode in PRODUCTS:
            flops += _flops(step, steps)
    return Kernel(instruction.name, _kind(instruction, steps), flops, moved, calls)


def _operands(
    instruction: Instruction, siblings: Mapping[str, Instruction]
) -> list[str]:
    """Return the shapes of an instruction's operands."""
    names = [name for name in instruction.operands if name in siblings]
    return [siblings[name].shape for name in names]


def _read(shapes: Sequence[str], steps: Mapping[str, Instruction]) -> Iterator[str]:
    """Yield what a fusion reads of its operands.

    Of operands that it only slices, that is the slices.
    """
    # Which instructions use each value.
    users: dict[str, list[Instruction]] = {}
    for step in steps.values():
        if step.opcode != "parameter":
            for operand in step.operands:
                users.setdefault(operand, []).append(step)

    def readers(name: str) -> Iterator[Instruction]:
        for user in users.get(name, ()):
            if user.opcode == "bitcast":
                yield from readers(user.name)
            else:
                yield user

    # Number of an operand -> shapes of its slices.
    slices: dict[int, list[str]] = {}
    for name, step in steps.items():
        if step.opcode == "parameter":
            consumers = list(readers(name))
            if all(consumer.opcode in SLICES for consumer in consumers):
                # A parameter's number is its only argument: parameter(3).
                number = int(step.rest[: step.rest.index(")")])
                slices[number] = [consumer.shape for consumer in consumers]
    for number, shape in enumerate(shapes):
        yield from slices.get(number, [shape])


def _kind(instruction: Instruction, steps: Mapping[str, Instruction]) -> Kind:
    # The order matters: a fusion around a convolution counts as one.
    opcodes = {step.opcode for step in steps.values()} or {instruction.opcode}
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


def _flops(instruction: Instruction, siblings: Mapping[str, Instruction]) -> float:
    """Return the operations of a convolution or a matrix product; 0 of all else."""
    results = prod(_dimensions(instruction.shape))
    operands = [_dimensions(shape) for shape in _operands(instruction, siblings)]
    # Convolution: every result sums over the kernel's taps and inputs.
    labels = instruction.attribute(r"dim_labels=\w+_(\w+)->")
    if labels:
        kernel = operands[1]
        outputs = kernel[labels.index("o")]
        return 2 * results * prod(kernel) / outputs
    # The text has two spellings: of the instruction, and of the library's config.
    axes = instruction.attribute(
        r'lhs_contracting_dim(?:ension)?s"?[=:][{\[]([\d,"]+)[}\]]'
    )
    if axes is None:
        return 0
    # Matrix product: every result sums over the contracted axes.
    contracted = [operands[0][int(axis.strip('"'))] for axis in axes.split(",")]
    return 2 * results * prod(contracted)


def _dimensions(shape: str) -> Sequence[int]:
    """Return the dimensions of an array, or of the first array of a tuple."""
    array = ARRAY.search(shape)
    return _sizes(array[2]) if array else []


def _size(shape: str) -> int:
    """Return the bytes of an array, or of all arrays of a tuple."""
    arrays = ARRAY.findall(shape)
    return sum(BYTES[dtype] * prod(_sizes(sizes)) for dtype, sizes in arrays)


def _sizes(text: str) -> list[int]:
    return [int(size) for size in text.split(",") if size]
