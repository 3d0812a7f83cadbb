"""Parameters that no optics has are refused by their name, in one line."""

import functools
import math
from dataclasses import replace

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest

from jxr import optics
from jxr.optics import (
    Detector,
    DoubleGaussianSpot,
    GaussianMixture,
    Geometry,
    MeasuredSpot,
)

GEOMETRY = Geometry((1.2, 1.0), 12.0, 1800.0, 1500.0, 0.15)
STEP = np.array([0.0] * 10 + [0.5] + [1.0] * 10)
LINE = np.exp(-(np.linspace(-4, 4, 33) ** 2))
FLAT = np.ones(12)
KEY = jax.random.key(0)
X = jnp.ones((5, 6, 1), jnp.float32)
PROFILE = jnp.asarray([0.25, 0.5, 0.25], jnp.float32)
PSF = jnp.outer(PROFILE, PROFILE)
NAN, INF = math.nan, math.inf
NEGATIVE = (-1.0, NAN, INF)
NOT_POSITIVE = (0.0, *NEGATIVE)
EVEN = jnp.ones((2, 2))


def constant(row, column):
    return PSF


def each(values, name, call):
    return [(name, functools.partial(call, value)) for value in values]


def eigen():
    return optics.eigen_psfs(constant, 5, 6, rank=1, samples=2)


PLAIN = Detector(1.0, 0.0)
# Nothing of it lies near its middle.
TWO_BANDS = Geometry((50.0, 50.0), 12.0, 1800.0, 900.0, 0.15, DoubleGaussianSpot(100.0))
INADMISSIBLE = [
    *each(NEGATIVE, "sigma", lambda v: optics.effective_sigma(v)),
    *each(NEGATIVE, "sigma", lambda v: optics.kernel_radius(v)),
    *each(NEGATIVE, "sigma", lambda v: optics.gaussian_profile(v, radius=2)),
    *each(NEGATIVE, "sigma", lambda v: optics.gaussian_psf(v, radius=2)),
    *each(NEGATIVE, "sigma", lambda v: optics.gaussian_blur(X, v, radius=2)),
    ("sigma must be one", lambda: optics.gaussian_blur(X, jnp.arange(5.0), radius=2)),
    ("std must be one", lambda: optics.add_gaussian_noise(KEY, X, jnp.array([0.1, 0.2]))),
    ("focal_spot_mm must be two", lambda: Geometry(1.2, 12.0, 1800.0, 1500.0, 0.15)),
    ("psf must have two axes", lambda: optics.blur(X, PROFILE)),
    ("radius", lambda: optics.gaussian_profile(1.0, radius=-1)),
    ("radius", lambda: optics.gaussian_blur(X, 1.0, radius=6)),
    ("convention", lambda: optics.gaussian_psf(1.0, radius=2, convention="other")),
    ("convention", lambda: optics.kernel_radius(1.0, "other")),
    ("sampling", lambda: optics.gaussian_psf(1.0, radius=2, sampling="other")),
    ("boundary", lambda: optics.blur(X, PSF, boundary="other")),
    ("boundary", lambda: optics.blur_separable(X, PROFILE, boundary="other")),
    ("boundary", lambda: optics.separable_operator(PROFILE, boundary="other")),
    ("boundary", lambda: optics.psf_operator(PSF, boundary="other")),
    ("boundary", lambda: optics.dense_blur(X, constant, boundary="other")),
    ("boundary", lambda: optics.tiled_operator(constant, 5, 6, tile=3, boundary="other")),
    ("boundary", lambda: optics.low_rank_operator(eigen(), boundary="other")),
    ("boundary", lambda: optics.transfer_blur(X, optics.gaussian_transfer(1.0), boundary="edge")),
    ("method", lambda: optics.psf_operator(PSF, method="other")),
    ("odd", lambda: optics.blur(X, EVEN)),
    ("odd", lambda: optics.blur_separable(X, EVEN[0])),
    ("odd", lambda: optics.separable_operator(EVEN[0]).adjoint(X)),
    ("odd", lambda: optics.psf_operator(EVEN).adjoint(X)),
    ("keep shape", lambda: optics.as_operator(lambda x: x[1:], X)),
    *each((0, -1), "tile", lambda v: optics.tiled_operator(constant, 5, 6, tile=v)),
    *each((0, -1), "block", lambda v: optics.low_rank_operator(eigen(), block=v)),
    *each((0, 5), "rank", lambda v: optics.eigen_psfs(constant, 5, 6, rank=v, samples=2)),
    ("samples", lambda: optics.eigen_psfs(constant, 5, 6, rank=1, samples=1)),
    *each(NOT_POSITIVE, "error", lambda v: optics.choose_rank(constant, 5, 6, wanted_error=v)),
    *each(NOT_POSITIVE, "error", lambda v: optics.choose_tile(constant, 5, 6, wanted_error=v)),
    ("height", lambda: optics.tiled_operator(constant, 0, 6, tile=3)),
    ("height", lambda: optics.eigen_psfs(constant, 0, 6, rank=1)),
    ("height", lambda: optics.choose_rank(constant, 5, 0, wanted_error=0.1)),
    ("height", lambda: optics.choose_tile(constant, 5, 0, wanted_error=0.1)),
    ("height", lambda: optics.psf_field(GEOMETRY, 0, 6, 1)),
    ("height", lambda: optics.field_radius(GEOMETRY, 5, 0)),
    ("reach", lambda: optics.field_radius(replace(GEOMETRY, source_object_mm=1e-308), 5, 6)),
    *each(NEGATIVE, "sigma_mm", lambda v: optics.gaussian_transfer(v)),
    *each(NOT_POSITIVE, "half_frequency_mm", lambda v: optics.lorentzian_transfer(v)),
    *each(NOT_POSITIVE, "pixel_pitch_mm", lambda v: optics.pixel_transfer((1.0, v))),
    *each(
        NOT_POSITIVE,
        "pixel_pitch_mm",
        lambda v: optics.transfer_blur(X, optics.gaussian_transfer(1.0), v),
    ),
    *each(NEGATIVE, "attenuation", lambda v: optics.transmitted_intensity(X, v)),
    *each((*NOT_POSITIVE, 2e7), "dose", lambda v: optics.expected_counts(X, v)),
    *each(NOT_POSITIVE, "dose", lambda v: optics.expose(KEY, X, v, PLAIN)),
    *each(NOT_POSITIVE, "dose", lambda v: optics.detect(KEY, X, v, PLAIN)),
    *each(NOT_POSITIVE, "gain", lambda v: Detector(v, 0.0)),
    *each(NEGATIVE, "electronic_noise", lambda v: Detector(1.0, v)),
    *each((0, 17), "bits", lambda v: Detector(1.0, 0.0, v)),
    *each((0, 17), "bits", lambda v: optics.digitise(X, v)),
    *each((0, 17), "bits", lambda v: optics.quantise(X, bits=v)),
    *each(NOT_POSITIVE, "pixel_pitch_mm", lambda v: Detector(1.0, 0.0, pixel_pitch_mm=v)),
    ("pixel_pitch_mm", lambda: Detector(1.0, 0.0, pixel_pitch_mm=(0.1, 0.0))),
    *each(NOT_POSITIVE, "open_beam", lambda v: optics.negative_log(X, v)),
    *each(NOT_POSITIVE, "floor", lambda v: optics.negative_log(X, 1.0, v)),
    *each(NEGATIVE, "std", lambda v: optics.add_gaussian_noise(KEY, X, v)),
    *each(
        NEGATIVE,
        "noise",
        lambda v: optics.degrade(X[None], 1.0, KEY[None], radius=2, noise=v, eight_bit=False),
    ),
    *each(NOT_POSITIVE, "spot_mm along", lambda v: replace(GEOMETRY, focal_spot_mm=(v, 1.0))),
    *each(NOT_POSITIVE, "spot_mm across", lambda v: replace(GEOMETRY, focal_spot_mm=(1.0, v))),
    *each((*NOT_POSITIVE, 91.0), "angle", lambda v: replace(GEOMETRY, anode_angle_deg=v)),
    *each(NOT_POSITIVE, "source_detector_mm", lambda v: replace(GEOMETRY, source_detector_mm=v)),
    *each(NOT_POSITIVE, "source_object_mm", lambda v: replace(GEOMETRY, source_object_mm=v)),
    ("detector_mm - source_object_mm", lambda: replace(GEOMETRY, source_object_mm=1801.0)),
    *each(NOT_POSITIVE, "pixel_pitch_mm", lambda v: replace(GEOMETRY, pixel_pitch_mm=v)),
    ("pixel_pitch_mm", lambda: replace(GEOMETRY, pixel_pitch_mm=(0.1, 0.0))),
    ("radius", lambda: optics.psf_at(GEOMETRY, 0.0, 0.0, -1)),
    ("radius", lambda: optics.psf_at(TWO_BANDS, 0.0, 0.0, 1)),
    ("new_shape", lambda: optics.resampled(GEOMETRY, (5, 6), (0, 6))),
    *each(NEGATIVE, "separation", lambda v: DoubleGaussianSpot(v)),
    *each(
        (np.zeros((2, 2)), np.array([[2.0, -1.0]]), np.array([[1.0, np.inf]]), np.ones(3)),
        "picture",
        lambda v: MeasuredSpot(v),
    ),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.line_spread_from_edge(STEP, v)),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.line_spread_from_slit(LINE, v)),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.width_at(LINE, v)),
    *each(
        NOT_POSITIVE, "spacing_mm", lambda v: optics.modulation_transfer(LINE, v, differenced=True)
    ),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.separable_psf(LINE, LINE, v, 0.1, 3)),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.spot_from_slits(LINE, LINE, v, 1.0)),
    *each(NOT_POSITIVE, "enlargement", lambda v: optics.spot_from_slits(LINE, LINE, 1.0, v)),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.fit_edge(STEP, v)),
    *each(NOT_POSITIVE, "spacing_mm", lambda v: optics.fit_slit(LINE, v)),
    *each(
        NEGATIVE,
        "smoothing_mm",
        lambda v: optics.line_spread_from_edge(STEP, 0.1, smoothing_mm=v),
    ),
    *each((0.0, 0.5, NAN), "ends", lambda v: optics.line_spread_from_slit(LINE, 0.1, ends=v)),
    ("does not fall", lambda: optics.width_at(LINE - 2, 0.1)),
    *each((0.0, 1.5, NAN), "level", lambda v: optics.width_at(LINE, 0.1, v)),
    *each(NOT_POSITIVE, "pixel_pitch_mm", lambda v: optics.separable_psf(LINE, LINE, 0.1, v, 3)),
    ("radius", lambda: optics.separable_psf(LINE, LINE, 0.1, 0.1, -1)),
    ("no area", lambda: optics.separable_psf(LINE, 0 * LINE, 0.1, 0.1, 3)),
    ("no area", lambda: optics.modulation_transfer(0 * LINE, 0.1, differenced=False)),
    ("picture", lambda: optics.spot_from_slits(LINE, 0 * LINE, 1.0, 1.0)),
    ("no edge", lambda: optics.line_spread_from_edge(FLAT, 0.1)),
    ("no edge", lambda: optics.fit_edge(FLAT, 0.1)),
    ("slit", lambda: optics.fit_slit(FLAT, 0.1)),
    ("8 or more", lambda: optics.fit_edge(STEP[:5], 0.1)),
    ("components", lambda: optics.fit_edge(STEP, 0.1, components=0)),
    ("frequencies", lambda: optics.isotropic_transfer(FLAT, FLAT)),
    ("frequencies", lambda: optics.isotropic_transfer(np.arange(3.0), FLAT)),
    ("pixel_pitch_mm", lambda: GaussianMixture((1.0,), (1.0,), 0.0).psf(0.0, 3)),
    ("radius", lambda: GaussianMixture((1.0,), (1.0,), 0.0).psf(0.1, -1)),
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
