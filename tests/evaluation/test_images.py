"""Image scores against scikit-image and by hand."""

import numpy as np
import pytest
from skimage.metrics import peak_signal_noise_ratio, structural_similarity

from jxr.evaluation import mse, psnr, restoration_scores, ssim


@pytest.fixture
def pair():
    generator = np.random.default_rng(0)
    originals = generator.uniform(size=(3, 24, 31, 2)).cumsum(axis=2).astype(np.float32)
    originals /= originals.max()
    noise = generator.normal(scale=[0.01, 0.05, 0.2], size=(24, 31, 2, 3))
    return originals, (originals + np.moveaxis(noise, -1, 0)).astype(np.float32)


def test_mse_and_psnr_by_hand():
    originals = np.zeros((2, 2, 2, 1), np.float32)
    restored = np.array([[0.1, 0, 0, 0], [0.5, 0.5, 0.5, 0.5]], np.float32).reshape(2, 2, 2, 1)
    np.testing.assert_allclose(mse(originals, restored), [0.0025, 0.25], rtol=1e-6)
    np.testing.assert_allclose(psnr(originals, restored), [26.0206, 6.0206], atol=1e-4)


def test_small_errors_are_not_rounded_in_float32():
    originals = np.full((1, 16, 16, 1), 0.75, np.float64)
    restored = originals + 1e-9
    assert mse(originals, restored)[0] == pytest.approx(1e-18, rel=1e-6)


def test_psnr_equals_scikit_image(pair):
    expected = [
        peak_signal_noise_ratio(a.astype(float), b.astype(float), data_range=1)
        for a, b in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(psnr(*pair), expected, rtol=1e-12)


def test_ssim_equals_scikit_image(pair):
    expected = [
        structural_similarity(
            a.astype(float),
            b.astype(float),
            gaussian_weights=True,
            sigma=1.5,
            use_sample_covariance=False,
            data_range=1,
            channel_axis=-1,
        )
        for a, b in zip(*pair, strict=True)
    ]
    np.testing.assert_allclose(ssim(*pair), expected, atol=1e-12)
    assert expected[0] > expected[1] > expected[2]


def test_equal_images():
    images = np.random.default_rng(1).uniform(size=(2, 16, 16, 1))
    assert psnr(images, images).tolist() == [np.inf, np.inf]
    np.testing.assert_allclose(ssim(images, images), 1)
    scores = restoration_scores(images, images)
    assert (scores["mse"], scores["psnr"], scores["n"]) == (0, None, 2)
    # One of two is enough for an infinite mean.
    other = np.stack([images[0], images[1] + 0.1])
    assert restoration_scores(images, other)["psnr"] is None


def test_ssim_of_a_single_window():
    first, second = np.random.default_rng(2).uniform(size=(2, 11, 11))
    offsets = np.arange(-5, 6)
    window = np.exp(-(offsets[:, None] ** 2 + offsets**2) / (2 * 1.5**2))
    window /= window.sum()
    means = [(window * one).sum() for one in (first, second)]
    (a, both), (_, b) = np.cov([first.ravel(), second.ravel()], aweights=window.ravel(), ddof=0)
    expected = (2 * means[0] * means[1] + 0.01**2) * (2 * both + 0.03**2)
    expected /= (means[0] ** 2 + means[1] ** 2 + 0.01**2) * (a + b + 0.03**2)
    found = ssim(first[None, ..., None], second[None, ..., None])
    np.testing.assert_allclose(found, [expected], rtol=1e-10)


def test_restoration_scores_are_means(pair):
    scores = restoration_scores(*pair)
    difference = pair[0].astype(float) - pair[1].astype(float)
    assert scores["mse"] == pytest.approx(np.mean(difference**2))
    assert scores["psnr"] == pytest.approx(
        np.mean([-10 * np.log10(np.mean(d**2)) for d in difference])
    )
    assert scores["ssim"] == pytest.approx(ssim(*pair).mean())
    assert scores["n"] == 3


def test_refusals(pair):
    originals, restored = pair
    with pytest.raises(ValueError, match="11 x 11"):
        ssim(originals[:, :10], restored[:, :10])
    with pytest.raises(ValueError, match="no images"):
        restoration_scores(originals[:0], restored[:0])
    with pytest.raises(ValueError, match="diverged"):
        restoration_scores(originals, np.full_like(restored, np.nan))
