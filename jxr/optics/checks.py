"""Checks of physical parameters, which may be plain numbers or traced."""

import math
from collections.abc import Sequence

import jax
import numpy as np


def check_range(
    name: str,
    value: jax.typing.ArrayLike | Sequence[float | int],
    low: float | int,
    high: float | int = math.inf,
    *,
    closed: bool = False,
) -> None:
    """Raises a ValueError that names the parameter unless every value lies in the range.

    Traced values have no number to check yet and pass.

    Args:
        name: what the error calls the parameter.
        value: a number or an array of numbers.
        low: must be exceeded, or reached if `closed`.
        high: must not be exceeded.
        closed: whether `low` itself is allowed.
    """
    if isinstance(value, jax.core.Tracer):
        return
    values = np.asarray(value, np.float64)
    above = values >= low if closed else values > low
    if not (np.isfinite(values) & above & (values <= high)).all():
        lower = f"{'>=' if closed else '>'} {low:g}"
        upper = "" if high == math.inf else f" and <= {high:g}"
        raise ValueError(f"{name} must be finite, {lower}{upper}, not {value}")
