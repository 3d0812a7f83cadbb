"""What holds for every admissible parameter of the optics; `test_refused.py`: for others."""

import functools
import math
import tempfile
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.configuration import set_hypothesis_home_dir

from jxr import optics
from jxr.optics import (
    Detector,
    DoubleGaussianSpot,
    GaussianSpot,
    Geometry,
    MeasuredSpot,
    UniformSpot,
)

# At import: when tests are collected Hypothesis makes its folder, by default beside the code.
_folder = tempfile.TemporaryDirectory(prefix="jxr-hypothesis-")
set_hypothesis_home_dir(_folder.name)

# Examples from a fixed seed, none kept.
few = settings(max_examples=12, deadline=None, derandomize=True, database=None)
many = settings(few, max_examples=60)

HEIGHT, WIDTH, RADIUS = 19, 21, 9
BOUNDARIES = ("reflect", "zero", "circular", "edge")
kinds = st.sampled_from([(c, s) for c in ("standard", "report") for s in ("point", "integrated")])
boundaries = st.sampled_from(BOUNDARIES)
# Each boundary and each kind of kernel once.
pairs = st.sampled_from(
    [
        ("reflect", "standard", "point"),
        ("zero", "standard", "integrated"),
        ("circular", "report", "point"),
        ("edge", "report", "integrated"),
    ]
)
seeds = st.integers(0, 2**31 - 1)
GEOMETRY = Geometry((1.2, 1.0), 12.0, 1800.0, 1500.0, 0.15)


def images(seed, scale=1.0):
    return jnp.asarray(scale * np.random.default_rng(seed).random((HEIGHT, WIDTH, 1)), jnp.float32)


@functools.cache
def profile_of(convention, sampling, radius=RADIUS):
    return jax.jit(
        functools.partial(
            optics.gaussian_profile, radius=radius, convention=convention, sampling=sampling
        )
    )


@functools.cache
def blur_under(boundary):
    return jax.jit(functools.partial(optics.blur_separable, boundary=boundary))


@many
@given(st.floats(0, 1e6), kinds)
def test_kernels_have_unit_mass_for_every_sigma(sigma, kind):
    profile = np.asarray(profile_of(*kind)(np.float32(sigma)))
    assert np.isfinite(profile).all()
    assert (profile >= 0).all()
    assert profile.sum() == pytest.approx(1, abs=1e-6)
    np.testing.assert_array_equal(profile, profile[::-1])


@many
@given(st.floats(0, 0.01), kinds)
def test_kernels_become_the_identity(sigma, kind):
    np.testing.assert_array_equal(profile_of(*kind)(np.float32(sigma)), np.eye(19)[9])


@many
@given(st.floats(1, 2), st.floats(1, 2), kinds)
def test_gaussians_of_a_pixel_and_more_form_a_semigroup(one, other, kind):
    # Integration over the pixel adds its variance of 1/12 to each factor.
    convention, sampling = kind
    share = optics.effective_sigma(1.0, convention)
    one, other = one / share, other / share
    kernels = [
        np.asarray(profile_of(*kind, radius=16)(np.float32(s)), float)
        for s in (one, other, math.hypot(one, other))
    ]
    twice = np.convolve(*kernels[:2])[16:-16]
    variance = [k @ np.arange(-16, 17) ** 2 for k in (twice, kernels[2])]
    extra = 1 / 12 if sampling == "integrated" else 0
    assert variance[0] - variance[1] == pytest.approx(extra, abs=5e-3)
    np.testing.assert_allclose(twice, kernels[2], atol=1e-4 if not extra else 0.01)


@functools.cache
def derivative_of(convention, sampling):
    return jax.jit(jax.jacfwd(profile_of(convention, sampling)))


@many
@given(st.floats(0.3, 4), kinds)
def test_the_derivative_by_sigma_is_that_of_differences(sigma, kind):
    with jax.enable_x64(True):
        profile, h = profile_of(*kind), 1e-5
        above, below = np.asarray(profile(sigma + h)), np.asarray(profile(sigma - h))
        numeric = (above - below) / (2 * h)
        np.testing.assert_allclose(derivative_of(*kind)(sigma), numeric, atol=1e-7)


@many
@given(seeds, st.floats(0, 1e3), st.floats(-100, 100), boundaries, kinds)
def test_blur_is_linear_and_finite(seed, sigma, factor, boundary, kind):
    blur, profile = blur_under(boundary), profile_of(*kind)(np.float32(sigma))
    x, y = images(seed), images(seed + 1)
    together = blur(x + jnp.float32(factor) * y, profile)
    apart = blur(x, profile) + jnp.float32(factor) * blur(y, profile)
    assert np.isfinite(together).all()
    np.testing.assert_allclose(together, apart, atol=1e-5 * (1 + abs(factor)))
    if boundary != "zero":
        np.testing.assert_allclose(blur(jnp.ones_like(x), profile), 1, rtol=2e-6)


@many
@given(seeds, st.floats(0, 8), st.integers(-3, 3), st.integers(-3, 3), boundaries)
def test_blur_commutes_with_shifts_in_the_interior(seed, sigma, down, along, boundary):
    blur = blur_under(boundary)
    profile = profile_of("standard", "point", radius=4)(np.float32(sigma))
    x = np.asarray(images(seed))
    first = np.roll(np.asarray(blur(x, profile)), (down, along), (0, 1))
    then = np.asarray(blur(np.roll(x, (down, along), (0, 1)), profile))
    # Everywhere if circular; else where neither the kernel nor the shift reaches the edge.
    inner = slice(None) if boundary == "circular" else slice(7, -7)
    np.testing.assert_allclose(first[inner, inner], then[inner, inner], atol=1e-6)


@functools.cache
def every_way(boundary, convention, sampling):
    settings = {"radius": 3, "convention": convention, "sampling": sampling}

    def blur(x, sigma):
        psf = optics.gaussian_psf(sigma, **settings)
        return (
            optics.gaussian_blur(x, sigma, boundary=boundary, **settings),
            optics.blur(x, psf, boundary=boundary),
            optics.psf_operator(psf, boundary=boundary, method="fft").forward(x),
        )

    return jax.jit(blur)


@few
@given(seeds, st.floats(0, 4), pairs)
def test_all_ways_to_blur_agree(seed, sigma, pair):
    boundary, *kind = pair
    x, sigma = images(seed), np.float32(sigma)
    expected = blur_under(boundary)(x, profile_of(*kind, radius=3)(sigma))
    for result in every_way(*pair)(x, sigma):
        np.testing.assert_allclose(result, expected, atol=2e-6)


@functools.cache
def transfer_blurred(boundary):
    def blur(x, sigma, half, pitch):
        transfer = optics.compose(
            optics.gaussian_transfer(sigma),
            optics.lorentzian_transfer(half),
            optics.pixel_transfer(pitch),
        )
        return optics.transfer_blur(x, transfer, pitch, boundary=boundary)

    return jax.jit(blur)


@many
@given(
    seeds,
    st.floats(0, 100),
    st.floats(1e-3, 1e3),
    st.floats(1e-3, 10),
    st.sampled_from(("reflect", "circular")),
)
def test_transfer_blur_is_finite_linear_and_keeps_brightness(seed, sigma, half, pitch, boundary):
    blur = functools.partial(
        transfer_blurred(boundary),
        sigma=np.float32(sigma),
        half=np.float32(half),
        pitch=np.float32(pitch),
    )
    x, y = images(seed), images(seed + 1)
    assert np.isfinite(blur(x)).all()
    np.testing.assert_allclose(blur(x - 2 * y), blur(x) - 2 * blur(y), atol=1e-5)
    assert float(blur(x).mean()) == pytest.approx(float(x.mean()), rel=1e-5)


SHAPES = (
    GaussianSpot(),
    UniformSpot(),
    DoubleGaussianSpot(2.5),
    MeasuredSpot(np.array([[1.0, 0, 2], [0, 3, 1]])),
)


@functools.cache
def psf_of(shape):
    def psf(sizes, angle, detector, part, coarseness, y, x):
        geometry = Geometry((sizes[0], sizes[1]), angle, detector, part * detector, 1.0, shape)
        y, x = y * detector, x * detector
        blur = optics.penumbra_mm(geometry, y, x)
        # Pixels so large that the kernel holds the spot, as `field_radius` would have it.
        down = shape.reach[0] * blur.along_mm
        right = shape.reach[1] * blur.across_mm + jnp.abs(blur.skew) * down
        pitch = coarseness * jnp.maximum(jnp.maximum(down, right) / 6, 1e-3)
        geometry = replace(geometry, pixel_pitch_mm=pitch)
        widths = jnp.stack(optics.sigma_px(geometry, y, x))
        return optics.psf_at(geometry, y / pitch, x / pitch, 6), widths

    return jax.jit(psf)


@many
@given(
    st.tuples(st.floats(1e-3, 10), st.floats(1e-3, 10)),
    st.floats(3, 90),
    st.floats(100, 5000),
    st.floats(0.1, 1),
    st.floats(1, 100),
    st.tuples(st.floats(-1, 1), st.floats(-1, 1)),
    st.sampled_from(SHAPES),
)
def test_focal_spots_have_unit_mass_everywhere(
    sizes, angle, detector, part, coarseness, place, shape
):
    numbers = (sizes, angle, detector, part, coarseness, *place)
    psf, sigma = psf_of(shape)(*jax.tree.map(np.float32, numbers))
    assert np.isfinite(psf).all()
    assert (np.asarray(psf) >= 0).all()
    assert float(psf.sum()) == pytest.approx(1, abs=1e-5)
    assert np.isfinite(sigma).all()
    assert (np.asarray(sigma) >= 0).all()


@pytest.mark.parametrize("shape", SHAPES, ids=lambda shape: type(shape).__name__)
def test_a_point_object_on_the_detector_and_an_upright_anode_are_admissible(shape):
    touching = replace(GEOMETRY, source_object_mm=1800.0, shape=shape)
    psf = jax.jit(lambda y, x: optics.psf_at(touching, y, x, 1))(40.0, -30.0)
    np.testing.assert_allclose(psf, np.eye(3)[1] * [[0], [1], [0]])
    upright = replace(GEOMETRY, anode_angle_deg=90.0, shape=shape)
    # Seen head on, the spot has one size all over the field.
    psf = jax.jit(optics.psf_field(upright, 40, 40, optics.field_radius(upright, 40, 40)))
    first, last = (np.asarray(psf(place, place)) for place in (0.0, 39.0))
    np.testing.assert_allclose(first, last, atol=1e-5)
    assert first.sum() == pytest.approx(1, abs=1e-6)


@functools.cache
def shift_variant(kind, boundary):
    def blur(x, base, slope):
        def psf_at(row, column):
            return optics.gaussian_psf(base + slope * (row + column), radius=3)

        if kind == "tiled":
            operator = optics.tiled_operator(psf_at, HEIGHT, WIDTH, tile=7, boundary=boundary)
        else:
            eigen = optics.eigen_psfs(psf_at, HEIGHT, WIDTH, rank=3, samples=4)
            operator = optics.low_rank_operator(eigen, boundary=boundary, block=16)
        return operator.forward(x), operator.adjoint(x)

    return jax.jit(blur)


@few
@given(
    seeds,
    st.floats(0, 3),
    st.floats(0, 0.1),
    st.sampled_from([("tiled", "reflect"), ("low rank", "circular")]),
)
def test_shift_variant_blur_is_linear_and_keeps_the_brightness(seed, base, slope, kind):
    x, y = images(seed), images(seed + 1)
    base, slope = np.float32(base), np.float32(slope)
    results = [shift_variant(*kind)(z, base, slope) for z in (x, y, x - 2 * y)]
    for a, b, both in zip(*results, strict=True):
        assert np.isfinite(both).all()
        np.testing.assert_allclose(both, a - 2 * b, atol=2e-5)
    forward, _ = results[0]
    assert float(forward.sum()) == pytest.approx(float(x.sum()), rel=1e-4)
    _, adjoint_of_y = results[1]
    assert float((forward * y).sum()) == pytest.approx(float((x * adjoint_of_y).sum()), rel=1e-4)


@jax.jit
def exposed(key, x, attenuation, dose, gain, noise):
    detector = Detector(gain, noise, 12, optics.lorentzian_transfer(2.0), 0.2)
    light = optics.transmitted_intensity(x, attenuation)
    return optics.expose(key, light, dose, detector), optics.detect(key, light, dose, detector)


@few
@given(
    seeds,
    st.floats(0, 200),
    st.floats(1e-6, 1e7),
    st.floats(1e-6, 1e6),
    st.floats(0, 1e6),
)
def test_exposures_are_whole_numbers_and_their_logarithm_finite(
    seed, attenuation, dose, gain, noise
):
    numbers, lines = exposed(
        jax.random.key(seed), images(seed), *map(np.float32, (attenuation, dose, gain, noise))
    )
    assert numbers.shape == lines.shape == (HEIGHT, WIDTH, 1)
    assert np.isfinite(lines).all()
    assert set(np.unique(numbers)) <= set(range(2**12))


@functools.partial(jax.jit, static_argnames=("eight_bit", "bits"))
def degraded_and_quantised(x, sigma, seed, noise, eight_bit, bits):
    keys = jax.random.split(jax.random.key(seed), 1)
    degraded = optics.degrade(x, sigma, keys, radius=4, noise=noise, eight_bit=eight_bit)
    return degraded, optics.quantise(degraded, bits=bits)


@few
@given(
    seeds,
    st.floats(0, 3),
    st.floats(0, 10),
    st.sampled_from([(True, 1), (False, 5), (True, 9), (False, 16)]),
)
def test_degraded_and_quantised_images_are_finite(seed, sigma, noise, depth):
    x = images(seed)[None]
    numbers = np.float32(sigma), np.int32(seed), np.float32(noise)
    degraded, quantised = degraded_and_quantised(x, *numbers, *depth)
    assert degraded.shape == x.shape
    assert np.isfinite(degraded).all()
    levels = np.asarray(quantised) * (2 ** depth[1] - 1)
    np.testing.assert_allclose(levels, levels.round(), atol=1e-2)
