"""VGG-16 (Simonyan and Zisserman, 2015): its convolutions as a fixed feature extractor, its top.

https://arxiv.org/abs/1409.1556, configuration D. The three dense layers are kept apart, for all but
`imagenet_logits` do without them.
"""

import dataclasses
from functools import partial
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jxr.models.functional import Params, apply, split
from jxr.models.heads import Head
from jxr.models.layers import Conv, max_pool
from jxr.models.winograd import winograd_kernel
from jxr.optics.checks import as_float, check_choice

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

# Name, inputs and outputs of each dense layer, in the names of `Head`.
TOP_LAYERS = (("hidden0", 7 * 7 * 512, 4096), ("hidden1", 4096, 4096), ("logits", 4096, 1000))

# What images weights want: those of the original authors, which Keras has, or torchvision's.
Convention = Literal["caffe", "torchvision"]

IMAGENET_MEANS_BGR = (103.939, 116.779, 123.68)  # of 0..255 values, as the weights were trained
TORCHVISION_MEANS_RGB = (0.485, 0.456, 0.406)  # of values in [0, 1]
TORCHVISION_DEVIATIONS_RGB = (0.229, 0.224, 0.225)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True)
class VGG16Weights:
    """Parameters of VGG-16 and what has to be known to use them; a pytree."""

    params: Params  # of `VGG16`
    top: Params | None  # of the dense layers (`top_graphdef`); None: the file has none
    convention: Convention = dataclasses.field(metadata={"static": True})
    fingerprint: str = dataclasses.field(metadata={"static": True})  # of `params`


class VGG16(nnx.Module):
    """Thirteen 3x3 convolutions with ReLU in five blocks, each block ending in 2x2 max-pooling.

    Or only the blocks from `first` to `last`, so that some can stay as they are and others learn.
    """

    def __init__(self, first: int = 1, last: int = 5, *, rngs: nnx.Rngs):
        self.first, self.last = first, last
        for name, channels_in, channels_out in layers(first, last):
            convolution = Conv(
                channels_in,
                channels_out,
                kernel_size=(3, 3),
                kernel_init=nnx.initializers.he_normal(),
                rngs=rngs,
            )
            setattr(self, name, convolution)

    def layer_outputs(
        self, images: Float[Array, "batch height width channels"]
    ) -> dict[str, Float[Array, "batch _ _ _"]]:
        """Returns every convolution's output after its ReLU, by layer name, in order.

        Args:
            images: preprocessed images (see `preprocess`), or the output of the block before
                `first`.
        """
        outputs: dict[str, Array] = {}
        x = images
        for name, _, _ in layers(self.first, self.last):
            if outputs and name.endswith("_conv1"):
                x = max_pool(x)
            x = outputs[name] = nnx.relu(getattr(self, name)(x))
        return outputs

    def __call__(
        self, images: Float[Array, "batch height width channels"]
    ) -> Float[Array, "batch _ _ features"]:
        """Returns the features after the last pooling: 1/32 of the size, 512 channels, of all.

        Args:
            images: as for `layer_outputs`.
        """
        *_, last = self.layer_outputs(images).values()
        return max_pool(last)


def layers(first: int = 1, last: int = 5) -> tuple[tuple[str, int, int], ...]:
    """Returns those of `LAYERS` that the blocks from `first` to `last` have."""
    return tuple(layer for layer in LAYERS if first <= int(layer[0][len("block")]) <= last)


def graphdef(first: int = 1, last: int = 5) -> nnx.GraphDef:
    """Returns the static graph of VGG16, without making its 14.7 million numbers."""
    return split(nnx.eval_shape(lambda: VGG16(first, last, rngs=nnx.Rngs(0))))[0]


def blocks(params: Params, first: int, last: int) -> Params:
    """Returns the parameters of the blocks from `first` to `last`."""
    return {name: params[name] for name, _, _ in layers(first, last)}


def top_graphdef() -> nnx.GraphDef:
    """Returns the static graph of the three dense layers, without making their numbers."""
    (_, n_in, _), *_, (_, _, classes) = TOP_LAYERS
    hidden = [n_out for _, _, n_out in TOP_LAYERS[:-1]]
    return split(nnx.eval_shape(lambda: Head(n_in, hidden, classes, rngs=nnx.Rngs(0))))[0]


def preprocess(
    images: Float[Array, "*batch height width channels"], convention: Convention
) -> Float[Array, "*batch height width 3"]:
    """Turns images in [0, 1] into what the weights expect.

    `caffe`: values go to 0..255, channels from RGB to BGR, and the ImageNet mean of each channel is
    subtracted (Keras calls it so too). `torchvision`: from each channel its mean is subtracted,
    then it is divided by its standard deviation; the order stays RGB.

    Args:
        images: one channel (repeated three times) or three in the order R, G, B.
        convention: that of the weights.

    Raises:
        ValueError: the images have neither one nor three channels or are of no float numbers, or
            the convention is unknown.
    """
    images = as_float("images", images)
    check_choice("convention", convention, get_args(Convention))
    if images.shape[-1] not in (1, 3):
        raise ValueError(f"VGG-16 needs images of 1 or 3 channels, got {images.shape[-1]}")
    # One channel becomes three by broadcasting.
    if convention == "caffe":
        return images[..., ::-1] * 255 - jnp.asarray(IMAGENET_MEANS_BGR, images.dtype)
    means = jnp.asarray(TORCHVISION_MEANS_RGB, images.dtype)
    return (images - means) / jnp.asarray(TORCHVISION_DEVIATIONS_RGB, images.dtype)


def extract(
    graphdef: nnx.GraphDef,
    params: Params,
    images: Float[Array, "batch height width channels"],
    convention: Convention,
) -> Float[Array, "batch features"]:
    """Returns the flattened features of images in [0, 1]; call it inside jit.

    Of the graph of all blocks, or of the first ones. The order is that of Keras' Flatten: row,
    column, channel. For 224x224 images there are 7 * 7 * 512 = 25,088 features. On accelerators
    the convolutions run at JAX's default precision (TF32 or bfloat16) unless the caller sets
    `jax.default_matmul_precision`. On CPUs they are Winograd's, whose float32 rounding is of the
    same size: all features of an image take 0.7 times as long (with jax 0.10: 0.6 times).
    """
    features = _frozen(graphdef, params, preprocess(images, convention))
    return features.reshape(images.shape[0], -1)


@partial(jax.custom_jvp, nondiff_argnums=(0,))
def _frozen(graphdef: nnx.GraphDef, params: Params, inputs: Array) -> Array:
    """Calls VGG16, or its first blocks, by what is fastest where nothing learns."""
    by_winograd, plainly = partial(_apply_by_winograd, graphdef), partial(apply, graphdef)
    return jax.lax.platform_dependent(params, inputs, cpu=by_winograd, default=plainly)


@_frozen.defjvp
def _derivative(graphdef: nnx.GraphDef, primals: Any, tangents: Any) -> tuple[Array, Array]:
    # Winograd's gradients would take 2.5 to 5 times as long as those of the plain convolutions.
    return jax.jvp(partial(apply, graphdef), primals, tangents)


def _apply_by_winograd(graphdef: nnx.GraphDef, params: Params, inputs: Array) -> Array:
    """Calls VGG16, or its first blocks, image by image, so that a processor's cache holds more."""
    # The first two layers have too few channels for it to be worthwhile.
    forms = {
        name: layer | {"kernel": winograd_kernel(layer["kernel"])}
        for name, layer in params.items()
        if layer["kernel"].shape[-1] >= 128
    }
    return jax.lax.map(lambda image: apply(graphdef, params | forms, image[None])[0], inputs)


def vgg16_features(
    weights: VGG16Weights, images: Float[Array, "batch height width channels"]
) -> Float[Array, "batch features"]:
    """Returns the flattened features of images, see `extract`; call it inside jit.

    Args:
        weights: see `load_vgg16`.
        images: float32 in [0, 1], NHWC, one channel or R, G, B; of 32 pixels a side or more.

    Returns:
        height // 32 * (width // 32) * 512 features an image, 25,088 for 224x224.

    Raises:
        ValueError: the images are no batch, of no float numbers, have neither one nor three
            channels, or a side below 32 pixels.

    >>> import jax, jxr
    >>> import jax.numpy as jnp
    >>> from jxr.models import VGG16Weights
    >>> from jxr.models.vgg16_weights import random_weights
    >>> random = VGG16Weights(random_weights(jax.random.key(0)), None, "caffe", "random")
    >>> jax.jit(jxr.vgg16_features)(random, jnp.zeros((2, 64, 64, 1))).shape  # 2 * 2 * 512
    (2, 2048)
    """
    if images.ndim != 4:
        raise ValueError(f"images must be (n, height, width, channels), not {images.shape}")
    if min(images.shape[1:3]) < 32:
        height, width = images.shape[1:3]
        raise ValueError(f"VGG-16 halves images five times: {height} by {width} pixels are too few")
    return extract(graphdef(), weights.params, images, weights.convention)


def imagenet_logits(
    weights: VGG16Weights, images: Float[Array, "batch 224 224 channels"]
) -> Float[Array, "batch 1000"]:
    """Returns the logits of the 1,000 ImageNet classes; call it inside jit.

    Args:
        weights: with a top.
        images: in [0, 1], one channel or R, G, B; other sizes than 224x224 have no logits here.

    Raises:
        ValueError: the weights have no top, or the images are of another size.
    """
    if weights.top is None:
        raise ValueError("these weights have no dense layers: load a file with top")
    if images.shape[1:3] != (224, 224):
        height, width = images.shape[1:3]
        raise ValueError(f"images are {height} by {width} pixels: resize them to 224 by 224")
    return apply(top_graphdef(), weights.top, vgg16_features(weights, images))
