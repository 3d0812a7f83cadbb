"""Cases of the benchmark: blurs of `jxr.optics` beside SciPy's."""

import functools
from collections.abc import Callable, Iterator

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jaxtyping import Float
from scipy import ndimage
from scipy.signal import fftconvolve

from jxr.data.phantoms import phantom
from jxr.optics import gaussian_blur, gaussian_psf
from jxr.optics.low_rank import eigen_psfs, low_rank_operator, weight_maps
from jxr.optics.operators import psf_operator
from jxr.studies.bench.timing import Case, against, largest_difference, one_by_one, waiting
from jxr.threads import cores

SIGMA, RADIUS = 2.0, 8  # pixels
RANK = 8
BATCH = 32
# Pixels along an axis, of ordinary images and of the shift-variant blur's.
SIZES = {"full": (224, 2048), "tiny": (48, 64)}


@functools.cache
def chests(count: int, size: int) -> Float[np.ndarray, "count size size"]:
    """Returns phantoms of all classes, float32 in [0, 1]."""
    draw = jax.vmap(functools.partial(phantom, size=size))
    keys = jax.random.split(jax.random.key(0), count)
    return np.asarray(draw(keys, jnp.arange(count) % 3))[..., 0]


def blur_cases(scale: str) -> Iterator[Case]:
    """`gaussian_blur` beside `scipy.ndimage.gaussian_filter`, on all images at once and by threads.

    Sigma 2 pixels, radius 8, reflect boundary.
    """
    images = chests(BATCH, SIZES[scale][0])
    ours = waiting(lambda x: gaussian_blur(x, SIGMA, radius=RADIUS), images[..., None])
    filtered = functools.partial(ndimage.gaussian_filter, mode="reflect")
    peers: dict[str, Callable] = {
        "scipy.ndimage, 1 thread": lambda: filtered(
            images, (0, SIGMA, SIGMA), radius=(0, RADIUS, RADIUS)
        ),
        f"scipy.ndimage, {cores()} threads": one_by_one(
            lambda image: filtered(image, SIGMA, radius=RADIUS), images, cores()
        ),
    }
    for name, peer in peers.items():
        yield against("blur", name, ours, peer, 1e-5, BATCH, ("scipy", "numpy"))


def shift_variant_cases(scale: str) -> Iterator[Case]:
    """A rank-8 blur of one large image beside SciPy's sum of eight, and beside stationary blurs.

    The stationary blurs do less, so they are no peers: their rows say what it costs that the PSF
    varies over the field. The PSFs are Gaussians of 0.8 to 3.2 pixels, 17 pixels wide.
    """
    size = SIZES[scale][1]
    image = chests(1, size)[0]
    eigen = eigen_psfs(
        lambda y, x: gaussian_psf(0.8 + (1.6 * y + 0.8 * x) / size, radius=RADIUS),
        size,
        size,
        rank=RANK,
    )
    psf = gaussian_psf(SIGMA, radius=RADIUS)
    ours = waiting(low_rank_operator(eigen).forward, image[..., None])
    stationary = waiting(psf_operator(psf, method="fft").forward, image[..., None])
    weights, psfs, host_psf = (np.asarray(x) for x in (weight_maps(eigen), eigen.psfs, psf))

    def convolve(image: Float[np.ndarray, "h w"], psf: Float[np.ndarray, "a b"]):
        padded = np.pad(image, RADIUS, mode="symmetric")
        with scipy.fft.set_workers(cores()):
            return fftconvolve(padded, psf, mode="valid")

    def convolve_all():
        return sum(convolve(w * image, p) for w, p in zip(weights, psfs, strict=True))

    def variant_error() -> float:
        return largest_difference(ours(), convolve_all())

    def stationary_error() -> float:
        return max(variant_error(), largest_difference(stationary(), convolve(image, host_psf)))

    workers = f"{cores()} threads"
    peers: dict[str, tuple[Callable, Callable]] = {
        f"scipy.signal.fftconvolve, the same rank {RANK}, {workers}": (convolve_all, variant_error),
        f"scipy.signal.fftconvolve, one stationary blur, {workers}": (
            lambda: convolve(image, host_psf),
            stationary_error,
        ),
        "jxr.optics, one stationary FFT blur": (stationary, stationary_error),
    }
    for name, (peer, error) in peers.items():
        yield Case(
            "shift_variant_blur",
            name,
            ours,
            peer,
            error=error,
            tolerance=1e-5,
            batch=1,
            versions=("scipy", "numpy"),
        )
