"""Images of integers are refused by all who take images: kernels would be rounded to nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from jxr.optics.checks import check_float
from tests.commands import python

# Without the run-time check of signatures that tests have, as users meet it.
EIGHT_BITS = """
import jax
import jax.numpy as jnp
import jxr
from jxr.optics import (
    gaussian_transfer, psf_operator, separable_operator, tiled_operator, transfer_blur,
    transmitted_intensity,
)
from jxr.restoration import choose_noise_to_signal, edge_taper, gcv, tikhonov
from jxr.restoration.cosine_filter import filter_cosines

image, line = jnp.full((20, 20, 1), 200, jnp.uint8), jxr.gaussian_profile(1.0, radius=3)
operator, psf = separable_operator(line), jnp.outer(line, line)
ratios, key = jnp.array([0.01, 0.1]), jax.random.key(0)
field = tiled_operator(lambda y, x: psf, 20, 20, tile=10)
for call in (
    lambda: jxr.blur(image, psf),
    lambda: jxr.gaussian_blur(image, 1.0, radius=3),
    lambda: jxr.quantise(image),
    lambda: jxr.wiener(image, line, 0.01),
    lambda: edge_taper(image, line),
    lambda: tikhonov(image, operator, 0.01),
    lambda: jxr.richardson_lucy(image, operator, iterations=2),
    lambda: jxr.total_variation(image, operator, 0.01, iterations=2),
    lambda: jxr.estimate_blur_sigma(image),
    lambda: jxr.estimate_noise_std(image),
    lambda: jxr.add_gaussian_noise(key, image, 0.1),
    lambda: transmitted_intensity(image, 1.0),
    lambda: transfer_blur(image, gaussian_transfer(1.0)),
    lambda: psf_operator(psf, method="fft").forward(image),
    lambda: psf_operator(psf, method="fft").adjoint(image),
    lambda: field.forward(image),
    lambda: field.adjoint(image),
    lambda: filter_cosines(image, jnp.ones((20, 20))),
    lambda: choose_noise_to_signal(image[None], image[None] / 255, line, ratios),
    lambda: gcv(lambda y, k: tikhonov(y, operator, k), image, operator, ratios, key),
):
    try:
        call()
    except ValueError as error:
        print(error)
"""


def test_images_of_eight_bits_are_refused():
    finished = python("-c", EIGHT_BITS)
    assert finished.returncode == 0, finished.stderr
    lines = finished.stdout.splitlines()
    assert len(lines) == 20
    for line in lines:
        assert "must be of float numbers, not uint8: divide 8-bit ones by 255" in line


@pytest.mark.parametrize("dtype", [jnp.bfloat16, np.float16, np.float32, np.float64])
def test_float_numbers_pass_also_when_traced(dtype):
    check_float("images", np.ones(3, dtype))
    jax.jit(lambda x: check_float("images", x))(np.ones(3, dtype))


@pytest.mark.parametrize("dtype", [bool, np.uint16, np.int32, np.complex64])
def test_other_numbers_do_not(dtype):
    with pytest.raises(ValueError, match="images must be of float numbers"):
        check_float("images", np.ones(3, dtype))
