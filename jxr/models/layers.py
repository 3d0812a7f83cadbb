"""The layers of the networks: Flax's, that compute in the dtype of their kernel.

The bias is added in its own dtype. Under `jxr.models.apply_in` kernels can be bfloat16 while biases
are float32: a bias's gradient is a sum over all pixels of a batch, and a sum in bfloat16 stops
growing after a few hundred terms.
"""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jxr.models.winograd import winograd


class Conv(nnx.Conv):
    """A convolution with same padding.

    Kernels are odd, or 3x3 ones in the form of `jxr.models.winograd`, which is 4x4.
    """

    def __init__(self, n_in: int, n_out: int, kernel_size: tuple[int, int], **options: Any):
        super().__init__(n_in, n_out, kernel_size, promote_dtype=in_kernel_dtype, **options)

    def __call__(  # type: ignore[override]
        self, x: Float[Array, "batch height width n_in"]
    ) -> Float[Array, "batch height width n_out"]:
        """Returns the sums, with the bias added, in the kernel's dtype."""
        kernel = self.kernel[...]
        if kernel.shape[:2] == (4, 4):
            sums = winograd(x.astype(kernel.dtype), kernel)
            return sums if self.bias is None else (sums + self.bias[...]).astype(kernel.dtype)
        if all(n >= taps for n, taps in zip(x.shape[1:3], kernel.shape[:2], strict=True)):
            return super().__call__(x).astype(kernel.dtype)
        # XLA's fast convolution on CPUs takes no image smaller than the kernel (VGG-16's last block
        # at 32 pixels); on one with a frame of zeros, 30 times as fast, the middle is the same.
        # Without the barrier XLA would take the frame off again.
        rows, columns = (taps // 2 for taps in kernel.shape[:2])
        frame = ((0, 0), (rows, rows), (columns, columns), (0, 0))
        framed = super().__call__(jax.lax.optimization_barrier(jnp.pad(x, frame)))
        height, width = x.shape[1:3]
        middle = framed[:, rows : rows + height, columns : columns + width]
        return middle.astype(kernel.dtype)


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


def max_pool(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height//2 width//2 channels"]:
    """Returns the largest of each 2x2 pixels; an odd last row or column is left out.

    By comparing pixels, since the gradient of `nnx.max_pool` is slow on CPUs (a U-Net's whole step
    takes 7 % longer with it).
    """
    batch, height, width, channels = x.shape
    x = x[:, : height // 2 * 2, : width // 2 * 2]
    x = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    x = jnp.maximum(x[:, :, 0], x[:, :, 1])
    return jnp.maximum(x[:, :, :, 0], x[:, :, :, 1])
