"""Reads, fetches, checks and replaces the published ImageNet weights of VGG-16."""

import hashlib
from pathlib import Path

import h5py
import jax
import jax.numpy as jnp
import numpy as np
import pooch
from flax import nnx
from jaxtyping import Array, Key

from jxr.errors import UserError
from jxr.models.functional import Params, split
from jxr.models.vgg16 import LAYERS, VGG16

# Keras' conversion of the weights of the Visual Geometry Group, Oxford (CC BY 4.0).
FILE_NAME = "vgg16_weights_tf_dim_ordering_tf_kernels_notop.h5"
URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{FILE_NAME}"
CHECKSUM = "md5:6d6bbae143d832006294945121d1f1fc"  # of the published file

# `fingerprint` of the numbers: unlike the file's checksum it survives a repacking of the HDF5.
FINGERPRINT = "d9a27cc1fc7f975ef8cff49180e794ccd7c4bc868ebb49740803b3bbaa8dbefd"

REMEDY = f"give the file {FILE_NAME} of Keras, or fetch it again"


def fetch(cache_dir: Path | None = None, *, url: str = URL, checksum: str = CHECKSUM) -> Path:
    """Downloads the published file once and returns its path.

    Args:
        cache_dir: where to keep the file (default: the user's cache folder for jxr). A file
            there with the right checksum is used without a download.
        url: where to fetch it.
        checksum: `algorithm:hexdigest` of the file.

    Raises:
        UserError: the download failed, or what came has another checksum (it is not kept).
    """
    folder = Path(cache_dir) if cache_dir is not None else Path(pooch.os_cache("jxr"))
    try:
        path = pooch.retrieve(
            url, known_hash=checksum, fname=FILE_NAME, path=folder, progressbar=True
        )
    except ValueError as error:  # what pooch raises for a wrong checksum
        raise UserError(
            f"{url} does not have the checksum {checksum}: try again, or copy {FILE_NAME} "
            f"into {folder} by hand"
        ) from error
    except OSError as error:  # among them those of requests
        raise UserError(
            f"cannot fetch {url} into {folder} ({type(error).__name__}): download {FILE_NAME} "
            "on another machine and give its path"
        ) from error
    return Path(path)


def load_keras_notop(path: Path) -> Params:
    """Reads the "notop" HDF5 file of Keras into the parameters of `VGG16`.

    Args:
        path: the file; groups `block1_conv1` ... `block5_conv3`, each with a kernel
            `<layer>_W_1:0` (height, width, in, out) and a bias `<layer>_b_1:0`, float32.

    Raises:
        UserError: no such file, not HDF5, a layer or data set is missing or has another shape or
            type, or the numbers are not the published ones.
    """
    if not Path(path).is_file():
        raise UserError(f"no weights file {path}: {REMEDY}")
    try:
        with h5py.File(path, "r") as file:
            params = {
                name: {
                    "kernel": read_array(file, f"{name}/{name}_W_1:0", (3, 3, n_in, n_out), path),
                    "bias": read_array(file, f"{name}/{name}_b_1:0", (n_out,), path),
                }
                for name, n_in, n_out in LAYERS
            }
    except OSError as error:
        raise UserError(f"{path} is not a readable HDF5 file: {REMEDY}") from error
    if fingerprint(params) != FINGERPRINT:
        raise UserError(f"{path} holds other numbers than the published weights: {REMEDY}")
    return params


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


def random_weights(key: Key[Array, ""]) -> Params:
    """Returns He-normal kernels and zero biases: a stand-in that needs no download."""
    return split(VGG16(rngs=nnx.Rngs(key)))[1]


def fingerprint(params: Params) -> str:
    """Returns the SHA-256 of VGG-16 parameters.

    It covers each layer's kernel, then its bias, in the order of the layers, as little-endian
    float32 in C order.
    """
    digest = hashlib.sha256()
    for name, _, _ in LAYERS:
        for part in ("kernel", "bias"):
            digest.update(np.asarray(jax.device_get(params[name][part]), "<f4").tobytes())
    return digest.hexdigest()
