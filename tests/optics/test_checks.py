"""All who take images refuse integers, in which kernels would be nothing, and missing axes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.optics.checks import as_float
from tests.commands import python

# Without the run-time check of signatures that tests have, as users meet it.
CALLS = """
import warnings
import jax
import jax.numpy as jnp
import numpy as np
import jxr
from jxr.optics import (
    Detector, dense_blur, expose, gaussian_transfer, psf_operator, separable_operator,
    tiled_operator, transfer_blur, transmitted_intensity,
)
from jxr.restoration import choose_noise_to_signal, discrepancy, edge_taper, gcv, tikhonov
from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.spectra import transfer_function

eight_bits, plain = jnp.full((20, 20, 1), 200, jnp.uint8), jnp.full((20, 20), 0.5)
line = jxr.gaussian_profile(1.0, radius=3)
operator, psf = separable_operator(line), jnp.outer(line, line)
ratios, key = jnp.array([0.01, 0.1]), jax.random.key(0)
field = tiled_operator(lambda y, x: psf, 20, 20, tile=10)
by_pixel = (
    lambda image: jxr.quantise(image),
    lambda image: jxr.add_gaussian_noise(key, image, 0.1),
    lambda image: transmitted_intensity(image, 1.0),
    lambda image: expose(key, image, 100.0, Detector(1.0, 1.0)),
)
by_place = (
    lambda image: jxr.blur(image, psf),
    lambda image: jxr.gaussian_blur(image, 1.0, radius=3),
    lambda image: jxr.wiener(image, line, 0.01),
    lambda image: edge_taper(image, line),
    lambda image: tikhonov(image, operator, 0.01),
    lambda image: jxr.richardson_lucy(image, operator, iterations=2),
    lambda image: jxr.total_variation(image, operator, 0.01, iterations=2),
    lambda image: jxr.estimate_blur_sigma(image),
    lambda image: jxr.estimate_noise_std(image),
    lambda image: transfer_blur(image, gaussian_transfer(1.0)),
    lambda image: psf_operator(psf, method="fft").forward(image),
    lambda image: psf_operator(psf, method="fft").adjoint(image),
    lambda image: field.forward(image),
    lambda image: field.adjoint(image),
    lambda image: filter_cosines(image, jnp.ones((20, 20))),
    lambda image: choose_noise_to_signal(image, image / 255, line, ratios),
    lambda image: dense_blur(image, lambda y, x: psf),
    lambda image: discrepancy(
        lambda y, k: tikhonov(y, operator, k), image, operator, 0.1, low=0.01, high=1.0
    ),
    lambda image: gcv(lambda y, k: tikhonov(y, operator, k), image, operator, ratios, key),
)
for calls, image in ((by_pixel + by_place, eight_bits), (by_place, plain)):
    for call in calls:
        try:
            call(image)
        except ValueError as error:
            print(error)

warnings.simplefilter("error")  # JAX's, that there is no float64
double = np.random.default_rng(0).random((1, 20, 20, 1))
for call in by_pixel + by_place:
    assert jax.tree.leaves(call(double))[0].dtype == "float32"
double = np.asarray(line, np.float64)
assert transfer_function(double / double.sum(), 20, 20).dtype == "float32"
"""


def test_images_of_eight_bits_or_without_an_axis_of_channels_are_refused_float64_is_not():
    finished = python("-c", CALLS)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 23 + 19
    for line in lines[:23]:
        assert "must be of float numbers, not uint8: divide 8-bit ones by 255" in line
    for line in lines[23:]:
        assert "must have the axes (..., height, width, channels), not the shape (20, 20)" in line


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32, np.float64])
def test_float_numbers_pass_also_when_traced(dtype):
    as_float("images", np.ones(3, dtype))
    jax.jit(lambda x: as_float("images", x))(np.ones(3, dtype))


@pytest.mark.parametrize("dtype", [bool, np.uint16, np.int32, np.complex64])
def test_other_numbers_do_not(dtype):
    with pytest.raises(ValueError, match="images must be of float numbers"):
        as_float("images", np.ones(3, dtype))
