"""The restorer that ships with the package: blurred images in, and what is known of them."""

import dataclasses
import hashlib
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float
from safetensors.numpy import save_file

from jxr.errors import UserError
from jxr.models.functional import Params, abstract, apply, named_leaves
from jxr.models.state_dicts import read_safetensors
from jxr.models.wiener_net import WienerNet
from jxr.optics.checks import check_range
from jxr.optics.psf import Scalar
from jxr.restoration.spectra import Kernel
from jxr.restoration.wiener_bank import wiener_bank

SHIPPED = "weights/wiener_net.safetensors"
REMEDY = "give a file that experiments.export_restorer wrote, or none for the shipped weights"


@dataclasses.dataclass(frozen=True)
class Restorer:
    """A trained `WienerNet` with its parameters; see `load_restorer`."""

    graphdef: nnx.GraphDef
    params: Params

    @property
    def fingerprint(self) -> str:
        """SHA-256 of all parameters, by name, as little-endian float32 in C order."""
        digest = hashlib.sha256()
        for name, leaf in sorted(named_leaves(self.params).items()):
            digest.update(name.encode() + np.asarray(leaf, "<f4").tobytes())
        return digest.hexdigest()

    def with_spectrum(self, log_power: Float[Array, " knots"]) -> "Restorer":
        """Returns the same network for images of another power, see `radial_log_power`."""
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
            noise: standard deviation of the white noise, for an image range of 1: 0 to 0.03.
            quantisation: the step of the values: 1/255 for images of 8 bits, 1/65535 for 16, 0 for
                float images.
            width_error: how uncertain the kernel's width is, as a relative standard deviation: 0
                where it is known, about 0.1 where it may be off by a fifth.

        Returns:
            The restored images in [0, 1], of the shape and dtype of `blurred`.

        Raises:
            ValueError: a number out of its range, or see `wiener`.
        """
        for name, value in (
            ("noise", noise),
            ("quantisation", quantisation),
            ("width_error", width_error),
        ):
            check_range(name, value, 0, closed=True)
        numbers = (jnp.asarray(x, float) for x in (noise, quantisation, width_error))
        return _restore(self.graphdef, self.params, blurred, kernel, *numbers)


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
    conditions = jnp.broadcast_to(bank.conditions, (len(images), bank.conditions.size))
    correction = apply(
        graphdef, params, bank.inputs.astype(jnp.float32), conditions.astype(jnp.float32)
    )
    restored = bank.best + bank.error_std * correction.astype(bank.best.dtype)
    return jnp.clip(restored, 0, 1).reshape(shape)


def load_restorer(path: str | Path | None = None) -> Restorer:
    """Returns a restorer with the weights that ship with the package, or with those of a file.

    Args:
        path: a safetensors file as `save_restorer` writes it; None for the shipped weights.

    Raises:
        UserError: no such file, a damaged one, or weights of something else.
    """
    name = path if path is not None else str(files("jxr.models") / SHIPPED)
    file = Path(name).expanduser()
    if not file.is_file():
        raise UserError(f"no weights file {file}: {REMEDY}")
    tensors = read_safetensors(file)
    if "first/bias" not in tensors:
        raise UserError(f"{file} holds no restorer (first/bias is missing): {REMEDY}")
    width = tensors["first/bias"].shape[0]
    blocks = sum(name.endswith("/conv1/bias") for name in tensors)
    graphdef, template = abstract(
        lambda key: WienerNet(width=width, blocks=blocks, rngs=nnx.Rngs(params=key))
    )
    wanted = {name: leaf.shape for name, leaf in named_leaves(template).items()}
    found = {name: tensor.shape for name, tensor in tensors.items()}
    for name in sorted(wanted | found):
        if wanted.get(name) != found.get(name):
            raise UserError(
                f"{file}: tensor '{name}' is {found.get(name, 'missing')}, wanted"
                f" {wanted.get(name, 'none')}: {REMEDY}"
            )
    values = {name: jnp.asarray(tensor.read()) for name, tensor in tensors.items()}
    return Restorer(graphdef, nested(values))


def save_restorer(params: Params, path: Path) -> None:
    """Writes the parameters of a `WienerNet` as safetensors, which hold numbers and no code."""
    leaves = {name: np.asarray(leaf) for name, leaf in named_leaves(params).items()}
    path.parent.mkdir(parents=True, exist_ok=True)
    save_file(leaves, path)


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
