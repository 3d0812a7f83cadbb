"""Reads, fetches, checks and replaces the published ImageNet weights of VGG-16, of any kind."""

import hashlib
import os
from pathlib import Path

import h5py
import jax
import numpy as np
import pooch
from flax import nnx
from jaxtyping import Array, Key

from jxr.errors import UserError
from jxr.models.functional import Params, split
from jxr.models.state_dicts import ZIP_MAGIC, read_safetensors, read_torch
from jxr.models.vgg16 import LAYERS, VGG16, Convention, VGG16Weights
from jxr.models.vgg16_keras import FILE_NAME, FILE_NAME_TOP, REMEDY, read_keras
from jxr.models.vgg16_torchvision import from_torchvision

URL = f"https://storage.googleapis.com/tensorflow/keras-applications/vgg16/{FILE_NAME}"
CHECKSUM = "md5:6d6bbae143d832006294945121d1f1fc"  # of the published file

INPUT_SPREAD = 64  # of inputs from 0 to 255, less their mean

# `fingerprint` of the published convolutions, with and without top: unlike the file's checksum it
# survives a repacking of the HDF5.
FINGERPRINT = "d9a27cc1fc7f975ef8cff49180e794ccd7c4bc868ebb49740803b3bbaa8dbefd"


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


def load_vgg16(path: str | Path | None = None) -> VGG16Weights:
    """Returns VGG-16 with ImageNet weights: `jxr.vgg16_features` and `imagenet_logits` take it.

    >>> import jxr
    >>> vgg16 = jxr.load_vgg16()  # doctest: +SKIP
    >>> jxr.vgg16_features(vgg16, images).shape  # doctest: +SKIP
    (8, 25088)

    Args:
        path: a file that `load_vgg16_weights` reads; None for the convolutions that Keras
            publishes (58 MB), which are fetched once and checked.

    Raises:
        UserError: see `fetch` and `load_vgg16_weights`.
    """
    return load_vgg16_weights(fetch() if path is None else Path(os.path.expanduser(path)))


def load_vgg16_weights(path: Path) -> VGG16Weights:
    """Reads a weights file of any kind; its first bytes tell which kind it is, not its name.

    - Keras' HDF5 files, with or without top. The convolutions must be the published ones, number
      by number; a top must be finite.
    - A state dict of torchvision's VGG-16, with or without classifier, written by `torch.save` in
      either of its formats or as safetensors. Which numbers it holds is not checked, but if the
      file's name carries a checksum, that is.

    The convention of the input goes with the numbers: Keras' are those of the original authors, and
    a PyTorch file that holds the very same convolutions (such conversions exist) gets theirs.

    Raises:
        UserError: no such file, a kind that is not known, a damaged file, a missing or unknown
            tensor or one of another shape or type, other numbers than the published ones in a
            Keras file, or a PyTorch file that asks for more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"no weights file {path}: {REMEDY}")
    with path.open("rb") as file:
        head = file.read(9)
    if h5py.is_hdf5(path):
        params, top = read_keras(path)
        found = fingerprint(params)
        if found != FINGERPRINT:
            raise UserError(f"{path} holds other numbers than the published weights: {REMEDY}")
        if not all(np.isfinite(leaf).all() for leaf in jax.tree.leaves(top)):
            raise UserError(f"{path} holds a dense layer that is not finite: {REMEDY}")
        return VGG16Weights(params, top, "caffe", found)
    # Before pickles: a length may begin with the byte that a pickle begins with.
    if head[8:] == b"{" and int.from_bytes(head[:8], "little") < path.stat().st_size:
        tensors = read_safetensors(path)
    elif head.startswith((ZIP_MAGIC, b"\x80")):
        tensors = read_torch(path)
    else:
        raise UserError(
            f"{path} is no kind of weights file that is known: give Keras' {FILE_NAME} or"
            f" {FILE_NAME_TOP}, or the state dict of torchvision's vgg16 as .pth or safetensors"
        )
    params, top = from_torchvision(tensors, path)
    found = fingerprint(params)
    convention: Convention = "caffe" if found == FINGERPRINT else "torchvision"
    return VGG16Weights(params, top, convention, found)


def random_weights(key: Key[Array, ""]) -> Params:
    """Returns He-normal kernels and zero biases: a stand-in that needs no download.

    He's rule is for inputs of unit variance and those of the convention `caffe` spread by about 64
    (a quarter of 0..255), so the first kernels are made that much smaller: features are of order 1,
    and a head trains on them at the usual rates.
    """
    params = split(VGG16(rngs=nnx.Rngs(key)))[1]
    first = params[LAYERS[0][0]]
    first["kernel"] = first["kernel"] / INPUT_SPREAD
    return params


def fingerprint(params: Params) -> str:
    """Returns the SHA-256 of the parameters of VGG-16's convolutions.

    It covers each layer's kernel, then its bias, in the order of the layers, as little-endian
    float32 in C order.
    """
    digest = hashlib.sha256()
    for name, _, _ in LAYERS:
        for part in ("kernel", "bias"):
            digest.update(np.asarray(jax.device_get(params[name][part]), "<f4").tobytes())
    return digest.hexdigest()
