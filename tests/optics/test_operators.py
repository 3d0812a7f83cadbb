"""Operators against matrices whose columns SciPy computes: the adjoint is their transpose."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage

from jxr.optics import blur, gaussian_profile
from jxr.optics.operators import as_operator, fold, psf_operator, separable_operator

SCIPY_MODES = {"reflect": "reflect", "zero": "constant", "circular": "wrap", "edge": "nearest"}
BOUNDARIES = list(SCIPY_MODES)
HEIGHT, WIDTH = 6, 7
RNG = np.random.default_rng(0)
# No symmetry at all: an adjoint that forgets to mirror the kernel cannot pass.
PROFILE = np.array([0.05, 0.3, 0.4, 0.05, 0.2])
PSF = RNG.random((3, 7))


def matrix(psf, boundary, height=HEIGHT, width=WIDTH):
    """The blur of every impulse, by SciPy, as the columns of a matrix."""
    impulses = np.eye(height * width).reshape(-1, height, width)
    mode = SCIPY_MODES[boundary]
    return np.stack([ndimage.convolve(e, psf, mode=mode).ravel() for e in impulses], axis=1)


def make(kind, boundary):
    if kind == "separable":
        return separable_operator(jnp.asarray(PROFILE), boundary=boundary)
    return psf_operator(jnp.asarray(PSF), boundary=boundary, method=kind)


def both(operator, x):
    """Forward and adjoint of one image, in one program."""
    return jax.jit(lambda x: (operator.forward(x), operator.adjoint(x)))(x)


# One image, in single precision and operation by operation, needs no test of every boundary.
@pytest.mark.parametrize(
    ("boundary", "dtype", "batch"),
    [(boundary, "float64", (2, 3)) for boundary in BOUNDARIES] + [("edge", "float32", ())],
)
@pytest.mark.parametrize("kind", ["separable", "direct", "fft"])
def test_forward_is_the_matrix_and_adjoint_its_transpose(kind, boundary, dtype, batch):
    dense = matrix(np.outer(PROFILE, PROFILE) if kind == "separable" else PSF, boundary)
    tolerance = 1e-12 if dtype == "float64" else 2e-6
    with jax.enable_x64(dtype == "float64"):
        operator = make(kind, boundary)
        x = np.random.default_rng(1).normal(size=(*batch, HEIGHT, WIDTH, 2))
        images = jnp.asarray(x, dtype)
        results = both(operator, images) if batch else [function(images) for function in operator]
        for result, expected in zip(results, (dense, dense.T), strict=True):
            assert result.dtype == dtype
            columns = np.moveaxis(x, -1, -3).reshape(-1, HEIGHT * WIDTH)
            wanted = (columns @ expected.T).reshape(*batch, 2, HEIGHT, WIDTH)
            np.testing.assert_allclose(
                result, np.moveaxis(wanted, -3, -1), atol=tolerance * np.abs(wanted).max()
            )


@pytest.mark.parametrize("boundary", BOUNDARIES)
@pytest.mark.parametrize("method", ["direct", "fft"])
def test_kernels_as_large_as_the_mirror_image_allows(method, boundary):
    psf = np.random.default_rng(2).random((2 * 4 + 1, 2 * 5 + 1))
    dense = matrix(psf, boundary, 4, 5)
    x = np.random.default_rng(3).normal(size=(4, 5, 1))
    with jax.enable_x64(True):
        operator = psf_operator(jnp.asarray(psf), boundary=boundary, method=method)
        forward, adjoint = both(operator, jnp.asarray(x))
        np.testing.assert_allclose(np.ravel(forward), dense @ x.ravel(), atol=1e-12)
        np.testing.assert_allclose(np.ravel(adjoint), dense.T @ x.ravel(), atol=1e-12)


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_a_symmetric_blur_is_self_adjoint_except_at_edge(boundary):
    with jax.enable_x64(True):
        operator = separable_operator(gaussian_profile(1.2, radius=4), boundary=boundary)
        forward, adjoint = both(operator, jnp.asarray(RNG.normal(size=(HEIGHT, WIDTH, 1))))
        difference = np.abs(np.asarray(forward) - np.asarray(adjoint)).max()
    if boundary == "edge":
        assert difference > 0.01
    else:
        assert difference < 1e-14


@pytest.mark.parametrize("boundary", ["reflect", "zero", "circular", "edge"])
def test_a_promise_of_symmetry_spares_the_adjoint_and_changes_nothing(boundary):
    profile = gaussian_profile(1.3, radius=5)
    images = jnp.asarray(np.random.default_rng(5).random((2, 12, 14, 1), np.float32))
    general = separable_operator(profile, boundary=boundary)
    symmetric = separable_operator(profile, boundary=boundary, symmetric=True)
    assert (symmetric.adjoint is symmetric.forward) == (boundary != "edge")
    adjoints = jax.jit(lambda x: (symmetric.adjoint(x), general.adjoint(x)))(images)
    np.testing.assert_allclose(*adjoints, atol=2e-6)


def test_operators_are_built_inside_vmap_from_a_traced_sigma():
    x = jnp.asarray(RNG.normal(size=(9, 11, 1)), jnp.float32)
    sigmas = jnp.array([0.5, 1.0, 1.7])

    def adjoint(sigma):
        return separable_operator(gaussian_profile(sigma, radius=5), boundary="edge").adjoint(x)

    swept = jax.jit(jax.vmap(adjoint))(sigmas)
    alone = jax.jit(adjoint)
    for sigma, one in zip(sigmas, swept, strict=True):
        np.testing.assert_allclose(one, alone(sigma), atol=1e-6)


def test_the_adjoint_computes_at_full_precision():
    operator = psf_operator(jnp.ones((3, 3)), boundary="edge")
    text = str(jax.make_jaxpr(operator.adjoint)(jnp.ones((8, 8, 1))))
    assert "conv_general_dilated" in text
    assert "HIGHEST" in text
    separable = separable_operator(jnp.ones(3), boundary="edge")
    text = str(jax.make_jaxpr(separable.adjoint)(jnp.ones((8, 8, 1))))
    assert "dot_general" not in text
    assert "conv_general_dilated" not in text


@pytest.mark.parametrize("boundary", BOUNDARIES)
def test_fold_adds_margins_to_the_pixels_they_copy(boundary):
    padded = RNG.normal(size=(2, HEIGHT + 4, WIDTH + 6, 1))
    modes = {"reflect": "symmetric", "circular": "wrap", "edge": "edge"}
    expected = np.zeros((2, HEIGHT, WIDTH, 1))
    if boundary == "zero":
        expected = padded[:, 2:-2, 3:-3]
    else:
        rows = np.pad(np.arange(HEIGHT), 2, mode=modes[boundary])
        columns = np.pad(np.arange(WIDTH), 3, mode=modes[boundary])
        np.add.at(expected, np.ix_(range(2), rows, columns, range(1)), padded)
    with jax.enable_x64(True):
        folded = jax.jit(lambda x: fold(x, 2, 3, boundary))(jnp.asarray(padded))
        np.testing.assert_allclose(folded, expected, atol=1e-14)


@pytest.mark.parametrize("batch", [(), (3,)])
def test_as_operator_transposes_any_linear_function(batch):
    # A running sum down the rows: its transpose is the running sum upwards.
    operator = as_operator(lambda x: jnp.cumsum(x, -3), jax.ShapeDtypeStruct((4, 5, 1), "float32"))
    x = RNG.integers(-9, 9, (*batch, 4, 5, 1)).astype("f4")
    np.testing.assert_array_equal(operator.forward(x), np.cumsum(x, -3))
    upwards = np.flip(np.cumsum(np.flip(x, -3), -3), -3)
    np.testing.assert_array_equal(jax.jit(operator.adjoint)(x), upwards)


def test_as_operator_agrees_with_the_adjoint_by_hand():
    x = jnp.asarray(RNG.normal(size=(2, HEIGHT, WIDTH, 1)), jnp.float32)
    psf = jnp.asarray(PSF, jnp.float32)
    derived = as_operator(lambda x: blur(x, psf, boundary="edge"), x)
    by_hand = psf_operator(psf, boundary="edge")
    adjoints = jax.jit(lambda x: (derived.adjoint(x), by_hand.adjoint(x)))(x)
    np.testing.assert_allclose(*adjoints, atol=2e-5)


def test_impossible_operators_are_refused():
    with pytest.raises(ValueError, match="keep shape"):
        as_operator(lambda x: x.astype(jnp.int32), jnp.ones((4, 4, 1)))
    for method in ("direct", "fft"):
        operator = psf_operator(jnp.ones((11, 3)), method=method)
        with pytest.raises(ValueError, match="smaller radius"):
            operator.forward(jnp.ones((4, 6, 1)))
        with pytest.raises(ValueError, match="odd"):
            psf_operator(jnp.ones((2, 3)), method=method).forward(jnp.ones((4, 6, 1)))
