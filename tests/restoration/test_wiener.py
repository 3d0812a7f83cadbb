"""The Wiener filter against dense matrices of the blur, built with NumPy alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.fft import dct, dctn
from skimage import restoration as skimage_restoration

from jxr.restoration import choose_noise_to_signal, transfer_function, wiener
from jxr.restoration.spectra import noise_to_signal_spectrum
from tests.restoration.dense import blur_matrix, gaussian, lopsided_psf

HEIGHT, WIDTH = 7, 10
PROFILE = np.array([0.03, 0.12, 0.2, 0.3, 0.2, 0.12, 0.03])


def axis_matrix(n, profile=PROFILE):
    """The dense blur along one axis."""
    return blur_matrix(profile[:, None], n, 1)


def random_images(*shape):
    return np.random.default_rng(0).random(shape)


def test_transfer_function_holds_the_eigenvalues_of_the_dense_blur():
    with jax.enable_x64(True):
        transfer = np.asarray(
            jax.jit(lambda p: transfer_function(p, HEIGHT, WIDTH))(jnp.asarray(PROFILE))
        )
    assert transfer[0, 0] == pytest.approx(1)
    dense = np.kron(axis_matrix(HEIGHT), axis_matrix(WIDTH))
    np.testing.assert_allclose(np.sort(transfer.ravel()), np.linalg.eigvalsh(dense), atol=1e-13)
    # The order too: blur in the image domain is a product in the cosine domain.
    image = random_images(HEIGHT, WIDTH)
    blurred = axis_matrix(HEIGHT) @ image @ axis_matrix(WIDTH).T
    np.testing.assert_allclose(
        dctn(blurred, norm="ortho"), transfer * dctn(image, norm="ortho"), atol=1e-13
    )


def test_transfer_function_in_float32_is_as_exact_as_its_sum():
    profile = gaussian(2.0, 8)
    expected = np.linalg.eigvalsh(axis_matrix(128, profile))[::-1]
    transfer = jax.jit(lambda p: transfer_function(p, 128, 1))(jnp.asarray(profile, jnp.float32))
    assert transfer.dtype == jnp.float32
    np.testing.assert_allclose(np.sort(transfer[:, 0])[::-1], expected, atol=3e-7)


@pytest.mark.parametrize("ratio", [1e-4, 1e-2, 1.0])
def test_wiener_equals_the_dense_tikhonov_solution(ratio):
    images = random_images(2, HEIGHT, WIDTH, 3)
    dense = np.kron(axis_matrix(HEIGHT), axis_matrix(WIDTH))
    normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
    expected = np.empty_like(images)
    for n, c in np.ndindex(2, 3):
        solution = np.linalg.solve(normal, dense.T @ images[n, ..., c].ravel())
        expected[n, ..., c] = solution.reshape(HEIGHT, WIDTH)
    single = jax.jit(wiener)(images.astype(np.float32), PROFILE.astype(np.float32), ratio)
    assert single.dtype == jnp.float32
    np.testing.assert_allclose(single, expected, atol=2e-4)
    with jax.enable_x64(True):
        double = np.asarray(jax.jit(wiener)(images, PROFILE, ratio))
    assert double.dtype == np.float64
    np.testing.assert_allclose(double, expected, atol=1e-11)


def test_a_vanishing_ratio_inverts_a_mild_blur():
    images = random_images(2, 24, 20, 1)
    profile = gaussian(0.7, 3)
    blurred = ndimage.convolve1d(ndimage.convolve1d(images, profile, axis=1), profile, axis=2)
    assert np.abs(blurred - images).max() > 0.1
    with jax.enable_x64(True):
        restored = np.asarray(jax.jit(wiener)(blurred, profile, 1e-14))
    np.testing.assert_allclose(restored, images, atol=1e-8)


def test_leading_axes_are_independent():
    images = random_images(2, 3, HEIGHT, WIDTH, 2).astype(np.float32)
    profile = jnp.asarray(PROFILE, jnp.float32)
    together = jax.jit(wiener)(images, profile, 0.01)
    assert together.shape == images.shape
    alone = jax.jit(wiener)(images[1, 2, :, :, 1:], profile, 0.01)
    np.testing.assert_allclose(together[1, 2, :, :, 1:], alone, atol=1e-5)


def test_vmap_and_gradient_by_the_ratio():
    blurred = random_images(1, HEIGHT, WIDTH, 1)
    ratios = np.array([0.01, 0.1])
    dense = np.kron(axis_matrix(HEIGHT), axis_matrix(WIDTH))

    def energy(ratio):
        normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
        return np.square(np.linalg.solve(normal, dense.T @ blurred.ravel())).sum()

    with jax.enable_x64(True):
        value_and_grad = jax.value_and_grad(
            lambda ratio: jnp.square(
                wiener(jnp.asarray(blurred), jnp.asarray(PROFILE), ratio)
            ).sum()
        )
        values, gradients = jax.jit(jax.vmap(value_and_grad))(jnp.asarray(ratios))
        values, gradients = np.asarray(values), np.asarray(gradients)
    np.testing.assert_allclose(values, [energy(r) for r in ratios], rtol=1e-10)
    step = 1e-6
    expected = [(energy(r + step) - energy(r - step)) / (2 * step) for r in ratios]
    np.testing.assert_allclose(gradients, expected, rtol=1e-6)


def test_the_best_candidate_wins():
    """Errors of all candidates from dense solves; the winner lies inside the range."""
    rng = np.random.default_rng(1)
    originals = ndimage.gaussian_filter(rng.random((3, HEIGHT, WIDTH, 1)), 1.0, axes=(1, 2))
    rows, columns = axis_matrix(HEIGHT), axis_matrix(WIDTH)
    blurred = np.einsum("ih,nhwc,jw->nijc", rows, originals, columns)
    blurred += 0.01 * rng.standard_normal(blurred.shape)
    candidates = np.array([1.0, 1e-5, 1e-2, 1e-1, 1e-7])
    dense = np.kron(rows, columns)
    expected = []
    for ratio in candidates:
        normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
        restored = np.linalg.solve(normal, dense.T @ blurred.reshape(3, -1).T).T
        expected.append(np.square(restored - originals.reshape(3, -1)).mean())
    assert np.argmin(expected) in (2, 3)
    with jax.enable_x64(True):
        best, mses = jax.jit(choose_noise_to_signal)(blurred, originals, PROFILE, candidates)
        best, mses = float(best), np.asarray(mses)
    assert best == candidates[np.argmin(expected)]
    np.testing.assert_allclose(mses, expected, rtol=1e-6)


def test_a_ratio_without_an_error_does_not_win():
    """Where the blur's transfer is 0 and float32 takes the ratio for 0, the error is 0 / 0."""
    rng = np.random.default_rng(2)
    originals = rng.random((2, 8, 8, 1)).astype(np.float32)
    blind = np.zeros(1, np.float32)
    candidates = np.array([1e-45, 1e-2], np.float32)
    best, mses = choose_noise_to_signal(
        *map(jnp.asarray, (np.zeros_like(originals), originals, blind, candidates))
    )
    assert np.isnan(mses[0])
    assert float(best) == candidates[1]


def circular_matrix(psf):
    """The dense circular blur with any PSF, one impulse a column."""
    impulses = np.eye(HEIGHT * WIDTH).reshape(-1, HEIGHT, WIDTH)
    return ndimage.convolve(impulses, psf[None], mode="wrap").reshape(HEIGHT * WIDTH, -1).T


def restore(blurred, kernel, ratio, dtype=np.float64, **options):
    with jax.enable_x64(dtype == np.float64):
        restored = jax.jit(lambda b, k, r: wiener(b, k, r, **options))(
            blurred.astype(dtype), kernel.astype(dtype), np.asarray(ratio, dtype)
        )
        return np.asarray(restored)


@pytest.mark.parametrize("ratio", [1e-3, 1.0])
def test_circular_wiener_equals_the_dense_tikhonov_solution(ratio):
    images, psf = random_images(2, HEIGHT, WIDTH, 2), lopsided_psf()
    dense = circular_matrix(psf)
    normal = dense.T @ dense + ratio * np.eye(HEIGHT * WIDTH)
    planes = np.moveaxis(images, -1, 1).reshape(4, -1)
    solutions = np.linalg.solve(normal, dense.T @ planes.T).T
    expected = np.moveaxis(solutions.reshape(2, 2, HEIGHT, WIDTH), 1, -1)
    np.testing.assert_allclose(
        restore(images, psf, ratio, boundary="circular"), expected, atol=1e-11
    )
    single = restore(images, psf, ratio, np.float32, boundary="circular")
    assert single.dtype == np.float32
    np.testing.assert_allclose(single, expected, atol=2e-4)


def test_reflect_wiener_takes_a_psf_that_no_profile_stands_for():
    psf = np.array([[0.0, 0.15, 0.0], [0.1, 0.5, 0.1], [0.0, 0.15, 0.0]])
    image = random_images(1, HEIGHT, WIDTH, 1)
    impulses = np.eye(HEIGHT * WIDTH).reshape(-1, HEIGHT, WIDTH)
    dense = ndimage.convolve(impulses, psf[None], mode="reflect").reshape(HEIGHT * WIDTH, -1).T
    normal = dense.T @ dense + 0.01 * np.eye(HEIGHT * WIDTH)
    expected = np.linalg.solve(normal, dense.T @ image.ravel())
    np.testing.assert_allclose(restore(image, psf, 0.01).ravel(), expected, atol=1e-12)


@pytest.mark.parametrize("boundary", ["reflect", "circular"])
def test_measured_spectra_give_the_best_linear_estimate(boundary):
    """The dense Gauss-Markov estimate C B^T (B C B^T + E)^-1 y of dense covariances C and E."""
    rng = np.random.default_rng(4)
    blurred = random_images(1, HEIGHT, WIDTH, 1)
    signal, noise = rng.uniform(0.5, 2, (2, HEIGHT, WIDTH)) * [[[1]], [[0.05]]]
    if boundary == "reflect":
        kernel = PROFILE
        dense = np.kron(axis_matrix(HEIGHT), axis_matrix(WIDTH))
        basis = np.kron(*(dct(np.eye(n), axis=0, norm="ortho") for n in (HEIGHT, WIDTH)))
    else:
        kernel = lopsided_psf()
        dense = circular_matrix(kernel)
        basis = np.kron(*(np.fft.fft(np.eye(n), norm="ortho") for n in (HEIGHT, WIDTH)))
        # Real signals have as much power at -k as at k.
        mirrored = np.roll(np.flip(np.stack([signal, noise]), (1, 2)), 1, (1, 2))
        signal, noise = (np.stack([signal, noise]) + mirrored) / 2
    covariances = [(basis.conj().T * power.ravel()) @ basis for power in (signal, noise)]
    assert all(np.abs(np.imag(c)).max() < 1e-12 for c in covariances)
    c, e = map(np.real, covariances)
    expected = c @ dense.T @ np.linalg.solve(dense @ c @ dense.T + e, blurred.ravel())
    if boundary == "circular":
        signal, noise = (power[:, : WIDTH // 2 + 1] for power in (signal, noise))
    with jax.enable_x64(True):
        ratio = np.asarray(noise_to_signal_spectrum(jnp.asarray(signal), jnp.asarray(noise)))
    restored = restore(blurred, kernel, ratio, boundary=boundary)
    np.testing.assert_allclose(restored.ravel(), expected, atol=1e-11)


@pytest.mark.parametrize("regulariser", ["flat", "laplacian"])
def test_circular_wiener_equals_scikit_image(regulariser):
    """Its PSF is centred as ours; its transforms are orthonormal, and clipping is its default."""
    image, psf = random_images(16, 16), lopsided_psf()
    if regulariser == "flat":
        power = np.ones((16, 9))
        theirs = skimage_restoration.wiener(image, psf, 0.05, reg=power + 0j, clip=False)
    else:
        rows, columns = np.arange(16)[:, None], np.arange(9)
        power = (4 - 2 * np.cos(np.pi * rows / 8) - 2 * np.cos(np.pi * columns / 8)) ** 2
        theirs = skimage_restoration.wiener(image, psf, 0.05, clip=False)
    ours = restore(image[None, ..., None], psf, 0.05 * power, boundary="circular")
    np.testing.assert_allclose(ours[0, ..., 0], theirs, atol=1e-12)


def test_a_frequency_of_which_nothing_is_known_is_left_out():
    """The mean of three loses every third frequency; with no noise at all the rest comes back."""
    image = random_images(1, 9, 12, 1)
    psf = np.ones((1, 3)) / 3
    blurred = ndimage.convolve(image, psf[None, ..., None], mode="wrap")
    # The lost frequency has no signal, as far as the spectrum says.
    signal = np.ones((9, 7))
    signal[:, 4] = 0
    with jax.enable_x64(True):
        ratio = np.asarray(noise_to_signal_spectrum(jnp.asarray(signal), 0.0))
    restored = restore(blurred, psf, ratio, boundary="circular")
    spectrum = np.fft.rfft2(image[0, ..., 0])
    spectrum[:, 4] = 0
    np.testing.assert_allclose(restored[0, ..., 0], np.fft.irfft2(spectrum, s=(9, 12)), atol=1e-12)


def test_vmap_over_sigma_equals_one_after_another():
    blurred = jnp.asarray(random_images(1, 12, 14, 1), jnp.float32)
    profiles = np.stack([gaussian(0.8, 4), gaussian(1.2, 4)]).astype(np.float32)
    for boundary in ("reflect", "circular", "unknown"):
        alone = jax.jit(lambda p, b=boundary: wiener(blurred, p, 0.01, boundary=b))
        together = jax.jit(jax.vmap(alone))(profiles)
        for profile, one in zip(profiles, together, strict=True):
            np.testing.assert_allclose(one, alone(profile), atol=1e-5)


def test_what_does_not_fit_is_refused():
    images, profile = jnp.ones((1, HEIGHT, WIDTH, 1)), jnp.asarray(PROFILE, jnp.float32)
    with pytest.raises(ValueError, match=r"\(7, 10\), the spectrum for .*'circular' of \(7, 6\)"):
        wiener(images, profile, jnp.ones((HEIGHT, WIDTH)), boundary="circular")
    with pytest.raises(ValueError, match=r"\(7, 6\), the spectrum for .*'reflect' of \(7, 10\)"):
        wiener(images, profile, jnp.ones((HEIGHT, 6)))
