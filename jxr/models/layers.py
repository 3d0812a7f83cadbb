"""The layers of the networks: Flax's, that compute in the dtype of their kernel.

The bias is added in its own dtype. Under `jxr.models.apply_in` kernels can be bfloat16 while biases
are float32: a bias's gradient is a sum over all pixels of a batch, and a sum in bfloat16 stops
growing after a few hundred terms.
"""

from typing import Any

from flax import nnx
from jaxtyping import Array, Float


class Conv(nnx.Conv):
    """A convolution with same padding."""

    def __init__(self, n_in: int, n_out: int, kernel_size: tuple[int, int], **options: Any):
        super().__init__(n_in, n_out, kernel_size, promote_dtype=in_kernel_dtype, **options)

    def __call__(  # type: ignore[override]
        self, x: Float[Array, "batch height width n_in"]
    ) -> Float[Array, "batch height width n_out"]:
        """Returns the sums, with the bias added, in the kernel's dtype."""
        return super().__call__(x).astype(self.kernel[...].dtype)


class Linear(nnx.Linear):
    """A dense layer."""

    def __init__(self, n_in: int, n_out: int, **options: Any):
        super().__init__(n_in, n_out, promote_dtype=in_kernel_dtype, **options)

    def __call__(  # type: ignore[override]
        self, x: Float[Array, "batch n_in"]
    ) -> Float[Array, "batch n_out"]:
        """Returns the sums, with the bias added, in the kernel's dtype."""
        return super().__call__(x).astype(self.kernel[...].dtype)


def in_kernel_dtype(arrays: Any, /, **_: Any) -> Any:
    """Returns (inputs, kernel, bias or None) with the inputs in the kernel's dtype."""
    inputs, kernel, bias = arrays
    return inputs.astype(kernel.dtype), kernel, bias
