"""Cases of the benchmark: restoration beside scikit-image and SciPy."""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import scipy.fft
from jax import lax
from jaxtyping import Float

from jxr.optics import gaussian_blur, gaussian_profile, gaussian_psf
from jxr.optics.operators import LinearOperator, psf_operator, separable_operator
from jxr.restoration.richardson_lucy import richardson_lucy
from jxr.restoration.spectra import circular_transfer_function, transfer_function
from jxr.restoration.total_variation import total_variation
from jxr.restoration.wiener import wiener
from jxr.studies.bench.optics import BATCH, RADIUS, SIGMA, SIZES, chests
from jxr.studies.bench.timing import Case, against, one_by_one, waiting
from jxr.threads import cores

NOISE_TO_SIGNAL = 1e-3
ITERATIONS = 20
TV_NOISE, TV_WEIGHT = 0.05, 0.1
TV_GROWTH = {"full": 1.2, "tiny": 2}
SKIMAGE = ("scikit-image", "scipy", "numpy")
THREADS = f"{cores()} threads"
# Images that iterate together: on a CPU as many as its cache holds, which is several times faster
# than all at once; accelerators want all of them.
BLOCK = 4

Images = Float[np.ndarray, "n height width"]


def wiener_cases(scale: str) -> Iterator[Case]:
    """`wiener` beside SciPy's cosine transform (reflect) and `skimage.restoration.wiener`.

    scikit-image knows circular boundaries only, so beside it ours is circular too. It is called as
    documented, with the PSF, and at its fastest: with a transfer function that was made once.
    """
    images = chests(BATCH, SIZES[scale][0])
    profile = gaussian_profile(SIGMA, radius=RADIUS)
    size = images.shape[1]
    d = np.asarray(transfer_function(profile, size, size))
    gain = d / (d**2 + np.float32(NOISE_TO_SIGNAL))

    def by_cosines():
        options = {"axes": (1, 2), "norm": "ortho", "workers": cores()}
        return scipy.fft.idctn(gain * scipy.fft.dctn(images, **options), **options)

    def case(boundary: str, name: str, peer: Callable, versions: tuple[str, ...]) -> Case:
        ours = waiting(
            lambda x, p: wiener(x, p, NOISE_TO_SIGNAL, boundary=boundary),  # type: ignore[arg-type]
            images[..., None],
            profile,
        )
        return against("wiener", name, ours, peer, 1e-4, BATCH, versions)

    yield case("reflect", f"scipy.fft.dctn, {THREADS}", by_cosines, SKIMAGE[1:])

    from skimage.restoration import wiener as skimage_wiener

    psf = np.asarray(gaussian_psf(SIGMA, radius=RADIUS))
    transfer = np.asarray(circular_transfer_function(profile, size, size)).real
    options = {"balance": NOISE_TO_SIGNAL, "clip": False}
    # Its penalty is the Laplacian of the image, unless told to take the image itself.
    documented = functools.partial(skimage_wiener, psf=psf, reg=np.ones((1, 1)), **options)
    fastest = functools.partial(
        skimage_wiener, psf=transfer, reg=np.ones(transfer.shape, np.complex64), **options
    )
    yield case("circular", "scikit-image, 1 thread", one_by_one(documented, images, 1), SKIMAGE)
    name = f"scikit-image, transfer function given, {THREADS}"
    yield case("circular", name, one_by_one(fastest, images, cores()), SKIMAGE)


def richardson_lucy_cases(scale: str) -> Iterator[Case]:
    """`richardson_lucy` beside scikit-image's: 20 iterations from 0.5, a Gaussian of 17x17 pixels.

    Ours uses that the Gaussian is separable; one row does without, as any PSF would have to.
    scikit-image leaves out the division by A^T 1, which is 1 but near the border, so the images
    have a black frame in which nothing happens.
    """
    from skimage.restoration import richardson_lucy as skimage_richardson_lucy

    size = SIZES[scale][0]
    framed = np.zeros((BATCH, size, size), np.float32)
    inside = np.s_[:, 2 * RADIUS : size - 2 * RADIUS, 2 * RADIUS : size - 2 * RADIUS]
    blurred = gaussian_blur(jnp.asarray(chests(BATCH, size))[..., None], SIGMA, radius=RADIUS)[
        ..., 0
    ]
    framed[inside] = 0.1 + 0.9 * np.asarray(blurred)[inside]
    profile = gaussian_profile(SIGMA, radius=RADIUS)
    psf = np.asarray(gaussian_psf(SIGMA, radius=RADIUS))

    def restore(operator: LinearOperator) -> Callable:
        start = jnp.full((size, size, 1), 0.5, jnp.float32)
        return in_blocks(
            lambda y: richardson_lucy(y, operator, iterations=ITERATIONS, start=start),
            framed[..., None],
        )

    separable = restore(separable_operator(profile, boundary="zero", symmetric=True))
    general = restore(psf_operator(jnp.asarray(psf), boundary="zero", method="fft"))
    work = functools.partial(skimage_richardson_lucy, psf=psf, num_iter=ITERATIONS, clip=False)
    spread = one_by_one(work, framed, cores())
    for name, ours, peer in (
        ("scikit-image, 1 thread", separable, one_by_one(work, framed, 1)),
        (f"scikit-image, {THREADS}", separable, spread),
        (f"scikit-image, {THREADS}, ours for any PSF", general, spread),
    ):
        yield against("richardson_lucy", name, ours, peer, 1e-3, BATCH, SKIMAGE)


def total_variation_cases(scale: str) -> Iterator[Case]:
    """`total_variation` without blur beside `skimage.restoration.denoise_tv_chambolle`.

    scikit-image stops by its own rule, by default after a few iterations at 5 to 15 % above the
    minimum, and with 1e-6 at about 0.1 %; ours gets as many iterations (each number a fifth above
    the last, twice the last on tiny images) as bring every image at least as near to the minimum.
    """
    from skimage.restoration import denoise_tv_chambolle

    images = chests(BATCH, SIZES[scale][0])
    noise = np.random.default_rng(0).standard_normal(images.shape, np.float32)
    noisy = images + np.float32(TV_NOISE) * noise
    identity = LinearOperator(lambda x: x, lambda x: x)
    for name, options in (
        ("default accuracy", {}),
        ("eps 1e-6", {"eps": 1e-6, "max_num_iter": 1000}),
    ):
        work = functools.partial(denoise_tv_chambolle, weight=TV_WEIGHT, **options)
        peer = one_by_one(work, noisy, cores())
        wanted = rof_objective(np.stack(peer()), noisy)

        def excess(ours: Callable, wanted: np.ndarray = wanted) -> float:
            return float((rof_objective(np.asarray(ours())[..., 0], noisy) / wanted - 1).max())

        iterations, missing = 4, True
        while missing:
            iterations = math.ceil(TV_GROWTH[scale] * iterations)
            ours = in_blocks(
                functools.partial(
                    total_variation, operator=identity, weight=TV_WEIGHT, iterations=iterations
                ),
                noisy[..., None],
            )
            missing = excess(ours) > 0
        yield Case(
            "total_variation",
            f"scikit-image, {name}, {THREADS}",
            ours,
            peer,
            error=functools.partial(excess, ours),
            tolerance=0.0,
            batch=BATCH,
            versions=SKIMAGE,
        )


def rof_objective(images: Images, noisy: Images) -> Float[np.ndarray, " n"]:
    """Returns |x - y|^2 / 2 + weight TV(x) of each image, in float64 and without our own code."""
    x, y = images.astype(float), noisy.astype(float)
    down = np.diff(x, axis=1, append=x[:, -1:])
    along = np.diff(x, axis=2, append=x[:, :, -1:])
    return np.square(x - y).sum((1, 2)) / 2 + TV_WEIGHT * np.hypot(down, along).sum((1, 2))


def in_blocks(restore: Callable, images: Float[np.ndarray, "n h w 1"]) -> Callable[[], Any]:
    """Returns a call of `restore` on all images, some at a time, that waits for the result."""
    block = BLOCK if jax.default_backend() == "cpu" else len(images)
    return waiting(lambda x: lax.map(restore, x, batch_size=block), images)
