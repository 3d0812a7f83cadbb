"""What holds for every admissible parameter of the restorations, and what is refused."""

import functools
import math
import tempfile

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from jxr import restoration
from jxr.optics import gaussian_profile, separable_operator
from tests.restoration.dense import gaussian

# At import: when tests are collected Hypothesis makes its folder, by default beside the code.
_folder = tempfile.TemporaryDirectory(prefix="jxr-hypothesis-")
set_hypothesis_home_dir(_folder.name)

# Examples from a fixed seed, none kept.
few = settings(max_examples=15, deadline=None, derandomize=True, database=None)

HEIGHT, WIDTH, RADIUS = 16, 18, 6
BOUNDARIES = ("reflect", "circular", "unknown")
KEY = jax.random.key(0)


def image(kind, scale, height=HEIGHT, width=WIDTH):
    grey = np.random.default_rng(5).random((height, width, 1))
    black_hole = np.where(np.indices(grey.shape)[0] < height // 2, 0, grey)
    lone = np.zeros_like(grey)
    lone[height // 2, width // 2] = 1
    kinds = {
        "black": np.zeros_like(grey),
        "even": np.full_like(grey, 0.5),
        "grey": grey,
        "noise": grey - 0.5,
        "half black": black_hole,
        "one pixel": lone,
    }
    return jnp.asarray(scale * kinds[kind], jnp.float32)


images = st.builds(
    image,
    st.sampled_from(("black", "even", "grey", "noise", "half black", "one pixel")),
    st.sampled_from((1e-4, 1.0, 4e3)),
)
sigmas = st.floats(0, 20)


def powers(low, high):
    return st.floats(low, high).map(lambda exponent: 10**exponent)


def compiled(**static):
    """One program for all examples; sigma and strength are traced."""

    def decorate(function):
        @functools.cache
        def program(*key):
            return jax.jit(functools.partial(function, **dict(zip(static, key, strict=True))))

        return lambda *args, **kinds: program(*({**static, **kinds}[k] for k in static))(
            *(np.float32(a) if isinstance(a, float | int) else a for a in args)
        )

    return decorate


def profile(sigma):
    return gaussian_profile(sigma, radius=RADIUS)


@compiled(boundary="reflect")
def wiener(y, sigma, ratio, boundary):
    return restoration.wiener(y, profile(sigma), ratio, boundary=boundary)


@compiled(penalty="identity")
def tikhonov(y, sigma, strength, penalty):
    operator = separable_operator(profile(sigma), boundary="edge")
    return restoration.tikhonov(y, operator, strength, penalty=penalty, iterations=30)


@compiled()
def total_variation(y, sigma, weight):
    return restoration.total_variation(y, separable_operator(profile(sigma)), weight, iterations=20)


@compiled(accelerate=False, tv=False, damped=False)
def richardson_lucy(y, sigma, strength, accelerate, tv, damped):
    return restoration.richardson_lucy(
        y,
        separable_operator(profile(sigma)),
        iterations=20,
        accelerate=accelerate,
        tv=strength if tv else None,
        damping=strength if damped else None,
    )


@few
@given(images, sigmas, powers(-37, 37), st.sampled_from(BOUNDARIES))
def test_wiener_is_finite_and_linear(y, sigma, ratio, boundary):
    restored = wiener(y, sigma, ratio, boundary=boundary)
    assert restored.shape == y.shape
    assert np.isfinite(restored).all()
    double = wiener(2 * y, sigma, ratio, boundary=boundary)
    np.testing.assert_array_equal(double, 2 * restored)


@few
@given(images, powers(-3, 3), st.sampled_from(("reflect", "circular")))
def test_wiener_without_blur_scales(y, ratio, boundary):
    tolerance = 1e-5 * float(jnp.abs(y).max())
    restored = wiener(y, 0.0, ratio, boundary=boundary)
    np.testing.assert_allclose(restored, y / np.float32(1 + ratio), atol=tolerance)


@few
@given(images, sigmas, powers(-12, 12), st.sampled_from(("identity", "gradient")))
def test_tikhonov_is_finite(y, sigma, strength, penalty):
    restored = tikhonov(y, sigma, strength, penalty=penalty)
    assert restored.shape == y.shape
    assert np.isfinite(restored).all()


@few
@given(images, sigmas, st.just(0.0) | powers(-30, 30))
def test_total_variation_is_finite_and_leaves_even_images_alone(y, sigma, weight):
    assert np.isfinite(total_variation(y, sigma, weight)).all()
    even = jnp.full_like(y, y.mean())
    tolerance = 1e-4 * float(jnp.abs(even).max())
    np.testing.assert_allclose(total_variation(even, sigma, weight), even, atol=tolerance)


@few
@given(images, sigmas, st.booleans(), st.booleans(), st.just(0.0) | powers(-30, 6))
def test_richardson_lucy_with_tv_is_finite_and_not_negative(y, sigma, accelerate, tv, weight):
    restored = np.asarray(richardson_lucy(y, sigma, weight, accelerate=accelerate, tv=tv))
    assert np.isfinite(restored).all()
    assert (restored >= 0).all()
    if not tv:
        observed = float(jnp.maximum(y, 0).sum())
        assert restored.sum() == pytest.approx(observed, rel=1e-4, abs=1e-9)


@few
@given(images, sigmas, st.booleans(), powers(-30, 15))
def test_damped_richardson_lucy_is_finite_and_tends_to_the_plain_one(y, sigma, accelerate, damping):
    restored = np.asarray(richardson_lucy(y, sigma, damping, accelerate=accelerate, damped=True))
    assert np.isfinite(restored).all()
    assert (restored >= 0).all()


def test_a_tiny_damping_is_none():
    # Rounding left the misfit below zero, and the ninth power of that overflowed.
    y = image("grey", 1.0)
    plain = richardson_lucy(y, 1.0, 0.0)
    for damping in (1e-30, 1e-10, 1e-7):
        damped = richardson_lucy(y, 1.0, damping, damped=True)
        np.testing.assert_allclose(damped, plain, rtol=0.02)


@compiled()
def validated(y, sigma, candidates):
    def solver(y, ratio):
        return restoration.wiener(y, profile(sigma), ratio)

    return restoration.gcv(solver, y, separable_operator(profile(sigma)), candidates, KEY)


@few
@given(images, sigmas, powers(-30, 0))
def test_cross_validation_chooses_a_candidate_by_a_number(y, sigma, smallest):
    candidates = jnp.asarray([smallest, 0.1, 1e6], jnp.float32)
    best, scores = validated(y, sigma, candidates)
    assert not np.isnan(scores).any()
    assert np.isfinite(scores[1:]).all()
    assert float(best) in candidates.tolist()
    assert float(scores[candidates.tolist().index(float(best))]) == float(scores.min())


@compiled()
def principle(y, sigma, noise):
    def solver(y, ratio):
        return restoration.wiener(y, profile(sigma), ratio)

    operator = separable_operator(profile(sigma))
    return restoration.discrepancy(solver, y, operator, noise, low=1e-12, high=1e6)


@few
@given(images, sigmas, powers(-10, 10))
def test_the_discrepancy_principle_stays_between_its_bounds(y, sigma, noise):
    strength, ratio = principle(y, sigma, noise)
    assert 0.99e-12 <= float(strength) <= 1.01e6
    assert np.isfinite(ratio)
    assert float(ratio) >= 0


@compiled(given_spectrum=False)
def widths(y, given_spectrum):
    spectrum = restoration.mean_power_spectrum(y) if given_spectrum else None
    return restoration.estimate_blur_sigma(y, largest=1.0, spectrum=spectrum)


@compiled()
def noise_of(y):
    return restoration.estimate_noise_std(y)


@few
@given(images, st.booleans())
def test_estimates_of_any_image_are_in_range(y, given_spectrum):
    assert 0 <= float(widths(y, given_spectrum=given_spectrum)) <= 1.01
    noise = float(noise_of(y))
    assert np.isfinite(noise) or math.isnan(noise)
    # Documented: no detail, no estimate.
    assert math.isnan(noise) == (float(y.max()) == float(y.min()))


@compiled()
def taper(y, sigma):
    return restoration.edge_taper(y, profile(sigma))


@compiled(basis="cosine")
def spectra(y, basis):
    power = restoration.mean_power_spectrum(y, basis)
    return power, restoration.noise_to_signal_spectrum(power, 0.0)


@few
@given(images, sigmas, st.sampled_from(("cosine", "fourier")))
def test_tapers_and_spectra_are_finite(y, sigma, basis):
    tapered = taper(y, sigma)
    bound = 1e-5 * float(jnp.abs(y).max())
    assert float(tapered.max()) <= float(y.max()) + bound
    assert float(tapered.min()) >= float(y.min()) - bound
    power, ratio = spectra(y, basis=basis)
    assert np.isfinite(power).all()
    assert not np.isnan(ratio).any()


def test_the_smallest_images_are_restored_to_numbers():
    y = jnp.stack([image(kind, 1.0, 1, 1) for kind in ("black", "grey")])
    kernel = jnp.asarray(gaussian(0.7, 1), jnp.float32)
    operator = separable_operator(kernel)

    @jax.jit
    def every_way(y):
        return (
            *(restoration.wiener(y, kernel, 0.0, boundary=boundary) for boundary in BOUNDARIES),
            restoration.tikhonov(y, operator, 1e-3, iterations=5),
            restoration.total_variation(y, operator, 1e-3, iterations=5),
            restoration.richardson_lucy(y, operator, iterations=5, accelerate=True, tv=1e-2),
        )

    for restored in every_way(y):
        assert restored.shape == y.shape
        assert np.isfinite(restored).all()


X = jnp.ones((16, 16, 1), jnp.float32)
KERNEL = jnp.asarray([0.25, 0.5, 0.25], jnp.float32)
LOPSIDED = jnp.asarray([0.2, 0.5, 0.3], jnp.float32)
EVEN = jnp.ones(4) / 4
BLUR = separable_operator(KERNEL)
NAN, INF = math.nan, math.inf
NEGATIVE = (-1.0, NAN, INF)
NOT_POSITIVE = (0.0, *NEGATIVE)
NO_CANDIDATES = (jnp.zeros(0), jnp.asarray([1.0, -1.0]), jnp.asarray([NAN, 1.0]))
CANDIDATES = jnp.ones(2)


def by_wiener(y, ratio):
    return restoration.wiener(y, KERNEL, ratio)


def by_discrepancy(noise=0.1, low=1e-3, high=1.0, bisections=1):
    return restoration.discrepancy(
        by_wiener, X, BLUR, noise, low=low, high=high, bisections=bisections
    )


def lucy(**arguments):
    return restoration.richardson_lucy(X, BLUR, **{"iterations": 1, **arguments})


def each(values, name, call):
    return [(name, functools.partial(call, value)) for value in values]


INADMISSIBLE = [
    *each((-1.0, NAN), "noise_to_signal", lambda v: restoration.wiener(X, KERNEL, v)),
    ("noise_to_signal", lambda: restoration.wiener(X, KERNEL, -jnp.ones((16, 16)))),
    ("boundary", lambda: restoration.wiener(X, KERNEL, 0.1, boundary="edge")),
    ("not symmetric", lambda: restoration.wiener(X, LOPSIDED, 0.1)),
    ("odd", lambda: restoration.edge_taper(X, EVEN)),
    ("odd", lambda: restoration.wiener(X, EVEN, 0.1)),
    ("basis", lambda: restoration.mean_power_spectrum(X, "other")),
    *each(NEGATIVE, "noise", lambda v: restoration.noise_to_signal_spectrum(jnp.ones((4, 4)), v)),
    *each(
        NO_CANDIDATES,
        "candidates",
        lambda v: restoration.choose_noise_to_signal(X[None], X[None], KERNEL, v),
    ),
    *each(NO_CANDIDATES, "candidates", lambda v: restoration.on_validation(by_wiener, X, X, v)),
    *each(NO_CANDIDATES, "candidates", lambda v: restoration.gcv(by_wiener, X, BLUR, v, KEY)),
    *each(NOT_POSITIVE, "noise_std", lambda v: by_discrepancy(noise=v)),
    *each(NOT_POSITIVE, "low", lambda v: by_discrepancy(low=v)),
    *each((1e-4, NAN, INF), "high", lambda v: by_discrepancy(high=v)),
    ("bisections", lambda: by_discrepancy(bisections=-1)),
    *each((*NOT_POSITIVE, 1e13), "regularisation", lambda v: restoration.tikhonov(X, BLUR, v)),
    ("penalty", lambda: restoration.tikhonov(X, BLUR, 0.1, penalty="other")),
    ("iterations", lambda: restoration.tikhonov(X, BLUR, 0.1, iterations=0)),
    *each(NOT_POSITIVE, "tolerance", lambda v: restoration.tikhonov(X, BLUR, 0.1, tolerance=v)),
    *each(NEGATIVE, "weight", lambda v: restoration.total_variation(X, BLUR, v, iterations=1)),
    ("iterations", lambda: restoration.total_variation(X, BLUR, 0.1, iterations=-1)),
    ("iterations", lambda: lucy(iterations=-1)),
    *each((*NEGATIVE, 1e7), "tv", lambda v: lucy(tv=v)),
    *each(NOT_POSITIVE, "damping", lambda v: lucy(damping=v)),
    *each(
        (0.05, *NOT_POSITIVE), "largest", lambda v: restoration.estimate_blur_sigma(X, largest=v)
    ),
    ("16 by 16", lambda: restoration.estimate_blur_sigma(X[:15])),
    ("4 by 4", lambda: restoration.estimate_noise_std(X[:3])),
]


@pytest.mark.parametrize(
    ("name", "call"), INADMISSIBLE, ids=[f"{i}-{name}" for i, (name, _) in enumerate(INADMISSIBLE)]
)
def test_inadmissible_parameters_are_refused_by_name(name, call, monkeypatch):
    # Off, as for users: types hold some of these back before the function itself can.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=name) as caught:
        call()
    assert "\n" not in str(caught.value)
