"""The forward physics as pure functions: point-spread functions, blur and noise."""

from jxr.optics.blur import Boundary, blur, blur_separable, gaussian_blur
from jxr.optics.forward import degrade
from jxr.optics.noise import add_gaussian_noise, quantise
from jxr.optics.psf import (
    Convention,
    Sampling,
    effective_sigma,
    gaussian_profile,
    gaussian_psf,
    kernel_radius,
)

__all__ = [
    "Boundary",
    "Convention",
    "Sampling",
    "add_gaussian_noise",
    "blur",
    "blur_separable",
    "degrade",
    "effective_sigma",
    "gaussian_blur",
    "gaussian_profile",
    "gaussian_psf",
    "kernel_radius",
    "quantise",
]
