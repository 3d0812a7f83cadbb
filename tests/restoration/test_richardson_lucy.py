"""Richardson-Lucy against scikit-image, dense matrices, and the functions that it minimises."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.optimize import minimize
from skimage.restoration import richardson_lucy as skimage_richardson_lucy

from jxr.optics import gaussian_profile, gaussian_psf
from jxr.optics.operators import psf_operator, separable_operator
from jxr.restoration.richardson_lucy import richardson_lucy
from tests.restoration.dense import blur_matrix, gaussian, gradient_matrices, lopsided_psf

HEIGHT, WIDTH = 9, 8


def scene(height=HEIGHT, width=WIDTH, seed=0):
    return 0.1 + ndimage.gaussian_filter(np.random.default_rng(seed).random((height, width)), 0.7)


def restore(blurred, psf, boundary="reflect", start=None, **options):
    """One plane in float64, under jit."""
    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(psf), boundary=boundary)
        images = jnp.asarray(blurred)[..., None]
        first = None if start is None else jnp.asarray(start)[..., None]
        run = jax.jit(lambda y: richardson_lucy(y, operator, start=first, **options))
        return np.asarray(run(images))[..., 0]


def poisson_loss(expected, observed):
    """Minus the log-likelihood of counts, up to a constant."""
    return np.sum(expected - observed * np.log(expected))


@pytest.mark.parametrize("iterations", [1, 2, 7])
def test_each_iteration_equals_scikit_image(iterations):
    """scikit-image leaves out A^T 1, which is 1 but near the border: hence the black frame."""
    psf = lopsided_psf()
    image = np.pad(scene(), 4)
    blurred = ndimage.convolve(image, psf, mode="constant")
    blurred[:3], blurred[-3:], blurred[:, :4], blurred[:, -4:] = 0, 0, 0, 0
    expected = skimage_richardson_lucy(blurred, psf, num_iter=iterations, clip=False)
    start = np.full(blurred.shape, 0.5)
    restored = restore(blurred, psf, "zero", iterations=iterations, start=start)
    assert np.abs(expected - blurred).max() > 0.05
    np.testing.assert_allclose(restored, expected, atol=1e-9)


@pytest.mark.parametrize("boundary", ["reflect", "zero", "edge"])
def test_plain_iterations_equal_the_dense_formula(boundary):
    psf = lopsided_psf()
    dense = blur_matrix(psf, HEIGHT, WIDTH, boundary)
    observed = dense @ scene().ravel() + 0.02 * np.random.default_rng(1).random(HEIGHT * WIDTH)
    expected = np.full(HEIGHT * WIDTH, observed.mean())
    for _ in range(5):
        expected = expected / dense.sum(axis=0) * (dense.T @ (observed / (dense @ expected)))
    restored = restore(observed.reshape(HEIGHT, WIDTH), psf, boundary, iterations=5)
    np.testing.assert_allclose(restored.ravel(), expected, rtol=1e-10)


@pytest.mark.parametrize("boundary", ["reflect", "zero"])
@pytest.mark.parametrize("accelerate", [False, True])
def test_positive_and_keeps_the_flux(boundary, accelerate):
    psf = lopsided_psf()
    dense = blur_matrix(psf, HEIGHT, WIDTH, boundary)
    counts = np.random.default_rng(2).poisson(3 * dense @ scene().ravel()).astype(float)
    assert (counts == 0).any()
    restored = restore(
        counts.reshape(HEIGHT, WIDTH), psf, boundary, iterations=40, accelerate=accelerate
    )
    assert restored.min() >= 0
    assert np.sum(restored.ravel() * dense.sum(axis=0)) == pytest.approx(counts.sum(), rel=1e-9)
    assert np.ptp(restored) > 2 * np.ptp(scene())


def test_acceleration_gains_likelihood_at_every_length():
    psf = np.outer(gaussian(1.5, 5), gaussian(1.5, 5))
    dense = blur_matrix(psf, 16, 16)
    counts = np.random.default_rng(3).poisson(1000 * dense @ scene(16, 16).ravel()) / 1000
    for iterations in (10, 40):
        plain, fast = (
            poisson_loss(
                dense
                @ restore(
                    counts.reshape(16, 16), psf, iterations=iterations, accelerate=accelerate
                ).ravel(),
                counts,
            )
            for accelerate in (False, True)
        )
        assert fast < plain
    thrice = restore(counts.reshape(16, 16), psf, iterations=120)
    assert fast < poisson_loss(dense @ thrice.ravel(), counts)


@pytest.mark.parametrize(("accelerate", "iterations"), [(False, 6000), (True, 600)])
def test_the_limit_is_the_likeliest_image(accelerate, iterations):
    """Against L-BFGS-B with bounds; counts so few that some pixels end at 0."""
    psf = lopsided_psf(3, 3)
    dense = blur_matrix(psf, HEIGHT, WIDTH)
    observed = np.random.default_rng(4).poisson(4 * dense @ scene().ravel()).astype(float)

    def loss(x):
        expected = dense @ x + 1e-12
        return poisson_loss(expected, observed), dense.T @ (1 - observed / expected)

    best = minimize(
        loss,
        np.full(observed.size, observed.mean()),
        jac=True,
        method="L-BFGS-B",
        bounds=[(0, None)] * observed.size,
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-9},
    )
    restored = restore(
        observed.reshape(HEIGHT, WIDTH), psf, iterations=iterations, accelerate=accelerate
    )
    assert loss(restored.ravel())[0] == pytest.approx(best.fun, abs=1e-4)
    assert (best.x < 1e-3).any()
    assert np.all(restored.ravel()[best.x < 1e-6] < 0.02)


@pytest.mark.parametrize("accelerate", [False, True])
def test_total_variation_ends_at_the_penalised_optimum(accelerate):
    psf = lopsided_psf(3, 3)
    dense = blur_matrix(psf, HEIGHT, WIDTH)
    down, along = gradient_matrices(HEIGHT, WIDTH)
    observed = np.random.default_rng(5).poisson(40 * dense @ scene().ravel()).astype(float)
    weight, smoothing = 0.1, 1e-2 * observed.mean()

    def loss(x):
        expected = dense @ x
        length = np.sqrt((down @ x) ** 2 + (along @ x) ** 2 + smoothing**2)
        slope = down.T @ (down @ x / length) + along.T @ (along @ x / length)
        value = poisson_loss(expected, observed) + weight * length.sum()
        return value, dense.T @ (1 - observed / expected) + weight * slope

    best = minimize(
        loss,
        np.full(observed.size, observed.mean()),
        jac=True,
        method="L-BFGS-B",
        bounds=[(1e-9, None)] * observed.size,
        options={"maxiter": 20000, "maxfun": 40000, "ftol": 1e-15, "gtol": 1e-9},
    )
    options = {"iterations": 3000, "accelerate": accelerate}
    restored = restore(observed.reshape(HEIGHT, WIDTH), psf, tv=weight, **options).ravel()
    plain = restore(observed.reshape(HEIGHT, WIDTH), psf, **options).ravel()
    assert loss(restored)[0] == pytest.approx(best.fun, abs=1e-3)
    assert loss(plain)[0] > best.fun + 0.5
    np.testing.assert_allclose(restored, best.x, atol=0.02 * observed.mean())


def test_without_weight_the_steps_are_the_plain_ones_of_which_the_start_is_one():
    none = restore(scene(), lopsided_psf(3, 3), iterations=9, tv=0.0)
    same = restore(scene(), lopsided_psf(3, 3), iterations=10)
    np.testing.assert_allclose(none, same, rtol=1e-12)


def test_a_damped_step_descends_white_s_likelihood():
    """x <- x - x / (A^T 1) * gradient, the gradient by finite differences of the printed loss."""
    psf, order, threshold = lopsided_psf(3, 3), 10, 3.0
    dense = blur_matrix(psf, HEIGHT, WIDTH, "zero")
    x = 20 * scene(seed=6).ravel()
    observed = np.random.default_rng(6).poisson(dense @ x).astype(float)
    observed[5] = 0

    def loss(x):
        expected = dense @ x
        logarithm = np.log(expected / np.maximum(observed, 1e-300))
        u = 2 / threshold**2 * (expected - observed - np.where(observed, observed * logarithm, 0))
        inside = (order - 1) / (order + 1) * (1 - u ** (order + 1)) + u**order
        assert (u < 1).any()
        assert (u > 1).any()
        return threshold**2 / 2 * np.where(u < 1, inside, u).sum()

    step = 1e-5 * np.eye(x.size)
    slope = np.array([(loss(x + s) - loss(x - s)) / 2e-5 for s in step])
    expected = x - x / dense.sum(axis=0) * slope
    restored = restore(
        observed.reshape(HEIGHT, WIDTH),
        psf,
        "zero",
        iterations=1,
        damping=threshold,
        start=x.reshape(HEIGHT, WIDTH),
    )
    np.testing.assert_allclose(restored.ravel(), expected, rtol=1e-6)
    # The same in an image whose brightness 1 stands for 50 counts.
    scaled = restore(
        observed.reshape(HEIGHT, WIDTH) / 50,
        psf,
        "zero",
        iterations=1,
        damping=threshold / np.sqrt(50),
        start=x.reshape(HEIGHT, WIDTH) / 50,
    )
    np.testing.assert_allclose(50 * scaled.ravel(), expected, rtol=1e-6)


def test_damping_leaves_noise_alone_and_restores_edges():
    truth = np.full((32, 32), 1000.0)
    truth[:, 16:] = 4000
    psf = np.outer(gaussian(1.2, 4), gaussian(1.2, 4))
    counts = np.random.default_rng(7).poisson(ndimage.convolve(truth, psf)).astype(float)
    plain = restore(counts, psf, iterations=60)
    damped = restore(counts, psf, iterations=60, damping=3.0)
    flat = np.s_[:, :10]
    assert damped[flat].std() < 0.3 * plain[flat].std()
    nearest = np.s_[:, 15:17]
    assert np.abs(damped - truth)[nearest].mean() < 0.85 * np.abs(counts - truth)[nearest].mean()


def test_images_and_channels_go_their_own_way():
    images = np.stack([scene(seed=s) * 10**s for s in range(4)]).astype(np.float32)
    images = images.reshape(2, 2, HEIGHT, WIDTH).transpose(0, 2, 3, 1)
    operator = separable_operator(jnp.asarray(gaussian(1.0, 3), jnp.float32))
    options = {"iterations": 12, "accelerate": True, "tv": 0.01, "damping": 0.1}
    run = jax.jit(lambda y: richardson_lucy(y, operator, **options))
    together = run(images)
    assert together.dtype == jnp.float32
    alone = run(images[1, :, :, 1:])
    np.testing.assert_allclose(together[1, :, :, 1:], alone, rtol=2e-4)


@pytest.mark.parametrize("scale", [1e-18, 1e-9, 1e9])
@pytest.mark.parametrize("options", [{"accelerate": True}, {"tv": 0.01}, {"damping": 0.05}])
def test_any_positive_scale(options, scale):
    """A step is homogeneous in the image, and in the image and the threshold's square."""
    operator = separable_operator(jnp.asarray(gaussian(1.0, 3), jnp.float32))
    observed = jnp.asarray(scene()[..., None], jnp.float32)
    expected = richardson_lucy(observed, operator, iterations=9, start=1 + observed, **options)
    if "damping" in options:
        options = {"damping": options["damping"] * scale**0.5}
    start = scale * (1 + observed)
    scaled = richardson_lucy(scale * observed, operator, iterations=9, start=start, **options)
    np.testing.assert_allclose(scaled / scale, expected, rtol=1e-4)


def test_black_images_and_negative_pixels():
    operator = separable_operator(jnp.asarray(gaussian(1.0, 3), jnp.float32))
    run = jax.jit(lambda y: richardson_lucy(y, operator, iterations=9, accelerate=True, tv=0.01))
    black = jnp.zeros((HEIGHT, WIDTH, 1))
    np.testing.assert_array_equal(run(black), black)
    noisy = jnp.asarray(scene()[..., None] - 0.4, jnp.float32)
    assert noisy.min() < 0
    np.testing.assert_array_equal(run(noisy), run(jnp.maximum(noisy, 0)))


@pytest.mark.parametrize("options", [{"tv": 0.02}, {"accelerate": True, "damping": 0.05}])
def test_gradient_by_sigma_and_vmap(options):
    with jax.enable_x64(True):
        images = jnp.asarray(scene())[..., None]

        def energy(sigma):
            operator = separable_operator(gaussian_profile(sigma, radius=3))
            return jnp.sum(richardson_lucy(images, operator, iterations=5, **options) ** 2)

        sigmas, step = np.array([0.6, 0.9]), 1e-5
        values, slopes = jax.jit(jax.vmap(jax.value_and_grad(energy)))(sigmas)
        alone = jax.jit(energy)
        expected = [float(alone(s + step) - alone(s - step)) / (2 * step) for s in sigmas]
        np.testing.assert_allclose(slopes, expected, rtol=1e-5)
        np.testing.assert_allclose(values, [float(alone(s)) for s in sigmas], rtol=1e-10)
        assert all(np.abs(np.asarray(slopes)) > 1e-3)


def test_each_step_with_total_variation_lowers_the_objective():
    """Also for weights at which the division of Dey et al. turns negative."""
    psf = lopsided_psf()
    dense = blur_matrix(psf, HEIGHT, WIDTH)
    down, along = gradient_matrices(HEIGHT, WIDTH)
    observed = np.random.default_rng(8).poisson(20 * dense @ scene().ravel()).astype(float)

    def loss(x, weight):
        length = np.sqrt((down @ x) ** 2 + (along @ x) ** 2 + (0.01 * observed.mean()) ** 2)
        return poisson_loss(dense @ x, observed) + weight * length.sum()

    weights = np.array([0.05, 5.0])
    with jax.enable_x64(True):
        operator, images = psf_operator(jnp.asarray(psf)), observed.reshape(HEIGHT, WIDTH, 1)
        losses = []
        for n in (0, 1, 2, 3, 10, 50):
            run = jax.jit(
                lambda y, weight, n=n: richardson_lucy(y, operator, iterations=n, tv=weight)
            )
            restored = [np.asarray(run(images, weight)).ravel() for weight in weights]
            losses.append([loss(x, weight) for x, weight in zip(restored, weights, strict=True)])
    assert np.all(np.diff(losses, axis=0) < 0)


@functools.cache
def by_operator_and_by_fft(accelerate):
    """One program for every image."""
    psf = gaussian_psf(1.5, radius=6)
    operators = psf_operator(psf), psf_operator(psf, method="fft")
    return jax.jit(
        lambda seen: [
            richardson_lucy(seen, operator, iterations=30, accelerate=accelerate)
            for operator in operators
        ]
    )


@pytest.mark.parametrize("accelerate", [False, True])
@pytest.mark.parametrize("noise", [0.0, 0.002])
def test_black_borders_under_an_operator_by_fft_stay_finite(accelerate, noise):
    """Its rounding there once grew without bound: 1e-7 of the brightest pixel, divided by nothing.

    The direct operator, which rounds each pixel for itself, is the reference.
    """
    generator = np.random.default_rng(0)
    image = np.zeros((64, 64, 1), np.float32)
    image[20:44, 20:44] = generator.random((24, 24, 1))
    psf = np.outer(gaussian(1.5, 6), gaussian(1.5, 6))
    seen = ndimage.convolve(image, psf[..., None]) + noise * generator.standard_normal((64, 64, 1))
    seen = seen.clip(0, 1).astype(np.float32)
    restored = [np.asarray(x) for x in by_operator_and_by_fft(accelerate)(seen)]
    assert np.isfinite(restored).all()
    np.testing.assert_allclose(restored[1], restored[0], atol=0.02)
    assert np.square(restored[1] - image).mean() < np.square(seen - image).mean()
