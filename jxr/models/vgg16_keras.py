"""Reads the HDF5 files in which Keras publishes VGG-16."""

from pathlib import Path

import h5py
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array

from jxr.errors import UserError
from jxr.models.functional import Params
from jxr.models.state_dicts import readable
from jxr.models.vgg16 import LAYERS, TOP_LAYERS

# Keras' conversion of the weights of the Visual Geometry Group, Oxford (CC BY 4.0).
FILE_NAME = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
FILE_NAME_TOP = "vgg16_weights_tf_dim_ordering_tf_kernels.h5"

REMEDY = f"give the file {FILE_NAME} of Keras or the one with top, or fetch it again"

TOP_NAMES = ("fc1", "fc2", "predictions")  # in Keras


def read_keras(path: Path) -> tuple[Params, Params | None]:
    """Returns the parameters of `VGG16`, and those of its top if the file has one.

    Keras has our layouts: kernels (height, width, in, out) and (in, out), and it flattens by row,
    column, channel.

    Args:
        path: the file; groups `block1_conv1` ... `block5_conv3`, and either all or none of `fc1`,
            `fc2`, `predictions`. Each holds a float32 kernel and bias, `<layer>_W_1:0` and
            `<layer>_b_1:0` in the published files, `<layer>/kernel:0` and `<layer>/bias:0` where
            Keras 2 saved the weights anew.

    Raises:
        UserError: not HDF5, or a layer or data set is missing or has another shape or type.
    """
    with readable(path, "HDF5", REMEDY), h5py.File(path, "r") as file:
        params = {
            name: read_layer(file, name, (3, 3, n_in, n_out), path) for name, n_in, n_out in LAYERS
        }
        top = None
        if any(name in file for name in TOP_NAMES):
            top = {
                ours: read_layer(file, name, (n_in, n_out), path)
                for name, (ours, n_in, n_out) in zip(TOP_NAMES, TOP_LAYERS, strict=True)
            }
    return params, top


def read_layer(file: h5py.File, name: str, shape: tuple[int, ...], path: Path) -> dict[str, Array]:
    """Returns the kernel, of this shape, and the bias of one layer."""
    anew = f"{name}/{name}" in file
    kernel, bias = ("/kernel", "/bias") if anew else ("_W_1", "_b_1")
    return {
        "kernel": read_array(file, f"{name}/{name}{kernel}:0", shape, path),
        "bias": read_array(file, f"{name}/{name}{bias}:0", shape[-1:], path),
    }


def read_array(file: h5py.File, key: str, shape: tuple[int, ...], path: Path) -> Array:
    """Returns one float32 data set of an open weights file, its shape and type checked.

    Raises:
        UserError: `key` is missing or is no data set of this shape and of float32.
    """
    dataset = file.get(key)
    if not isinstance(dataset, h5py.Dataset):
        raise UserError(f"{path} has no data set {key}: {REMEDY}")
    if dataset.shape != shape or dataset.dtype != np.float32:
        raise UserError(
            f"{path}: {key} is {dataset.dtype} {dataset.shape}, not float32 {shape}: {REMEDY}"
        )
    return jnp.asarray(dataset[()])
