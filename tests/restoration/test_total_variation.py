"""Total variation against scikit-image, closed forms, a duality gap and dense ADMM."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from skimage.restoration import denoise_tv_chambolle

from jxr.optics import gaussian_profile
from jxr.optics.operators import LinearOperator, psf_operator, separable_operator
from jxr.restoration.total_variation import (
    _onto_disc,
    divergence,
    gradient,
    operator_norm,
    total_variation,
    touching_sum,
)
from tests.restoration.dense import blur_matrix, gaussian, gradient_matrices, lopsided_psf

HEIGHT, WIDTH = 9, 8
IDENTITY = LinearOperator(lambda x: x, lambda x: x)


def scene(height=HEIGHT, width=WIDTH, seed=0):
    noise = np.random.default_rng(seed).random((height, width))
    return ndimage.gaussian_filter(noise, 0.7) + (np.arange(width) > width // 2)


@functools.cache
def program(operator, iterations):
    return jax.jit(lambda y, w: total_variation(y, operator, w, iterations=iterations))


def restore(blurred, operator, weight, iterations):
    with jax.enable_x64(True):
        return np.asarray(program(operator, iterations)(blurred[..., None], weight))[..., 0]


def total_length(x, height, width):
    down, along = gradient_matrices(height, width)
    return np.hypot(down @ x.ravel(), along @ x.ravel()).sum()


def test_gradient_and_divergence_equal_the_dense_matrices():
    down, along = gradient_matrices(HEIGHT, WIDTH)
    rng = np.random.default_rng(0)
    x, p = rng.random((2, HEIGHT, WIDTH, 3)), rng.random((2, 2, HEIGHT, WIDTH, 3))
    with jax.enable_x64(True):
        slopes = np.asarray(jax.jit(gradient)(x))
        sums = np.asarray(jax.jit(divergence)(*p))
    for n, c in np.ndindex(2, 3):
        plane = x[n, ..., c].ravel()
        np.testing.assert_allclose(slopes[0, n, ..., c].ravel(), down @ plane, atol=1e-14)
        np.testing.assert_allclose(slopes[1, n, ..., c].ravel(), along @ plane, atol=1e-14)
        expected = -down.T @ p[0, n, ..., c].ravel() - along.T @ p[1, n, ..., c].ravel()
        np.testing.assert_allclose(sums[n, ..., c].ravel(), expected, atol=1e-14)
    with jax.enable_x64(True):
        touched = np.asarray(jax.jit(touching_sum)(x[0, ..., :1])).ravel()
    expected = (np.abs(down).T + np.abs(along).T) @ x[0, ..., 0].ravel()
    np.testing.assert_allclose(touched, expected, atol=1e-14)


@pytest.mark.parametrize(("boundary", "scale"), [("reflect", 1), ("edge", 3), ("zero", 0.2)])
def test_operator_norm_equals_the_largest_singular_value(boundary, scale):
    psf = scale * lopsided_psf()
    expected = np.linalg.norm(blur_matrix(psf, HEIGHT, WIDTH, boundary), 2)
    operator = psf_operator(jnp.asarray(psf, jnp.float32), boundary=boundary)
    norm = jax.jit(lambda x: operator_norm(operator, x))(jnp.zeros((5, HEIGHT, WIDTH, 2)))
    assert norm.shape == ()
    assert 0.99 * expected < norm < expected * (1 + 1e-5)


def test_denoising_equals_scikit_image():
    noisy = scene(24, 20) + 0.1 * np.random.default_rng(1).standard_normal((24, 20))
    for weight in (0.02, 0.1):
        expected = denoise_tv_chambolle(noisy, weight=weight, eps=1e-14, max_num_iter=20000)
        restored = restore(noisy, IDENTITY, weight, 2000)
        assert np.abs(expected - noisy).max() > 2 * weight
        np.testing.assert_allclose(restored, expected, atol=2e-4)


def test_a_step_moves_by_the_weight_over_the_length_of_each_side():
    """The taut string on 1, ..., 1, 3, ..., 3: level n gets weight / n nearer to the other."""
    step = np.repeat([1.0, 3.0], [4, 10])[None]
    for weight in (0.5, 2.0):
        expected = np.repeat([1 + weight / 4, 3 - weight / 10], [4, 10])[None]
        np.testing.assert_allclose(restore(step, IDENTITY, weight, 4000), expected, atol=1e-6)
    # A weight that closes the step leaves the mean.
    np.testing.assert_allclose(restore(step, IDENTITY, 9.0, 4000), step.mean(), atol=1e-6)


def test_the_duality_gap_of_denoising_closes():
    """A dual point, found apart by projected gradients, bounds every primal value from below."""
    weight, noisy = 0.15, scene() + 0.1 * np.random.default_rng(2).standard_normal((HEIGHT, WIDTH))
    y, (down, along) = noisy.ravel(), gradient_matrices(HEIGHT, WIDTH)
    dual = np.zeros((2, y.size))
    for _ in range(20000):
        x = y - down.T @ dual[0] - along.T @ dual[1]
        dual = dual + np.stack([down @ x, along @ x]) / 8
        dual *= weight / np.maximum(np.hypot(*dual), weight)
    bound = (y @ y - np.square(y - down.T @ dual[0] - along.T @ dual[1]).sum()) / 2

    def gap(x):
        primal = np.square(x - noisy).sum() / 2 + weight * total_length(x, HEIGHT, WIDTH)
        return primal - bound

    assert gap(noisy) > 1
    gaps = [gap(restore(noisy, IDENTITY, weight, n)) for n in (10, 100, 1000)]
    assert gaps[0] > gaps[1] > gaps[2] > -1e-9
    # |x - optimum|^2 / 2 is at most the gap.
    assert gaps[2] < 3e-5


@pytest.mark.parametrize(("boundary", "weight"), [("edge", 1e-3), ("reflect", 3e-2)])
def test_deblurring_equals_dense_admm(boundary, weight):
    psf = lopsided_psf()
    dense = blur_matrix(psf, HEIGHT, WIDTH, boundary)
    y = dense @ scene().ravel() + 0.02 * np.random.default_rng(3).standard_normal(HEIGHT * WIDTH)
    slopes, rho = np.concatenate(gradient_matrices(HEIGHT, WIDTH)), 0.1
    inverse = np.linalg.inv(dense.T @ dense + rho * slopes.T @ slopes)
    split, dual = np.zeros(2 * y.size), np.zeros(2 * y.size)
    for _ in range(5000):
        x = inverse @ (dense.T @ y + rho * slopes.T @ (split - dual))
        wanted = (slopes @ x + dual).reshape(2, -1)
        shrunk = np.maximum(1 - weight / rho / np.maximum(np.hypot(*wanted), 1e-30), 0)
        split = (wanted * shrunk).ravel()
        dual += slopes @ x - split

    def objective(x):
        return np.square(dense @ x - y).sum() / 2 + weight * total_length(x, HEIGHT, WIDTH)

    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(psf), boundary=boundary)
    restored = restore(y.reshape(HEIGHT, WIDTH), operator, weight, 4000).ravel()
    assert objective(restored) == pytest.approx(objective(x), rel=1e-5)
    assert np.abs(x - y).max() > 0.1
    np.testing.assert_allclose(restored, x, atol=2e-3)
    # What the docstring promises of a hundred iterations.
    early = restore(y.reshape(HEIGHT, WIDTH), operator, weight, 100).ravel()
    assert objective(early) == pytest.approx(objective(x), rel=1e-2)


def test_the_scale_of_the_operator_and_of_the_image():
    """min |s A x - y|^2 / 2 + w TV(x) has x / s of the problem with weight w / s; units cancel."""
    blurred, psf = scene(), lopsided_psf()
    with jax.enable_x64(True):
        plain, tripled = psf_operator(jnp.asarray(psf)), psf_operator(jnp.asarray(3 * psf))
    expected = restore(blurred, plain, 0.02, 3000)
    np.testing.assert_allclose(3 * restore(blurred, tripled, 0.06, 3000), expected, atol=1e-3)
    scaled = restore(1000 * blurred, plain, 20.0, 50) / 1000
    np.testing.assert_allclose(scaled, restore(blurred, plain, 0.02, 50), atol=1e-9)


@pytest.mark.parametrize("scale", [1e-18, 1e-9, 1e9])
def test_units_cancel_in_float32_too(scale):
    """Joules in a pixel are about 1e-13, and squares of such slopes nearly nothing in float32."""
    operator = separable_operator(jnp.asarray(gaussian(1.0, 3), jnp.float32))
    blurred = jnp.asarray(scene()[..., None], jnp.float32)
    run = program(operator, 100)
    scaled = run(scale * blurred, 0.02 * scale) / scale
    np.testing.assert_allclose(scaled, run(blurred, 0.02), atol=2e-5)


def test_images_are_independent_and_flat_ones_stay():
    images = np.stack([scene(), 50 * scene(seed=1), np.ones((HEIGHT, WIDTH))])[..., None]
    operator = separable_operator(jnp.asarray(gaussian(1.0, 3), jnp.float32))
    run = jax.jit(lambda y: total_variation(y, operator, 0.01, iterations=40))
    together = run(jnp.asarray(images, jnp.float32))
    assert together.dtype == jnp.float32
    np.testing.assert_allclose(together[1], run(jnp.asarray(images[1], jnp.float32)), rtol=1e-4)
    np.testing.assert_allclose(together[2], 1, atol=1e-5)


def test_vmap_over_sigma_and_weight_and_their_gradients():
    with jax.enable_x64(True):
        blurred = jnp.asarray(scene())[..., None]

        def energy(parameters):
            sigma, weight = parameters
            operator = separable_operator(gaussian_profile(sigma, radius=3))
            restored = total_variation(blurred, operator, weight, iterations=300)
            return jnp.sum((restored - 1) ** 2)

        pairs = np.array([[0.6, 0.02], [0.9, 0.05]])
        run = jax.jit(jax.vmap(energy))
        slopes = np.asarray(jax.jit(jax.vmap(jax.jacfwd(energy)))(pairs))
        reverse = np.asarray(jax.jit(jax.vmap(jax.grad(energy)))(pairs))
        for axis in range(2):
            step = 1e-6 * np.eye(2)[axis]
            expected = (np.asarray(run(pairs + step)) - np.asarray(run(pairs - step))) / 2e-6
            np.testing.assert_allclose(slopes[:, axis], expected, rtol=1e-3)
        np.testing.assert_allclose(reverse, slopes, rtol=1e-6)


@pytest.mark.parametrize("weight", [0.0, 1e-25, 1e-13, 1e-10])
def test_the_derivative_by_a_tiny_weight_is_finite(weight):
    blurred = jnp.asarray(scene()[..., None], jnp.float32)

    def energy(weight):
        return jnp.sum(total_variation(blurred, IDENTITY, weight, iterations=5) ** 2)

    assert np.isfinite(jax.jit(jax.grad(energy))(weight))


def test_the_nearest_point_of_a_disc_and_its_derivative():
    """Where the disc has shrunk to a point, and on either side of its edge."""
    with jax.enable_x64(True):
        points = jnp.asarray([[0.0, 0.0], [0.03, 0.04], [0.3, 0.4]])
        for radius in (0.0, 0.1):
            onto = jax.jit(lambda p, r: jnp.stack(_onto_disc(p[:, 0], p[:, 1], r), 1))
            length = np.hypot(*points.T)[:, None]
            expected = points * np.minimum(1, radius / np.maximum(length, 1e-300))
            np.testing.assert_allclose(onto(points, radius), expected, atol=1e-15)
            for axis in range(2):
                step = 1e-7 * jnp.eye(2)[axis]
                moved = (onto(points + step, radius) - onto(points - step, radius)) / 2e-7
                along = jnp.zeros((3, 2)) + step / 1e-7
                _, slope = jax.jvp(onto, (points, radius), (along, 0.0))
                # At the point itself, a disc of no size has no derivative.
                start = 1 if radius == 0 else 0
                np.testing.assert_allclose(slope[start:], moved[start:], atol=1e-6)


def test_weight_zero_changes_nothing():
    blurred = jnp.asarray(scene()[..., None], jnp.float32)
    restored = program(IDENTITY, 5)(blurred, 0.0)
    np.testing.assert_allclose(restored, blurred, atol=1e-6)
