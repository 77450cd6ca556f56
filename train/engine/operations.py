"""Operations of an update, counted from the shapes of its products.

Matrix products and convolutions count, and nothing else: those are what a card's peak
is stated for. A multiplication and an addition are two operations.
"""

import math
from collections.abc import Callable
from typing import Any

from jax.extend.core import ClosedJaxpr, Jaxpr, JaxprEqn


def count_operations(program: Jaxpr | ClosedJaxpr) -> float:
    """Return the operations of a traced program, over all devices."""
    return sum(map(_count, program.eqns))


def _count(equation: JaxprEqn) -> float:
    name = equation.primitive.name
    if name in PRODUCTS:
        return PRODUCTS[name](equation)
    counts = [count_operations(inner) for inner in _inner_programs(equation)]
    if not counts:
        return 0.0
    # Branches hold forms of one layer, of which a platform runs one.
    if name == "cond":
        return min(counts)
    # The body of a loop runs so many times; other loops have no products.
    turns = equation.params["length"] if name == "scan" else 1
    return turns * sum(counts)


def _inner_programs(equation: JaxprEqn) -> list[Jaxpr | ClosedJaxpr]:
    """Return the programs that an equation runs, such as the body of a loop."""
    programs = []
    for value in equation.params.values():
        values = value if isinstance(value, tuple | list) else (value,)
        programs += [item for item in values if isinstance(item, Jaxpr | ClosedJaxpr)]
    return programs


def _matrix_product(equation: JaxprEqn) -> float:
    (contracted, _), _ = equation.params["dimension_numbers"]
    left = _shape(equation.invars[0])
    terms = math.prod(left[axis] for axis in contracted)
    return 2.0 * terms * math.prod(_shape(equation.outvars[0]))


def _convolution(equation: JaxprEqn) -> float:
    """Count every tap of every output, those on the padding too."""
    kernel = _shape(equation.invars[1])
    outputs = kernel[equation.params["dimension_numbers"].rhs_spec[0]]
    taps = math.prod(kernel) / outputs
    # Of an input spread with zeros, as in the gradient of a stride, most taps read none.
    spread = math.prod(equation.params["lhs_dilation"])
    return 2.0 * taps / spread * math.prod(_shape(equation.outvars[0]))


def _shape(variable: Any) -> tuple[int, ...]:
    return variable.aval.shape


PRODUCTS: dict[str, Callable[[JaxprEqn], float]] = {
    "dot_general": _matrix_product,
    "conv_general_dilated": _convolution,
}
"""Name of a primitive -> the operations of one call."""
