"""Rows of the linear limit against filters built with SciPy, and against the measured anchors."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import ndimage
from scipy.fft import dctn, idctn

from jxr.config import BlurConfig
from jxr.data import Record, file_set, folder_set, load_images
from jxr.errors import UserError
from jxr.restoration import choose_noise_to_signal
from jxr.studies.dataset import Dataset
from jxr.studies.restoration.linear_limit import (
    COARSE_RATIOS,
    linear_limit_rows,
    ratio_of,
)
from jxr.studies.restoration.measured_spectra import (
    best_flat,
    filter_error,
    moments,
    observed_images,
    signal_spectrum,
)
from jxr.studies.restoration.table import roundings, settings
from jxr.studies.restorers import (
    RATIOS,
    Rounding,
    degraded_images,
    host_float64,
    kernel_of,
    spread,
)

SIZE, SEED = 24, 3
BLUR = BlurConfig(sigma=1.0)
NOISY = dataclasses.replace(BLUR, noise=0.05)
EIGHT_BIT = dataclasses.replace(BLUR, sigma=2.0, input_precision="8bit")


def dataset_of(images, train, validation):
    train_rows, validation_rows, test_rows = np.split(
        np.arange(len(images)), [train, train + validation]
    )
    records = [Record(f"{row:03d}.png", "A", str(row), "train") for row in range(len(images))]
    return Dataset(
        records=tuple(records),
        images=images,
        train=train_rows,
        validation=validation_rows,
        test=test_rows,
        fingerprint="made up",
        resize="antialias",
    )


@pytest.fixture(scope="module")
def dataset():
    """90 smooth images of different contrast, more than one batch of training images."""
    rng = np.random.default_rng(0)
    images = ndimage.gaussian_filter(rng.standard_normal((90, SIZE, SIZE, 1)), 1.0, axes=(1, 2))
    images = np.clip(0.5 + images * rng.uniform(0.2, 0.8, (90, 1, 1, 1)), 0, 1)
    return dataset_of(images.astype(np.float32), train=70, validation=8)


def eigenvalues(blur, size=SIZE):
    """By the cosine transform of a blurred impulse, in float64."""
    impulse = np.zeros((size, size))
    impulse[0, 0] = 1
    sigma = blur.sigma if blur.convention == "standard" else blur.sigma / 2**0.5
    radius = max(1, int(np.ceil(4 * sigma)))
    blurred = ndimage.gaussian_filter(impulse, sigma, mode="reflect", radius=radius)
    return dctn(blurred, norm="ortho") / dctn(impulse, norm="ortho")


def cosines(images):
    return dctn(images[..., 0].astype(np.float64), axes=(1, 2), norm="ortho")


def expected_error(dataset, blur, signal_rows, noise_rows):
    """Mean squared error on the test images of the filter with these rows' spectra."""
    d, test = eigenvalues(blur), dataset.test

    def seen(rows):
        return cosines(degraded_images(dataset.images[rows], rows, blur, SEED))

    signal = np.square(cosines(dataset.images[signal_rows])).mean(axis=0)
    noise = np.square(seen(noise_rows) - d * cosines(dataset.images[noise_rows])).mean(axis=0)
    gain = d * signal / (d**2 * signal + noise)
    restored = idctn(gain * seen(test), axes=(1, 2), norm="ortho")
    return np.square(restored - dataset.images[test][..., 0]).mean()


@pytest.fixture(scope="module")
def noisy_rows(dataset):
    return linear_limit_rows(dataset, NOISY, seed=SEED)


@pytest.mark.parametrize("blur", [NOISY, EIGHT_BIT])
def test_rows_hold_the_errors_of_the_filters_they_name(dataset, blur):
    rows = {row["recipe"]: row for row in linear_limit_rows(dataset, blur, seed=SEED)}
    assert list(rows) == [
        "none",
        "spectra-train",
        "spectra-test-oracle",
        "flat-validation",
        "flat-test-oracle-coarse",
    ]
    train, test = dataset.train, dataset.test
    assert len(train) < 512  # so that the noise, too, is measured on all of them
    honest = expected_error(dataset, blur, train, train)
    oracle = expected_error(dataset, blur, test, test)
    assert honest > 1.005 * oracle  # or the next lines could not tell them apart
    assert rows["spectra-train"]["mse"] == pytest.approx(honest, rel=1e-3)
    assert rows["spectra-test-oracle"]["mse"] == pytest.approx(oracle, rel=1e-3)
    seen = degraded_images(dataset.images[test], test, blur, SEED)
    assert rows["none"]["mse"] == pytest.approx(np.square(seen - dataset.images[test]).mean(), 1e-4)
    for row in rows.values():
        assert row["method"] == ("none" if row["recipe"] == "none" else "wiener")
        said = {key: row[key] for key in ("sigma", "convention", "noise", "input_precision")}
        assert said == {key: getattr(blur, key) for key in said}
        assert (row["psf"], row["boundary"], row["n"]) == ("gaussian", "reflect", len(test))
        assert row["kernel_radius"] == 4 * blur.sigma
        assert row["blur_precision"] == "float32"
        assert ("ratio" in row) == row["recipe"].startswith("flat")


def test_the_flat_ratios_are_the_best_of_their_images(dataset, noisy_rows):
    """Against `choose_noise_to_signal`, which restores all images with every candidate."""
    rows = {row["recipe"]: row for row in noisy_rows}
    for recipe, part, candidates in (
        ("flat-validation", dataset.validation, RATIOS),
        ("flat-test-oracle-coarse", dataset.test, COARSE_RATIOS),
    ):
        originals = dataset.images[part]
        seen = degraded_images(originals, part, NOISY, SEED)
        with jax.enable_x64(True):
            best, mses = jax.jit(choose_noise_to_signal)(
                seen.astype(float), originals.astype(float), kernel_of(NOISY, "device"), candidates
            )
            best, mses = float(best), np.asarray(mses)
        assert rows[recipe]["ratio"] == best
        assert candidates[0] < best < candidates[-1]
    assert rows["flat-test-oracle-coarse"]["mse"] == pytest.approx(mses.min(), rel=1e-6)


def test_honest_rows_know_nothing_of_the_test_images(dataset, noisy_rows):
    images = dataset.images.copy()
    images[dataset.test] = images[dataset.test][:, ::-1] ** 2
    changed = dataclasses.replace(dataset, images=images)
    (before, after) = (
        {row["recipe"]: row for row in rows}
        for rows in (noisy_rows, linear_limit_rows(changed, NOISY, seed=SEED))
    )
    assert before["flat-validation"]["ratio"] == after["flat-validation"]["ratio"]
    expected = expected_error(changed, NOISY, dataset.train, dataset.train)
    assert after["spectra-train"]["mse"] == pytest.approx(expected, rel=1e-3)
    assert after["spectra-train"]["mse"] != pytest.approx(before["spectra-train"]["mse"], rel=0.01)


def test_the_error_by_moments_is_the_error_in_the_images(dataset):
    """For a filter that is nobody's best, so that no term may be missing."""
    rng, test = np.random.default_rng(1), dataset.test
    d, gain = eigenvalues(EIGHT_BIT), rng.uniform(0, 3, (SIZE, SIZE))
    measured = moments(dataset, test, EIGHT_BIT, seed=SEED, rounding="device", transfer=d)
    seen = degraded_images(dataset.images[test], test, EIGHT_BIT, SEED)
    restored = idctn(gain * cosines(seen), axes=(1, 2), norm="ortho")
    expected = np.square(restored - dataset.images[test][..., 0]).mean()
    assert filter_error(measured, d, gain) == pytest.approx(expected, rel=1e-9)
    without = dataclasses.replace(measured, cross=np.zeros_like(d))
    assert filter_error(without, d, gain) != pytest.approx(expected, rel=1e-5)


def test_signal_power_is_the_mean_over_all_batches(dataset):
    power = signal_spectrum(dataset.images, dataset.train)
    assert power.dtype == np.float64
    expected = np.square(cosines(dataset.images[dataset.train])).mean(axis=0)
    np.testing.assert_allclose(power, expected, rtol=1e-10)


def test_a_blur_on_the_host_is_rounded_once(dataset):
    rows = dataset.test
    images = dataset.images[rows]
    seen = observed_images(images, rows, BLUR, seed=SEED, rounding="host")
    expected = ndimage.gaussian_filter(images.astype(float), 1.0, axes=(1, 2), radius=4)
    assert seen.dtype == np.float32
    # Within a unit in the last place of float32; float32 arithmetic would be off by more.
    off = np.abs(seen - expected.astype(np.float32)) / np.spacing(seen)
    assert np.mean(off > 0) < 0.001
    device = observed_images(images, rows, BLUR, seed=SEED, rounding="device")
    assert np.mean(device != seen) > 0.1
    assert np.abs(device - seen).max() < 1e-6
    x = np.arange(-4, 5)
    weights = np.exp(-(x**2) / 2)
    np.testing.assert_allclose(kernel_of(BLUR, "host"), weights / weights.sum(), rtol=1e-14)
    rounded = kernel_of(BLUR, "device")
    np.testing.assert_array_equal(rounded, rounded.astype(np.float32))
    with pytest.raises(ValueError, match="'host' is for float32 images without noise"):
        observed_images(images, rows, NOISY, seed=SEED, rounding="host")


def test_the_table_has_every_setting_once(dataset):
    # Of two conventions as many as of one, and nothing else differs.
    both = settings((1.0,), ("standard", "report"), 0.01)
    assert [blur.convention for blur in both] == ["standard"] * 3 + ["report"] * 3
    rows = [
        row
        for blur in both[3:]
        for rounding in roundings(blur)
        for row in linear_limit_rows(dataset, blur, seed=SEED, rounding=rounding)
    ]
    found = [
        (row["convention"], row["input_precision"], row["noise"], row["blur_precision"])
        for row in rows
    ]
    assert len(set(found)) == 4
    assert all(found.count(setting) == 5 for setting in found)
    keys = ("method", "recipe", "sigma", "convention", "noise", "input_precision")
    assert len({tuple(row[key] for key in keys) for row in rows}) == 20
    host = [row for row in rows if row["blur_precision"] == "float64"]
    assert len(host) == 5
    assert all(row["recipe"].endswith("-host-blur") for row in host)
    oracle = {row["recipe"]: row["mse"] for row in rows}
    assert oracle["spectra-test-oracle-host-blur"] < oracle["none-host-blur"] / 1e6


def test_few_rows_stand_for_all():
    rows = np.arange(100, 200)
    np.testing.assert_array_equal(spread(rows, 4), [100, 133, 166, 199])
    np.testing.assert_array_equal(spread(rows[:3], 4), [100, 101, 102])


def test_what_cosines_cannot_do_is_refused(dataset):
    with pytest.raises(UserError, match=r"blur\.boundary 'zero'.*needs 'reflect'"):
        linear_limit_rows(dataset, BlurConfig(boundary="zero"), seed=SEED)
    with pytest.raises(UserError, match=r"blur\.sigma 7 needs a kernel of radius 28"):
        linear_limit_rows(dataset, BlurConfig(sigma=7.0), seed=SEED)


@pytest.fixture(scope="module")
def official_test(shared):
    root = shared / "data" / "chest_xray"
    records = [record for record in folder_set(root).records if record.split == "test"]
    assert len(records) == 624
    return dataset_of(load_images(file_set(root, records)), train=0, validation=0)


@pytest.mark.shared
@pytest.mark.parametrize(
    ("sigma", "convention", "changes", "flat", "spectra", "tolerance"),
    [
        (1.0, "report", {"input_precision": "8bit"}, 4.78e-5, 4.37e-5, 0.02),
        (1.0, "standard", {"noise": 0.01}, 8.66e-4, 5.19e-4, 0.02),
        (2.0, "standard", {"input_precision": "8bit"}, 6.54e-4, 6.42e-4, 0.02),
        (2.0, "standard", {}, 1.02e-4, 1.01e-4, 0.02),
        (1.0, "report", {}, 1.4e-14, 1.4e-14, 0.05),
    ],
)
def test_the_measured_limit_of_the_official_test_images(
    official_test, sigma, convention, changes, flat, spectra, tolerance
):
    """Numbers of an earlier measurement with other code (SciPy's transforms, another noise)."""
    blur = BlurConfig(sigma=sigma, convention=convention, **changes)
    rounding: Rounding = "device" if changes else "host"
    d = eigenvalues(blur, 224)
    measured = moments(
        official_test, official_test.test, blur, seed=SEED, rounding=rounding, transfer=d
    )
    k = best_flat(measured, d, COARSE_RATIOS)
    assert filter_error(measured, d, d / (d**2 + k)) == pytest.approx(flat, rel=tolerance)
    with host_float64():
        ratio = jnp.asarray(ratio_of(measured.signal, measured.noise))
        gain = np.asarray(d / (d**2 + ratio))
    assert filter_error(measured, d, gain) == pytest.approx(spectra, rel=tolerance)
