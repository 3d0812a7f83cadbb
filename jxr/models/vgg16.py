"""The convolutions of VGG-16 as a fixed feature extractor (Simonyan and Zisserman, 2015).

https://arxiv.org/abs/1409.1556, configuration D without its three dense layers.
"""

import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jxr.models.functional import Params, apply, split

# Name, input and output channels of each 3x3 convolution, in the names of Keras' weight files.
LAYERS = (
    ("block1_conv1", 3, 64),
    ("block1_conv2", 64, 64),
    ("block2_conv1", 64, 128),
    ("block2_conv2", 128, 128),
    ("block3_conv1", 128, 256),
    ("block3_conv2", 256, 256),
    ("block3_conv3", 256, 256),
    ("block4_conv1", 256, 512),
    ("block4_conv2", 512, 512),
    ("block4_conv3", 512, 512),
    ("block5_conv1", 512, 512),
    ("block5_conv2", 512, 512),
    ("block5_conv3", 512, 512),
)

IMAGENET_MEANS_BGR = (103.939, 116.779, 123.68)  # of 0..255 values, as the weights were trained


class VGG16(nnx.Module):
    """Thirteen 3x3 convolutions with ReLU in five blocks, each block ending in 2x2 max-pooling."""

    def __init__(self, *, rngs: nnx.Rngs):
        for name, channels_in, channels_out in LAYERS:
            convolution = nnx.Conv(
                channels_in,
                channels_out,
                kernel_size=(3, 3),
                kernel_init=nnx.initializers.he_normal(),
                rngs=rngs,
            )
            setattr(self, name, convolution)

    def layer_outputs(
        self, images: Float[Array, "batch height width 3"]
    ) -> dict[str, Float[Array, "batch _ _ _"]]:
        """Returns every convolution's output after its ReLU, by layer name, in order.

        Args:
            images: preprocessed images (see `preprocess`).
        """
        outputs: dict[str, Array] = {}
        x = images
        for name, _, _ in LAYERS:
            if outputs and name.endswith("_conv1"):
                x = nnx.max_pool(x, (2, 2), strides=(2, 2))
            x = outputs[name] = nnx.relu(getattr(self, name)(x))
        return outputs

    def __call__(
        self, images: Float[Array, "batch height width 3"]
    ) -> Float[Array, "batch height//32 width//32 512"]:
        """Returns the features after the last pooling.

        Args:
            images: preprocessed images (see `preprocess`).
        """
        last = self.layer_outputs(images)[LAYERS[-1][0]]
        return nnx.max_pool(last, (2, 2), strides=(2, 2))


def graphdef() -> nnx.GraphDef:
    """Returns the static graph of VGG16, without making its 14.7 million numbers."""
    return split(nnx.eval_shape(lambda: VGG16(rngs=nnx.Rngs(0))))[0]


def preprocess(
    images: Float[Array, "*batch height width channels"],
) -> Float[Array, "*batch height width 3"]:
    """Turns images in [0, 1] into what the published weights expect.

    Values go to 0..255, channels from RGB to BGR, and the ImageNet mean of each channel is
    subtracted ("Caffe" mode of Keras).

    Args:
        images: one channel (repeated three times) or three in the order R, G, B.

    Raises:
        ValueError: the images have neither one nor three channels.
    """
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"VGG-16 needs images of 1 or 3 channels, got {images.shape[-1]}")
    means = jnp.asarray(IMAGENET_MEANS_BGR, images.dtype)
    return images[..., ::-1] * 255 - means  # one channel becomes three by broadcasting


def extract(
    graphdef: nnx.GraphDef, params: Params, images: Float[Array, "batch height width channels"]
) -> Float[Array, "batch features"]:
    """Returns the flattened features of images in [0, 1]; call it inside jit.

    The order is that of Keras' Flatten: row, column, channel. For 224x224 images there are
    7 * 7 * 512 = 25,088 features. On accelerators the convolutions run at JAX's default
    precision (TF32 or bfloat16) unless the caller sets `jax.default_matmul_precision`.
    """
    features = apply(graphdef, params, preprocess(images))
    return features.reshape(images.shape[0], -1)
