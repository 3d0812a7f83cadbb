"""How much arithmetic a function is, counted in what it says and not in what a compiler made of it.

Compilers count what they compute themselves: on a GPU the convolutions of a library are left out,
which of a U-Net is nearly all.
"""

import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
from jax.extend.core import ClosedJaxpr, Jaxpr


def count_flop(function: Callable[..., Any], *arguments: Any) -> int:
    """Returns the floating-point operations of a call's matrix products and convolutions.

    An addition is one, and so is a multiplication. Padding counts as what it surrounds, of branches
    the longest, the turns of `lax.scan` each, the body of `lax.while_loop` once. All devices of
    `jax.shard_map` and `jax.pmap` count together.

    Args:
        function: may be jitted or pmapped.
        arguments: arrays, or `jax.ShapeDtypeStruct`s; nothing is computed.
    """
    return _flop(jax.make_jaxpr(function)(*arguments).jaxpr)


def _flop(jaxpr: Jaxpr) -> int:
    return sum(_flop_of(equation) for equation in jaxpr.eqns)


def _flop_of(equation: Any) -> int:
    name, params = equation.primitive.name, equation.params
    if name == "dot_general":
        ((contracted, _), _) = params["dimension_numbers"]
        sizes = equation.invars[0].aval.shape
        return 2 * equation.outvars[0].aval.size * math.prod(sizes[axis] for axis in contracted)
    if name == "conv_general_dilated":
        kernel = equation.invars[1].aval
        outputs = kernel.shape[params["dimension_numbers"].rhs_spec[0]]
        return 2 * equation.outvars[0].aval.size * kernel.size // outputs
    inner = [_flop(jaxpr) for jaxpr in _inner(params)]
    if name == "cond":
        return max(inner)
    turns = params["length"] if name == "scan" else 1
    devices = params["mesh"].size if name == "shard_map" else 1
    return turns * devices * sum(inner)


def _inner(params: dict[str, Any]) -> Iterator[Jaxpr]:
    """Yields the functions that an operation calls."""
    for value in params.values():
        for item in value if isinstance(value, tuple | list) else (value,):
            if isinstance(item, ClosedJaxpr):
                yield item.jaxpr
            elif isinstance(item, Jaxpr):
                yield item
