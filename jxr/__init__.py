"""Chest X-rays under focal-spot blur: optics, restoration and diagnosis in JAX and Flax.

The names most people need are here, the rest is in the rooms: `jxr.optics`, `jxr.restoration`,
`jxr.models`, `jxr.data`, `jxr.evaluation`, `jxr.training`.

>>> import jxr
>>> import jax.numpy as jnp
>>> sharp = jnp.zeros((1, 64, 64, 1)).at[:, 20:40, 20:40].set(0.8)  # NHWC, float32 in [0, 1]
>>> blurred = jxr.quantise(jxr.gaussian_blur(sharp, 1.5, radius=6))
>>> restore = jxr.load_restorer()
>>> restored = restore(blurred, jxr.gaussian_profile(1.5, radius=6), noise=0.0)
>>> bool(jnp.mean((restored - sharp) ** 2) < 0.3 * jnp.mean((blurred - sharp) ** 2))
True
"""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jxr.data import read_radiograph as read_radiograph
    from jxr.models import load_restorer as load_restorer
    from jxr.models import load_vgg16 as load_vgg16
    from jxr.models import restore_large as restore_large
    from jxr.models import vgg16_features as vgg16_features
    from jxr.optics import Geometry as Geometry
    from jxr.optics import add_gaussian_noise as add_gaussian_noise
    from jxr.optics import blur as blur
    from jxr.optics import gaussian_blur as gaussian_blur
    from jxr.optics import gaussian_profile as gaussian_profile
    from jxr.optics import gaussian_psf as gaussian_psf
    from jxr.optics import kernel_radius as kernel_radius
    from jxr.optics import psf_at as psf_at
    from jxr.optics import quantise as quantise
    from jxr.restoration import estimate_blur_sigma as estimate_blur_sigma
    from jxr.restoration import estimate_noise_std as estimate_noise_std
    from jxr.restoration import richardson_lucy as richardson_lucy
    from jxr.restoration import total_variation as total_variation
    from jxr.restoration import wiener as wiener

__version__ = "0.1.0"

# Where a name is from. Loaded when it is asked for: a command's --help needs no JAX.
_ROOMS = {
    "jxr.optics": (
        "Geometry",
        "add_gaussian_noise",
        "blur",
        "gaussian_blur",
        "gaussian_profile",
        "gaussian_psf",
        "kernel_radius",
        "psf_at",
        "quantise",
    ),
    "jxr.restoration": (
        "estimate_blur_sigma",
        "estimate_noise_std",
        "richardson_lucy",
        "total_variation",
        "wiener",
    ),
    "jxr.models": ("load_restorer", "load_vgg16", "restore_large", "vgg16_features"),
    "jxr.data": ("read_radiograph",),
}
_FROM = {name: room for room, names in _ROOMS.items() for name in names}

__all__ = sorted(_FROM)


def __getattr__(name: str) -> Any:
    if name not in _FROM:
        raise AttributeError(f"module 'jxr' has no attribute '{name}'")
    return getattr(importlib.import_module(_FROM[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_FROM})
