"""3x3 convolutions with 16 multiplications for each 2x2 outputs, where the plain sum takes 36.

F(2x2, 3x3) of Lavin and Gray, 2016, https://arxiv.org/abs/1509.09308. Outputs are computed in tiles
of 2x2, each from 4x4 inputs: kernel and inputs are transformed, multiplied number by number and
summed over channels, and the products transformed back. In exact arithmetic that is the
convolution; in float32 the rounding is of the same size. (Larger tiles save more multiplications
but round worse, and what they have to keep does not fit a processor's cache.)
"""

import jax.numpy as jnp
from jaxtyping import Array, Float

KERNEL = ((1, 0, 0), (0.5, 0.5, 0.5), (0.5, -0.5, 0.5), (0, 0, 1))


def winograd_kernel(
    kernel: Float[Array, "3 3 n_in n_out"],
) -> Float[Array, "4 4 n_in n_out"]:
    """Returns the kernel as `winograd` wants it."""
    transform = jnp.asarray(KERNEL, kernel.dtype)
    return jnp.einsum("ai,bj,ijco->abco", transform, transform, kernel)


def winograd(
    x: Float[Array, "batch height width n_in"], kernel: Float[Array, "4 4 n_in n_out"]
) -> Float[Array, "batch height width n_out"]:
    """Returns the sums of a 3x3 convolution with same padding.

    Args:
        x: the inputs, in the kernel's dtype.
        kernel: from `winograd_kernel`.
    """
    batch, height, width, n_in = x.shape
    down, across = (height + 1) // 2, (width + 1) // 2  # tiles
    x = jnp.pad(x, ((0, 0), (1, 1 + height % 2), (1, 1 + width % 2), (0, 0)))
    # First of 4x4 inputs the rows, then in each of these the columns.
    inputs = [
        column
        for row in _of_inputs([x[:, i : i + 2 * down - 1 : 2] for i in range(4)])
        for column in _of_inputs([row[:, :, j : j + 2 * across - 1 : 2] for j in range(4)])
    ]
    products = jnp.stack(inputs).reshape(16, -1, n_in) @ kernel.reshape(16, n_in, -1)
    products = products.reshape(4, 4, batch, down, across, -1)
    outputs = [jnp.stack(_of_products(row), axis=3) for row in _of_products(products)]
    # (batch, down, 2, across, 2, n_out)
    sums = jnp.stack(outputs, axis=2).reshape(batch, 2 * down, 2 * across, -1)
    return sums[:, :height, :width]


def _of_inputs(four: list[Array]) -> list[Array]:
    a, b, c, d = four
    return [a - c, b + c, c - b, b - d]


def _of_products(four: Array) -> list[Array]:
    a, b, c, d = four
    return [a + b + c, b - c - d]
