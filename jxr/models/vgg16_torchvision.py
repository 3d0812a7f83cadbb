"""Turns a state dict of torchvision's VGG-16 into our parameters."""

from pathlib import Path

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jxr.errors import UserError
from jxr.models.functional import Params
from jxr.models.state_dicts import REMEDY, StoredTensor
from jxr.models.vgg16 import LAYERS, TOP_LAYERS

# Where torchvision's `features` and `classifier` hold their layers, in the order of ours; between
# them lie ReLU, pooling and dropout, which have no parameters.
FEATURES = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24, 26, 28)
CLASSIFIER = (0, 3, 6)


def from_torchvision(tensors: dict[str, StoredTensor], path: Path) -> tuple[Params, Params | None]:
    """Returns the parameters of `VGG16`, and those of its top if the state dict has one.

    Kernels of convolutions go from (out, in, height, width) to (height, width, in, out), those of
    dense layers from (out, in) to (in, out). torchvision flattens the last 7x7 maps channel by
    channel and our model, like Keras, row by row: the inputs of the first dense layer are put into
    our order here, once, so that the model has one order whatever file its numbers came from.

    Args:
        tensors: `features.0.weight` ... `features.28.bias`, and either all or none of
            `classifier.0.weight` ... `classifier.6.bias`; float32.
        path: the file, for messages.

    Raises:
        UserError: a tensor is missing, unknown, of another shape or type, or not finite (as the
            classifier of vgg16_features-amdegroot-88682ab5.pth, which wants inputs of its own).
    """
    left = dict(tensors)

    def take(key: str, shape: tuple[int, ...]) -> np.ndarray:
        if key not in left:
            raise UserError(f"{path} has no tensor {key}: {REMEDY}")
        tensor = left.pop(key)
        if tensor.shape != shape or tensor.dtype != "float32":
            raise UserError(
                f"{path}: {key} is {tensor.dtype} {tensor.shape}, not float32 {shape}: {REMEDY}"
            )
        array = tensor.read()
        if not np.isfinite(array).all():
            raise UserError(f"{path}: {key} has numbers that are not finite: {REMEDY}")
        return array

    params = {}
    for (name, n_in, n_out), i in zip(LAYERS, FEATURES, strict=True):
        kernel = take(f"features.{i}.weight", (n_out, n_in, 3, 3)).transpose(2, 3, 1, 0)
        params[name] = layer(kernel, take(f"features.{i}.bias", (n_out,)))
    top = None
    if any(key.startswith("classifier.") for key in left):
        top = {}
        for (name, n_in, n_out), i in zip(TOP_LAYERS, CLASSIFIER, strict=True):
            kernel = take(f"classifier.{i}.weight", (n_out, n_in)).T
            if i == CLASSIFIER[0]:
                maps = kernel.reshape(512, 7, 7, n_out)  # channel, row, column of the input
                kernel = maps.transpose(1, 2, 0, 3).reshape(n_in, n_out)
            top[name] = layer(kernel, take(f"classifier.{i}.bias", (n_out,)))
    if left:
        raise UserError(f"{path} has a tensor {min(left)!r}, which VGG-16 has not: {REMEDY}")
    return params, top


def layer(kernel: np.ndarray, bias: np.ndarray) -> dict[str, Array]:
    """Returns one layer's parameters as JAX has them."""
    return {"kernel": jnp.asarray(kernel), "bias": jnp.asarray(bias)}
