"""Grad-CAM (Selvaraju et al. 2017, https://arxiv.org/abs/1610.02391) on VGG-16's last convolution.

What such a map cannot say: it is coarse, one number for 16 x 16 pixels (14 x 14 for an image of
224 x 224), each of which has seen most of the image; it is a linear approximation at one image; and
it shows what the classifier goes by, which may be a marker, a border or the style of acquisition as
well as a lung. It does not localise disease.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from jxr.models.functional import Params
from jxr.models.layers import max_pool
from jxr.models.vgg16 import Convention, preprocess

Maps = Float[Array, "batch height width channels"]


def grad_cam(
    score: Callable[[Maps], Float[Array, " batch"]], maps: Maps
) -> tuple[Float[Array, " batch"], Float[Array, "batch height width"]]:
    """Returns the scores of feature maps, and where the maps raise them; pure, for use inside jit.

    The maps are summed, each weighted by the mean over all places of the score's derivative by it,
    and what is negative becomes 0 (equations 1 and 2 there).

    Args:
        score: maps -> one number an image, which depends on that image's maps only; for two classes
            the log-odds of the positive one. It may have branches, such as ReLU and pooling.
        maps: of a convolution, float32; here after its ReLU.

    Returns:
        The scores, and the sums: 0 or more, in units of the score. Where the score is linear in
        the maps with one derivative for all places, they add up to it but for a constant, before
        what is negative becomes 0.
    """
    scores, pull = jax.vjp(score, maps)
    (gradients,) = pull(jnp.ones_like(scores))
    weights = gradients.mean(axis=(1, 2))
    return scores, nnx.relu(jnp.einsum("bhwc,bc->bhw", maps, weights))


def last_maps(
    graphdef: nnx.GraphDef,
    params: Params,
    images: Float[Array, "batch height width channels"],
    convention: Convention,
) -> Float[Array, "batch _ _ maps"]:
    """Returns the output of VGG-16's block5_conv3 after its ReLU, before the last pooling.

    Args:
        graphdef: of all blocks.
        params: its parameters.
        images: in [0, 1], one channel or R, G, B.
        convention: that of the weights.
    """
    model = nnx.merge(graphdef, params)
    return model.layer_outputs(preprocess(images, convention))["block5_conv3"]


def features_of(maps: Maps) -> Float[Array, "batch features"]:
    """Returns what `jxr.models.vgg16.extract` makes of images with these last maps."""
    return max_pool(maps).reshape(maps.shape[0], -1)
