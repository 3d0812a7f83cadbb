"""Blur against an explicit sum over pixels and against SciPy, for every boundary."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from scipy import ndimage

from jxr.optics import blur, blur_separable, gaussian_blur, gaussian_profile, kernel_radius

BOUNDARIES = ["reflect", "zero", "circular", "edge"]
SCIPY_MODES = {"reflect": "reflect", "zero": "constant", "circular": "wrap", "edge": "nearest"}
# No symmetry at all, so that a correlation, a transpose or a shift cannot pass for a convolution.
PSF = np.array([[1, 2, 0], [4, 7, 1], [0, 3, 2], [5, 0, 1], [1, 1, 6]], np.float64) / 34
PROFILE = np.array([0.05, 0.3, 0.4, 0.05, 0.2])


def source(i, n, boundary):
    """The pixel inside 0..n-1 that stands for pixel i, or None for darkness."""
    if 0 <= i < n:
        return i
    if boundary == "zero":
        return None
    if boundary == "circular":
        return i % n
    if boundary == "edge":
        return 0 if i < 0 else n - 1
    return -1 - i if i < 0 else 2 * n - 1 - i


def brute_force(image, psf, boundary):
    """y[i, j] = sum over a, b of psf[a, b] x[i - a, j - b], a and b measured from the middle."""
    height, width = image.shape
    rows, columns = psf.shape[0] // 2, psf.shape[1] // 2
    result = np.zeros_like(image)
    for i, j in np.ndindex(height, width):
        for a in range(-rows, rows + 1):
            for b in range(-columns, columns + 1):
                k, m = source(i - a, height, boundary), source(j - b, width, boundary)
                if k is not None and m is not None:
                    result[i, j] += psf[a + rows, b + columns] * image[k, m]
    return result


def random_images(*shape):
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_blur_equals_the_explicit_sum(boundary):
    images = random_images(2, 6, 7, 3)
    with jax.enable_x64(True):
        result = np.asarray(jax.jit(lambda x, p: blur(x, p, boundary=boundary))(images, PSF))
    for n, c in np.ndindex(2, 3):
        expected = brute_force(images[n, ..., c], PSF, boundary)
        np.testing.assert_allclose(result[n, ..., c], expected, atol=1e-14)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_blur_separable_equals_the_explicit_sum(boundary):
    images = random_images(2, 5, 6, 2)
    psf = np.outer(PROFILE, PROFILE)
    with jax.enable_x64(True):
        result = jax.jit(lambda x, p: blur_separable(x, p, boundary=boundary))(images, PROFILE)
        result = np.asarray(result)
    for n, c in np.ndindex(2, 2):
        expected = brute_force(images[n, ..., c], psf, boundary)
        np.testing.assert_allclose(result[n, ..., c], expected, atol=1e-14)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_both_operators_equal_scipy(boundary):
    images = random_images(2, 20, 16, 1).astype(np.float32)
    profile = np.asarray(gaussian_profile(1.7, radius=7))
    asymmetric = ndimage.convolve(
        images[0, ..., 0].astype(np.float64), PSF, mode=SCIPY_MODES[boundary]
    )
    result = jax.jit(lambda x: blur(x, jnp.asarray(PSF), boundary=boundary))(jnp.asarray(images))
    np.testing.assert_allclose(result[0, ..., 0], asymmetric, atol=3e-7)

    expected = images.astype(np.float64)
    for axis in (1, 2):
        expected = ndimage.convolve1d(
            expected, profile.astype(np.float64), axis=axis, mode=SCIPY_MODES[boundary]
        )
    psf = jnp.outer(profile, profile)
    fast = jax.jit(lambda x: blur_separable(x, jnp.asarray(profile), boundary=boundary))(images)
    slow = jax.jit(lambda x: blur(x, psf, boundary=boundary))(images)
    np.testing.assert_allclose(fast, expected, atol=2e-7)
    np.testing.assert_allclose(slow, expected, atol=4e-7)


@pytest.mark.parametrize("shape", [(9, 8, 1), (3, 9, 8, 2), (2, 3, 9, 8, 1)])
def test_leading_axes_and_channels_are_independent(shape):
    images = random_images(*shape).astype(np.float32)
    psf = jnp.asarray(np.outer(PROFILE, PROFILE), jnp.float32)
    slow = jax.jit(blur)(jnp.asarray(images), psf)
    fast = jax.jit(blur_separable)(jnp.asarray(images), jnp.asarray(PROFILE, jnp.float32))
    assert slow.shape == fast.shape == shape
    assert slow.dtype == fast.dtype == jnp.float32
    for index in np.ndindex(*shape[:-3]):
        for c in range(shape[-1]):
            expected = ndimage.convolve(
                images[(*index, ..., c)].astype(np.float64), np.asarray(psf, np.float64)
            )
            np.testing.assert_allclose(slow[(*index, ..., c)], expected, atol=3e-7)
            np.testing.assert_allclose(fast[(*index, ..., c)], expected, atol=3e-7)


def test_an_impulse_becomes_the_kernel():
    impulse = jnp.zeros((1, 11, 9, 1)).at[0, 5, 4, 0].set(1)
    psf = jnp.asarray(PSF, jnp.float32)
    result = jax.jit(blur)(impulse, psf)[0, ..., 0]
    np.testing.assert_array_equal(result[3:8, 3:6], psf)
    np.testing.assert_allclose(result.sum(), psf.sum(), rtol=1e-6)
    result = jax.jit(blur_separable)(impulse, jnp.asarray(PROFILE, jnp.float32))[0, ..., 0]
    np.testing.assert_allclose(result[3:8, 2:7], np.outer(PROFILE, PROFILE), rtol=1e-6)


@pytest.mark.parametrize("sampling", ["point", "integrated"])
def test_sigma_zero_is_the_identity_with_a_finite_gradient(sampling):
    images = jnp.asarray(random_images(2, 8, 8, 1), jnp.float32)

    def blurred(sigma):
        return gaussian_blur(images, sigma, radius=2, sampling=sampling)

    np.testing.assert_array_equal(jax.jit(blurred)(0.0), images)
    assert jax.jit(jax.grad(lambda sigma: blurred(sigma).var()))(0.0) == 0


def test_vmap_over_sigma_equals_scipy_one_by_one():
    images = random_images(2, 16, 12, 1).astype(np.float32)
    sigmas = np.array([0.0, 0.5, 1.0, 2.0], np.float32)
    sweep = jax.jit(jax.vmap(lambda s: gaussian_blur(jnp.asarray(images), s, radius=8)))(sigmas)
    for sigma, result in zip(sigmas, sweep, strict=True):
        expected = images
        if sigma > 0:
            expected = ndimage.gaussian_filter(
                images.astype(np.float64), float(sigma), axes=(1, 2), radius=8
            )
        np.testing.assert_allclose(result, expected, atol=2e-7)


@pytest.mark.parametrize("convention", ["standard", "report"])
def test_gradient_by_sigma_equals_finite_differences(convention):
    images = random_images(1, 12, 10, 1)
    scale = 1.0 if convention == "standard" else np.sqrt(0.5)

    def reference(sigma):
        return np.square(
            ndimage.gaussian_filter(images, sigma * scale, axes=(1, 2), radius=4)
        ).sum()

    def energy(sigma):
        blurred = gaussian_blur(jnp.asarray(images), sigma, radius=4, convention=convention)
        return jnp.square(blurred).sum()

    with jax.enable_x64(True):
        both = jax.jit(lambda sigma: (jax.grad(energy)(sigma), jax.jacfwd(energy)(sigma)))
        reverse, forward = map(float, both(1.5))
    step = 1e-5
    expected = (reference(1.5 + step) - reference(1.5 - step)) / (2 * step)
    assert reverse == pytest.approx(expected, rel=1e-7)
    assert forward == pytest.approx(expected, rel=1e-7)


def test_gradient_by_images_is_the_transposed_operator():
    """The dense matrix of the brute force, transposed, against reverse mode."""
    weights = random_images(4, 5)
    columns = [
        brute_force(np.eye(20)[k].reshape(4, 5), np.outer(PROFILE, PROFILE), "reflect")
        for k in range(20)
    ]
    expected = np.stack(columns).reshape(20, 20) @ weights.ravel()
    with jax.enable_x64(True):
        gradient = jax.jit(
            jax.grad(lambda x: (blur_separable(x, jnp.asarray(PROFILE))[..., 0] * weights).sum())
        )(jnp.zeros((4, 5, 1)))
        gradient = np.asarray(gradient)
    np.testing.assert_allclose(gradient.ravel(), expected, atol=1e-14)


def test_precision_is_the_highest():
    """TF32 or bfloat16, the default of accelerators, would ruin a restoration."""
    images, profile = jnp.zeros((1, 9, 9, 1)), jnp.asarray(PROFILE, jnp.float32)
    reference = str(jax.make_jaxpr(blur)(images, jnp.outer(profile, profile)))
    assert "conv_general_dilated" in reference
    precisions = re.findall(r"\bprecision=(\([^)]*\)|\S+)", reference)
    assert precisions
    assert all("HIGHEST" in p and "DEFAULT" not in p for p in precisions)
    # The fast path multiplies and adds elementwise, which has no lower precision to fall to.
    fast = str(jax.make_jaxpr(blur_separable)(images, profile))
    assert "conv_general_dilated" not in fast
    assert "dot_general" not in fast


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_kernels_of_even_size_or_beyond_the_image_are_refused(boundary):
    images = jnp.ones((1, 4, 6, 1))
    with pytest.raises(ValueError, match="odd"):
        blur(images, jnp.ones((3, 4)), boundary=boundary)
    with pytest.raises(ValueError, match="smaller radius"):
        blur_separable(images, jnp.ones(11), boundary=boundary)
    # A radius of exactly the image still has a mirror image to read from.
    widest = jax.eval_shape(lambda x: blur_separable(x, jnp.ones(9) / 9, boundary=boundary), images)
    assert widest.shape == images.shape


@pytest.mark.shared
def test_mean_squared_error_of_blurred_chest_x_rays(shared):
    """Blur of the 624 official test images, computed elsewhere in float64 with NumPy."""
    paths = sorted((shared / "data" / "chest_xray" / "test").rglob("*.jpeg"))
    assert len(paths) == 624
    images = np.stack([np.asarray(Image.open(path)) for path in paths])[..., None]
    images = images.astype(np.float32) / 255
    measured = {}
    for sigma, convention in ((1, "standard"), (1, "report"), (2, "standard"), (2, "report")):
        radius = kernel_radius(sigma, convention)
        blurred = jax.jit(
            lambda x, s=sigma, r=radius, c=convention: gaussian_blur(x, s, radius=r, convention=c),
            # 31 million pixels: worth the optimisation that other tests do without.
            compiler_options={"xla_backend_optimization_level": 2},
        )(images)
        errors = images - np.asarray(blurred)
        measured[sigma, convention] = np.square(errors, out=errors).mean(dtype=np.float64)
    expected = {
        (1, "standard"): 5.91e-4,
        (1, "report"): 3.34e-4,
        (2, "standard"): 1.23e-3,
        (2, "report"): 8.74e-4,
    }
    assert measured == pytest.approx(expected, rel=2e-3)  # three digits were printed
