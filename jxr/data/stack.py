"""Several arrays as one, without a copy."""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Int, Shaped


class Stack:
    """Arrays of one shape and dtype, one after another, of which rows can be taken.

    Attributes:
        shape: as that of their concatenation.

    Raises:
        ValueError: the arrays differ in shape or dtype, or there are none.
    """

    def __init__(self, parts: Sequence[Shaped[np.ndarray, "..."]]):
        if not parts or len({(part.shape, part.dtype) for part in parts}) != 1:
            raise ValueError("give arrays of one shape and dtype, at least one")
        self._parts = tuple(parts)
        self.shape = (len(parts) * len(parts[0]), *parts[0].shape[1:])

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, rows: Int[np.ndarray, " rows"]) -> Shaped[np.ndarray, "rows ..."]:
        """Copies those rows."""
        each = len(self._parts[0])
        return np.stack([self._parts[row // each][row % each] for row in rows])
