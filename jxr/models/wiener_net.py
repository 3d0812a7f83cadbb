"""The physics-informed restorer: what a network adds to the best linear estimate."""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jxr.models.layers import Conv, Linear
from jxr.restoration.wiener_bank import CONDITIONS, INPUTS, KNOTS


class WienerNet(nnx.Module):
    """A residual network on the Wiener estimates of `jxr.restoration.wiener_bank`.

    Works at half the resolution, with 2x2 pixels as channels: as much to compute as at full
    resolution with half the channels, and twice the field of view. Each block adds
    conv(relu(conv(x) + dense(conditions))); no normalisation. Blocks start as the identity and the
    last convolution at zero, so that training starts from the best linear estimate.

    `log_power` is the signal's power that the estimates are made with: measured, not learnt, but a
    part of the network, which works with no other.
    """

    def __init__(
        self,
        *,
        width: int = 64,
        blocks: int = 5,
        log_power: Float[Array, " knots"] | None = None,
        rngs: nnx.Rngs,
    ):
        self.blocks = blocks
        he_normal, zeros = nnx.initializers.he_normal(), nnx.initializers.zeros_init()
        self.log_power = nnx.Param(jnp.zeros(len(KNOTS)) if log_power is None else log_power)
        self.first = Conv(4 * INPUTS, width, (3, 3), kernel_init=he_normal, rngs=rngs)
        for block in range(blocks):
            setattr(self, f"block{block}", Block(width, rngs=rngs))
        self.last = Conv(width, 4, (3, 3), kernel_init=zeros, rngs=rngs)

    def __call__(
        self,
        inputs: Float[Array, "batch height width inputs"],
        conditions: Float[Array, "batch conditions"],
    ) -> Float[Array, "batch height width 1"]:
        """Returns the correction of the best linear estimate, in units of its expected error.

        Args:
            inputs: see `WienerBank`, one image an example; of any height and width.
            conditions: see `WienerBank`, one row an example.
        """
        _, height, width, _ = inputs.shape
        odd = ((0, 0), (0, height % 2), (0, width % 2), (0, 0))
        x = self.first(space_to_depth(jnp.pad(inputs, odd, mode="edge")))
        for block in range(self.blocks):
            x = getattr(self, f"block{block}")(x, conditions)
        return depth_to_space(self.last(nnx.relu(x)))[:, :height, :width]


class Block(nnx.Module):
    """A residual block of two 3x3 convolutions, shifted by the conditions in between."""

    def __init__(self, width: int, *, rngs: nnx.Rngs):
        he_normal, zeros = nnx.initializers.he_normal(), nnx.initializers.zeros_init()
        self.conv1 = Conv(width, width, (3, 3), kernel_init=he_normal, rngs=rngs)
        self.shift = Linear(CONDITIONS, width, use_bias=False, rngs=rngs)
        self.conv2 = Conv(width, width, (3, 3), kernel_init=zeros, rngs=rngs)

    def __call__(
        self,
        x: Float[Array, "batch height width channels"],
        conditions: Float[Array, "batch conditions"],
    ) -> Float[Array, "batch height width channels"]:
        """Returns x and what the block adds to it."""
        # As with biases: its gradient is a sum over all pixels, too much for bfloat16.
        shift = self.shift(conditions).astype(conditions.dtype)[:, None, None]
        return x + self.conv2(nnx.relu(self.conv1(x) + shift))


def space_to_depth(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch height/2 width/2 4*channels"]:
    """Turns each 2x2 pixels into one pixel of four times as many channels."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height // 2, 2, width // 2, 2, channels)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, height // 2, width // 2, 4 * channels)


def depth_to_space(
    x: Float[Array, "batch height width channels"],
) -> Float[Array, "batch 2*height 2*width channels/4"]:
    """Undoes `space_to_depth`."""
    batch, height, width, channels = x.shape
    blocks = x.reshape(batch, height, width, 2, 2, channels // 4)
    return blocks.transpose(0, 1, 3, 2, 4, 5).reshape(batch, 2 * height, 2 * width, channels // 4)
