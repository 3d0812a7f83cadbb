"""The blur of a focal spot against tracing of its rays, point by point, in three dimensions."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import ndtr
from scipy.stats import qmc

from jxr.optics.focal_spots import DoubleGaussianSpot, GaussianSpot, MeasuredSpot, UniformSpot
from jxr.optics.geometric_psf import field_radius, psf_at, psf_field, spot_transfer
from jxr.optics.geometry import Geometry, effective_focal_spot, penumbra_mm, resampled, sigma_px

CHEST = Geometry((1.2, 1.0), 12.0, 1800.0, 1500.0, 0.02, UniformSpot())
PLACES = [(0.0, 0.0), (-170.0, 0.0), (170.0, 120.0), (-90.0, -150.0)]
LOPSIDED = np.array([[4.0, 1.0, 0.0], [2.0, 1.0, 3.0], [0.0, 0.0, 1.0], [0.0, 2.0, 0.0]])


def emission(shape, u, v):
    """Brightness at nominal coordinates, as closed forms that share nothing with the code."""
    if isinstance(shape, UniformSpot):
        return np.ones_like(u)
    # Width at 15 % of the maximum is 1, so exp(-0.5 (0.5 / s)^2) = 0.15.
    s = 0.5 / np.sqrt(-2 * np.log(0.15))
    if isinstance(shape, GaussianSpot):
        return np.exp(-(u**2 + v**2) / (2 * s**2))
    row = np.clip(((u + 0.5) * 4).astype(int), 0, 3)
    column = np.clip(((v + 0.5) * 3).astype(int), 0, 2)
    return LOPSIDED[row, column]


@functools.cache
def evenly_spread(count):
    return (qmc.Sobol(2, seed=0).random(count) * 2 - 1).T


def trace(geometry, y_mm, x_mm, half=0.5, count=2**20):
    """Casts rays from points of the tilted target through a pinhole onto the detector.

    The cathode lies towards +y, the detector towards +z; the target's surface leans by the anode
    angle from the z axis and rises towards the anode. Exact, nothing is linearised. The points
    fill the spot evenly but on no lattice that could beat with the pixels'.

    Returns:
        Offsets in y and x from where the central point's ray lands, in mm, and weights.
    """
    theta = np.deg2rad(geometry.anode_angle_deg)
    along, across = geometry.focal_spot_mm
    u, v = evenly_spread(count) * half
    # A pinhole turns the picture upside down: what it shows at (u, v) was emitted at (-u, -v).
    on_target = u * along / np.sin(theta)
    source = np.stack([-on_target * np.sin(theta), -v * across, on_target * np.cos(theta)])
    detector, plane = geometry.source_detector_mm, geometry.source_object_mm
    pinhole = np.array([y_mm * plane / detector, x_mm * plane / detector, plane])[:, None]
    reached = source + (pinhole - source) * (detector - source[2]) / (plane - source[2])
    weights = emission(geometry.shape, u, v)
    return reached[0] - y_mm, reached[1] - x_mm, weights / weights.sum()


def centred(y, x, w):
    return y - (w * y).sum(), x - (w * x).sum()


def test_line_focus_over_a_chest_field():
    """Known values: 12 degrees, 35 cm at 180 cm: from about 0.55 to 1.45 of nominal."""
    sizes = [
        float(effective_focal_spot(CHEST, y, 0.0).along_mm) / 1.2 for y in (-175.0, 0.0, 175.0)
    ]
    np.testing.assert_allclose(sizes, [0.55, 1.0, 1.45], atol=0.01)
    theta, phi = np.deg2rad(12), np.arctan(175 / 1800)
    length = 1.2 / np.sin(theta)
    assert sizes[0] * 1.2 == pytest.approx(length * np.sin(theta - phi) / np.cos(phi), rel=1e-5)
    assert sizes[2] * 1.2 == pytest.approx(length * np.sin(theta + phi) / np.cos(phi), rel=1e-5)


def test_penumbra_known_values():
    """A 1 mm spot at M = 1.11 gives 0.11 mm, about 0.1 pixel of a 35 cm field at 224 pixels."""
    geometry = Geometry((1.0, 1.0), 12.0, 1800.0, 1800 / 1.11, 350 / 2048, GaussianSpot())
    assert geometry.magnification == pytest.approx(1.11)
    blur = penumbra_mm(geometry)
    assert float(blur.along_mm) == pytest.approx(0.11, rel=1e-5)
    assert float(blur.across_mm) == pytest.approx(0.11, rel=1e-5)
    small = resampled(geometry, (2048, 2048))
    np.testing.assert_allclose(small.pixel_pitch_mm, 350 / 224)
    assert float(blur.along_mm) / 1.5625 == pytest.approx(0.07, abs=0.001)
    # A standard deviation of 0.018 pixel: the report's sigma of 2 is a hundred times that.
    np.testing.assert_allclose(sigma_px(small), 0.11 * 0.25669 / 1.5625, rtol=1e-4)


def test_resampling_may_change_the_aspect_ratio():
    small = resampled(CHEST, (1024, 2048), (128, 512))
    np.testing.assert_allclose(small.pixel_pitch_mm, (0.16, 0.08))
    down, right = sigma_px(replace(small, focal_spot_mm=(1.0, 1.0)))
    assert float(right) == pytest.approx(2 * float(down), rel=1e-5)


@pytest.mark.parametrize(("y", "x"), PLACES)
def test_size_and_skew_equal_those_of_traced_rays(y, x):
    dy, dx, w = trace(CHEST, y, x)
    blur = penumbra_mm(CHEST, y, x)
    assert float(blur.along_mm) == pytest.approx(np.ptp(dy), rel=0.005)
    lean = np.polyfit(dy, dx, 1)
    assert float(blur.skew) == pytest.approx(lean[0], abs=0.003)
    assert float(blur.across_mm) == pytest.approx(np.ptp(dx - np.polyval(lean, dy)), rel=0.01)
    down, right = sigma_px(CHEST, y, x)
    dy, dx = centred(dy, dx, w)
    assert float(down) == pytest.approx(np.sqrt((w * dy**2).sum()) / 0.02, rel=0.005)
    assert float(right) == pytest.approx(np.sqrt((w * dx**2).sum()) / 0.02, rel=0.005)


@pytest.mark.parametrize("x", [0.0, 150.0])
def test_the_sigmas_are_proportional_to_m_minus_1_down_to_none(x):
    """So their derivative where the object touches the detector is that of the straight line."""

    def sigmas(source_object):
        return jnp.stack(sigma_px(replace(CHEST, source_object_mm=source_object), 100.0, x))

    touching, enlargement = CHEST.source_detector_mm, CHEST.magnification - 1
    expected = -sigmas(CHEST.source_object_mm) / enlargement / touching
    np.testing.assert_allclose(jax.jacrev(sigmas)(touching), expected, rtol=1e-5)


@pytest.mark.parametrize("x", [-150.0, 0.0, 150.0])
def test_a_spot_that_lies_askew_widens_on_one_side_and_narrows_on_the_other(x):
    """The standard deviations against the moments of the PSF itself."""
    diagonal = MeasuredSpot(np.eye(15))
    geometry = Geometry((2.0, 2.0), 12.0, 1000.0, 800.0, 0.02, diagonal)
    radius = field_radius(geometry, 15001, 15001)
    psf = np.asarray(jax.jit(lambda x: psf_at(geometry, 0.0, x, radius))(x / 0.02), np.float64)
    offsets = np.arange(-radius, radius + 1)
    moments = [np.sqrt(psf.sum(axis) @ offsets**2) for axis in (1, 0)]
    np.testing.assert_allclose(sigma_px(geometry, 0.0, x), moments, rtol=0.01)


@pytest.mark.parametrize(
    ("shape", "pitch"),
    [
        (UniformSpot(), 0.02),
        (UniformSpot(), (0.05, 0.09)),
        (GaussianSpot(), 0.17),
        (MeasuredSpot(LOPSIDED), 0.17),
        (MeasuredSpot(LOPSIDED), (0.05, 0.09)),
    ],
)
def test_psf_equals_traced_rays(shape, pitch):
    geometry = replace(CHEST, shape=shape, pixel_pitch_mm=pitch)
    pitches = np.broadcast_to(pitch, 2)
    radius = field_radius(geometry, *(350 / pitches).astype(int).tolist())
    at_places = jax.jit(jax.vmap(lambda place: psf_at(geometry, place[0], place[1], radius)))
    edges = np.arange(-radius, radius + 2) - 0.5
    half = 1.3 if isinstance(shape, GaussianSpot) else 0.5
    for (y, x), psf in zip(PLACES, np.asarray(at_places(PLACES / pitches)), strict=True):
        dy, dx, w = trace(geometry, y, x, half=half)
        if isinstance(shape, MeasuredSpot):
            dy, dx = centred(dy, dx, w)
        rows, columns = dy / pitches[0], dx / pitches[1]
        expected, _, _ = np.histogram2d(rows, columns, (edges, edges), weights=w)
        assert expected.sum() > 1 - 1e-5, "the radius must hold the blur"
        assert np.abs(psf - expected).sum() / 2 < 5e-3
        np.testing.assert_allclose(psf.sum(), 1, atol=1e-5)
        assert (psf >= 0).all()


@pytest.mark.parametrize(
    ("shape", "pitch"),
    [(UniformSpot(), 0.02), (UniformSpot(), 0.3), (GaussianSpot(), 0.02), (GaussianSpot(), 0.1)],
)
def test_strips_are_fine_enough(shape, pitch):
    """Against many points of each row, with the closed form along x: the error documented."""
    y, x = 170.0, 150.0
    geometry = replace(CHEST, shape=shape, pixel_pitch_mm=pitch)
    radius = field_radius(geometry, int(350 / pitch), int(350 / pitch))
    with jax.enable_x64(True):
        at_place = jax.jit(lambda y, x: psf_at(geometry, y, x, radius))
        psf = np.asarray(at_place(y / pitch, x / pitch))
    edges = (np.arange(-radius, radius + 2) - 0.5) * pitch
    tangent = np.tan(np.deg2rad(12))
    points = 50_000 // (2 * radius + 1)
    dy = edges[:-1, None] + (np.arange(points) + 0.5) / points * pitch
    u = dy / (0.2 * 1.2 * (1 + y / 1800 / tangent))
    v = (edges / 0.2 - (1.2 * u * x / 1800 / tangent)[..., None]) / 1.0
    if isinstance(shape, UniformSpot):
        density, below = np.abs(u) < 0.5, np.clip(v + 0.5, 0, 1)
    else:
        deviation = 0.5 / np.sqrt(-2 * np.log(0.15))
        density, below = np.exp(-((u / deviation) ** 2) / 2), ndtr(v / deviation)
    expected = (density[..., None] * np.diff(below, axis=-1)).sum(1)
    expected /= expected.sum()
    assert np.abs(psf - expected).sum() / 2 < 1e-4


@pytest.mark.parametrize("shape", [UniformSpot(), GaussianSpot(), MeasuredSpot(LOPSIDED)])
@pytest.mark.parametrize(("y", "x"), PLACES)
def test_transfer_equals_the_fourier_sum_of_traced_rays(y, x, shape):
    geometry = replace(CHEST, shape=shape)
    half = 1.3 if isinstance(shape, GaussianSpot) else 0.5
    dy, dx, w = trace(geometry, y, x, half, 2**16)
    if isinstance(shape, MeasuredSpot):
        dy, dx = centred(dy, dx, w)
    fy, fx = np.meshgrid([0.0, 1.0, -3.0], [0.0, 2.0, 4.0], indexing="ij")
    phases = fy[..., None] * dy + fx[..., None] * dx
    expected = (w * np.exp(-2j * np.pi * phases)).sum(-1)
    found = jax.jit(spot_transfer(geometry, y, x))(jnp.asarray(fy), jnp.asarray(fx))
    np.testing.assert_allclose(found, expected, atol=5e-3)


def test_psf_of_the_central_ray_is_the_error_function():
    geometry = replace(CHEST, shape=GaussianSpot(), pixel_pitch_mm=0.1)
    down, right = (float(s) for s in sigma_px(geometry))
    edges = np.arange(-4, 6) - 0.5
    lines = [np.diff(ndtr(edges / s)) for s in (down, right)]
    with jax.enable_x64(True):
        psf = jax.jit(lambda y: psf_at(geometry, y, 0.0, 4))(0.0)
    np.testing.assert_allclose(psf, np.outer(*lines), atol=2e-6)


def test_psf_field_counts_from_the_first_pixel():
    geometry = replace(CHEST, pixel_pitch_mm=0.1)
    psf = jax.jit(psf_field(geometry, 1001, 801, 3))
    at_place = jax.jit(lambda y, x: psf_at(geometry, y, x, 3))
    np.testing.assert_allclose(psf(500, 400), at_place(0.0, 0.0), atol=1e-6)
    np.testing.assert_allclose(psf(0, 800), at_place(-500.0, 400.0), atol=1e-6)
    # The first row is on the anode's side, where the spot looks shorter.
    rows = np.arange(-3, 4)
    spread = [np.asarray(psf(r, 400)).sum(1) @ rows**2 for r in (0, 500, 1000)]
    assert spread[0] < spread[1] < spread[2]


def test_psf_is_batched_by_vmap_over_places_and_sizes():
    geometry = replace(CHEST, pixel_pitch_mm=0.1)
    y, x = jnp.array([-800.0, 0.0, 900.0]), jnp.array([0.0, 300.0, -700.0])
    sizes = jnp.array([0.3, 0.6, 1.2])

    def psf(y, x, size):
        return psf_at(replace(geometry, focal_spot_mm=(size, 1.0)), y, x, 3)

    together, alone = jax.jit(jax.vmap(psf))(y, x, sizes), jax.jit(psf)
    for i in range(3):
        np.testing.assert_allclose(together[i], alone(y[i], x[i], sizes[i]), atol=1e-6)


@pytest.mark.parametrize("shape", [GaussianSpot(), DoubleGaussianSpot(), UniformSpot()])
def test_gradient_by_sizes_equals_finite_differences(shape):
    target = np.random.default_rng(0).normal(size=(9, 9))

    def score(sizes):
        spot = (sizes[0], sizes[1])
        geometry = Geometry(spot, sizes[2], 1800.0, sizes[3], 0.05, shape)
        return (psf_at(geometry, 2000.0, 1500.0, 4) * target).sum()

    with jax.enable_x64(True):
        sizes = np.array([1.13, 0.97, 12.3, 1505.0])
        steps = 1e-8 * sizes
        gradient = np.asarray(jax.jit(jax.grad(score))(sizes))
        evaluate = jax.jit(jax.vmap(score))
        above, below = (np.asarray(evaluate(sizes + h)) for h in (np.diag(steps), -np.diag(steps)))
        numeric = (above - below) / (2 * steps)
    np.testing.assert_allclose(gradient, numeric, rtol=1e-4, atol=1e-6)


def test_a_contact_image_and_a_tiny_spot_are_the_identity_with_finite_gradients():
    identity = np.zeros((5, 5))
    identity[2, 2] = 1
    for shape in (UniformSpot(), GaussianSpot(), DoubleGaussianSpot(), MeasuredSpot(LOPSIDED)):
        contact = replace(CHEST, source_object_mm=1800.0, shape=shape)
        psf = jax.jit(lambda y, geometry=contact: psf_at(geometry, y, -700.0, 2))(900.0)
        np.testing.assert_allclose(psf, identity, atol=1e-6)

        def central(size, shape=shape):
            tiny = replace(CHEST, focal_spot_mm=(size, size), shape=shape)
            return psf_at(tiny, 900.0, -700.0, 2)[2, 2]

        value, slope = jax.jit(jax.value_and_grad(central))(1e-5)
        assert float(value) == pytest.approx(1, abs=1e-6)
        assert np.isfinite(slope)


def test_no_nan_behind_the_anode():
    assert np.isfinite(psf_at(CHEST, -30000.0, 100.0, 3)).all()
    # The shadow begins at 1800 tan(12 degrees) = 383 mm; the spot is held at a thousandth there.
    assert float(effective_focal_spot(CHEST, -382.0, 0.0).along_mm) > 1.2e-3
    assert float(effective_focal_spot(CHEST, -600.0, 0.0).along_mm) == pytest.approx(1.2e-3)


@pytest.mark.parametrize(("size", "radius"), [(0.1, 1), (1.19, 1), (1.21, 2), (1.99, 2), (2.01, 3)])
def test_the_radius_is_the_smallest_that_holds_the_spot(size, radius):
    """Enlarged by a quarter, 1.2 mm are three pixels of 0.1 mm."""
    for spot in ((size, 0.1), (0.1, size)):
        geometry = Geometry(spot, 12.0, 1000.0, 800.0, 0.1, UniformSpot())
        assert field_radius(geometry, 1, 1) == radius


def test_the_shadow_of_the_anode_is_refused():
    steep = replace(CHEST, anode_angle_deg=5.0, pixel_pitch_mm=0.2)
    with pytest.raises(ValueError, match="anode_angle_deg"):
        psf_field(steep, 1750, 100, 3)
    psf_field(steep, 1500, 100, 3)
