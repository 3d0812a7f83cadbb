"""The restorer that ships with the package: blurred images in, and what is known of them."""

import dataclasses
import math
import os
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float
from safetensors.numpy import save

from jxr.errors import UserError
from jxr.files import write_whole
from jxr.models.functional import Params, abstract, apply, named_leaves, params_fingerprint
from jxr.models.state_dicts import read_safetensors
from jxr.models.wiener_net import WienerNet
from jxr.optics.checks import check_number
from jxr.optics.psf import Scalar
from jxr.restoration.spectra import Kernel, check_odd, check_symmetric
from jxr.restoration.wiener_bank import wiener_bank

SHIPPED = "weights/wiener_net.safetensors"
# The least noise in training, and the mean squared error from which on corrections are trusted in
# images with less.
TRAINED_NOISE, FULL_TRUST_MSE = 1e-6, 1e-4
REMEDY = "give a file that experiments.export_restorer wrote, or none for the shipped weights"


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A trained `WienerNet` with its parameters; see `load_restorer`."""

    graphdef: nnx.GraphDef
    params: Params

    @property
    def fingerprint(self) -> str:
        """See `params_fingerprint`."""
        return params_fingerprint(self.params)

    def with_spectrum(self, log_power: Float[Array, " knots"]) -> "Restorer":
        """Returns the same network for images of another power, see `radial_log_power`.

        Raises:
            ValueError: the spectrum has another number of knots.
        """
        knots = self.params["log_power"].shape
        if log_power.shape != knots:
            raise ValueError(f"log_power is of shape {log_power.shape}, the network's of {knots}")
        return Restorer(self.graphdef, {**self.params, "log_power": jnp.asarray(log_power)})

    def __call__(
        self,
        blurred: Float[Array, "*batch height width 1"],
        kernel: Kernel,
        *,
        noise: Scalar,
        quantisation: Scalar = 1 / 255,
        width_error: Scalar = 0.0,
    ) -> Float[Array, "*batch height width 1"]:
        """Restores images that a known kernel blurred under the boundary 'reflect'.

        Args:
            blurred: in [0, 1], any leading batch axes; float32, or float64 (under
                `jax.enable_x64`) for float images without noise, whose best linear estimate float32
                cannot hold. The network itself computes in float32.
            kernel: the blur: a symmetric profile p, which stands for p p^T, or a PSF. Trained for
                Gaussians of up to 3 pixels' standard deviation.
            noise: standard deviation of the white noise, for an image range of 1; >= 0, and trained
                for 0 to 0.03.
            quantisation: the step of the values: 1/255 for images of 8 bits, 1/65535 for 16, 0 for
                float images.
            width_error: how uncertain the kernel's width is, as a relative standard deviation: 0
                where it is known, about 0.1 where it may be off by a fifth.

        Returns:
            The restored images in [0, 1], of the shape and dtype of `blurred`.

        Raises:
            ValueError: images of another dtype or of several channels, a negative number, or a
                kernel that is even in size or not symmetric.
        """
        check_images(blurred)
        check_told(kernel, noise, quantisation, width_error)
        numbers = (jnp.asarray(x, float) for x in (noise, quantisation, width_error))
        return _restore(self.graphdef, self.params, blurred, kernel, *numbers)


def check_images(blurred: Float[Array | np.ndarray, "*batch height width 1"]) -> None:
    """Raises ValueError for images that no restorer can take."""
    if blurred.dtype not in (jnp.float32, jnp.float64):
        raise ValueError(f"blurred must be float32 or float64 in [0, 1], not {blurred.dtype}")
    if blurred.ndim < 3:
        raise ValueError(f"blurred must have the axes (..., height, width, 1), not {blurred.shape}")
    if blurred.shape[-1] != 1:
        raise ValueError(
            f"blurred has {blurred.shape[-1]} channels, the network takes one: restore each alone"
        )


def check_told(kernel: Kernel, noise: Scalar, quantisation: Scalar, width_error: Scalar) -> None:
    """Raises ValueError for what no restorer can be told."""
    check_odd(kernel)
    check_symmetric(kernel)
    for name, value in (
        ("noise", noise),
        ("quantisation", quantisation),
        ("width_error", width_error),
    ):
        check_number(name, value, 0, closed=True)


@partial(jax.jit, static_argnums=0)
def _restore(
    graphdef: nnx.GraphDef,
    params: Params,
    blurred: Array,
    kernel: Array,
    noise: Array,
    quantisation: Array,
    width_error: Array,
) -> Array:
    shape = blurred.shape
    images = blurred.reshape(-1, *shape[-3:])
    bank = wiener_bank(
        images,
        kernel,
        params["log_power"],
        noise=noise,
        quantisation=quantisation,
        width_error=width_error,
    )
    conditions = jnp.broadcast_to(bank.conditions, (images.shape[0], bank.conditions.size))
    correction = apply(
        graphdef, params, bank.inputs.astype(jnp.float32), conditions.astype(jnp.float32)
    )
    scale = correction_scale(bank.error_std, noise, quantisation)
    restored = jnp.clip(bank.best + scale * correction, 0, 1)
    return restored.reshape(shape).astype(blurred.dtype)


def correction_scale(error_std: Array, noise: Scalar, quantisation: Scalar) -> Array:
    """Returns what the network's correction is multiplied by before it is added."""
    # Where there is less noise than in training, corrections of small errors did harm on validation
    # images; they count in proportion to the error that is expected.
    silent = noise**2 + quantisation**2 / 12 < TRAINED_NOISE**2
    return error_std * jnp.where(silent, jnp.minimum(error_std**2 / FULL_TRUST_MSE, 1), 1)


def load_restorer(path: str | Path | None = None) -> Restorer:
    """Returns a restorer with the weights that ship with the package, or with those of a file.

    Args:
        path: a safetensors file as `save_restorer` writes it; None for the shipped weights.

    Raises:
        UserError: no such file, a damaged one, or weights of something else.

    >>> import jxr
    >>> import jax.numpy as jnp
    >>> restore = jxr.load_restorer()
    >>> blurred = jnp.full((1, 40, 40, 1), 0.5)
    >>> restore(blurred, jxr.gaussian_profile(1.0, radius=4), noise=0.01).shape
    (1, 40, 40, 1)
    """
    name = path if path is not None else str(files("jxr.models") / SHIPPED)
    file = Path(os.path.expanduser(name))
    if not file.is_file():
        raise UserError(f"no weights file {file}: {REMEDY}")
    tensors = read_safetensors(file, REMEDY)
    if "first/bias" not in tensors:
        raise UserError(f"{file} holds no restorer (first/bias is missing): {REMEDY}")
    width = math.prod(tensors["first/bias"].shape)
    blocks = sum(name.endswith("/conv1/bias") for name in tensors)
    graphdef, template = abstract(
        lambda key: WienerNet(width=width, blocks=blocks, rngs=nnx.Rngs(params=key))
    )
    wanted = {name: (leaf.shape, "float32") for name, leaf in named_leaves(template).items()}
    found = {name: (tensor.shape, tensor.dtype) for name, tensor in tensors.items()}
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            raise UserError(
                f"{file}: tensor '{name}' is {found.get(name, 'missing')}, wanted"
                f" {wanted.get(name, 'none')}: {REMEDY}"
            )
    values = {name: jnp.asarray(tensor.read()) for name, tensor in tensors.items()}
    return Restorer(graphdef, nested(values))


def save_restorer(params: Params, path: Path, metadata: dict[str, str] | None = None) -> None:
    """Writes the parameters of a `WienerNet` as safetensors, which hold numbers and no code.

    Args:
        params: the parameters.
        path: the file; one that is there is replaced when the new one is complete.
        metadata: texts to keep in the file, such as the config of the training.

    Raises:
        UserError: the file cannot be written.
    """
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(params).items()}
    try:
        write_whole(path, save(leaves, metadata))
    except OSError as error:
        raise UserError(f"{path}: cannot write here ({error.strerror})") from error


def nested(leaves: dict[str, Any]) -> Params:
    """Undoes `named_leaves`."""
    result: Params = {}
    for name, leaf in leaves.items():
        *rooms, last = name.split("/")
        place = result
        for room in rooms:
            place = place.setdefault(room, {})
        place[last] = leaf
    return result
