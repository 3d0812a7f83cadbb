"""The U-Net of Ronneberger, Fischer and Brox (2015) with same padding, from image to image.

https://arxiv.org/abs/1505.04597
"""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jxr.models.layers import Conv, max_pool


class UNet(nnx.Module):
    """Levels of two 3x3 convolutions, joined by max-pooling down and by up-convolution up.

    Level `i` has `width * 2**i` channels; `depth` is the number of poolings. He-normal kernels,
    zero biases, no normalisation. With `residual`, the input is added to the output and the last
    convolution starts at zero, so that training starts from the identity. With `remat`, a level's
    inner activations are computed again when its gradient is, rather than kept until then: the same
    numbers with less memory, for a second pass forward.

    `UNet(width=64, depth=4, channels=1)` is the paper's network with one output map:
    down 37,568 + 221,440 + 885,248 + 3,539,968 + 14,157,824 = 18,842,048,
    up-convolutions 2,097,664 + 524,544 + 131,200 + 32,832 = 2,786,240,
    up 7,078,912 + 1,769,984 + 442,624 + 110,720 = 9,402,240, head 65; 31,030,593 in all.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        depth: int = 4,
        channels: int = 1,
        residual: bool = False,
        remat: bool = False,
        rngs: nnx.Rngs,
    ):
        self.depth = depth
        self.residual = residual
        self.remat = remat
        n_in = channels
        for level in range(depth + 1):
            n_out = width * 2**level
            setattr(self, f"down{level}", DoubleConv(n_in, n_out, rngs=rngs))
            n_in = n_out
        for level in reversed(range(depth)):
            n_out = width * 2**level
            setattr(self, f"upconv{level}", UpConv(2 * n_out, n_out, rngs=rngs))
            setattr(self, f"up{level}", DoubleConv(2 * n_out, n_out, rngs=rngs))
        zeros, he_normal = nnx.initializers.zeros_init(), nnx.initializers.he_normal()
        self.head = Conv(
            width, channels, (1, 1), kernel_init=zeros if residual else he_normal, rngs=rngs
        )

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch height width channels"]:
        """Returns an image for each image.

        Args:
            images: height and width divisible by `2**depth`.

        Raises:
            ValueError: the images cannot be halved `depth` times.
        """
        height, width = images.shape[1:3]
        multiple = 2**self.depth
        if height % multiple or width % multiple:
            raise ValueError(
                f"a U-Net of depth {self.depth} needs a height and width divisible by {multiple}, "
                f"got {height}x{width}: pad or crop the images, or use a smaller depth"
            )

        def down(level: int, x: Array) -> Array:
            if level > 0:
                x = max_pool(x)
            return getattr(self, f"down{level}")(x)

        def up(level: int, skip: Array, x: Array) -> Array:
            x = getattr(self, f"upconv{level}")(x)
            return getattr(self, f"up{level}")(jnp.concatenate([skip, x], axis=-1))

        if self.remat:
            down, up = (jax.checkpoint(block, static_argnums=0) for block in (down, up))
        x, skips = images, []
        for level in range(self.depth + 1):
            x = down(level, x)
            skips.append(x)
        for level in reversed(range(self.depth)):
            x = up(level, skips[level], x)
        x = self.head(x)
        return images + x if self.residual else x


class DoubleConv(nnx.Module):
    """Two 3x3 convolutions with same padding, each followed by ReLU."""

    def __init__(self, n_in: int, n_out: int, *, rngs: nnx.Rngs):
        he_normal = nnx.initializers.he_normal()
        self.conv1 = Conv(n_in, n_out, (3, 3), kernel_init=he_normal, rngs=rngs)
        self.conv2 = Conv(n_out, n_out, (3, 3), kernel_init=he_normal, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch height width n_in"]
    ) -> Float[Array, "batch height width n_out"]:
        """Returns the features after the second ReLU."""
        return nnx.relu(self.conv2(nnx.relu(self.conv1(x))))


class UpConv(nnx.Module):
    """A 2x2 up-convolution of stride 2, which doubles height and width."""

    def __init__(self, n_in: int, n_out: int, *, rngs: nnx.Rngs):
        # Each output pixel sees one input pixel, so the 2x2 taps do not count as fan-in.
        he_normal = nnx.initializers.he_normal(in_axis=2, out_axis=(0, 1, 3))
        self.kernel = nnx.Param(he_normal(rngs.params(), (2, 2, n_in, n_out), jnp.float32))
        self.bias = nnx.Param(jnp.zeros(n_out))

    def __call__(
        self, x: Float[Array, "batch height width n_in"]
    ) -> Float[Array, "batch 2*height 2*width n_out"]:
        """Returns the enlarged features.

        Its output blocks do not overlap, so a matrix product and a reshape are exact, and on
        CPUs far faster to differentiate than `jax.lax.conv_transpose`.
        """
        batch, height, width, _ = x.shape
        blocks = jnp.einsum("bhwc,ijco->bhiwjo", x, self.kernel[...])
        sums = blocks.reshape(batch, 2 * height, 2 * width, -1) + self.bias[...]
        return sums.astype(x.dtype)
