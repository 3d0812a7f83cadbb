"""Intervals against SciPy, closed forms and a simulated coverage."""

import math

import numpy as np
import pytest
from scipy import stats
from sklearn.metrics import roc_auc_score, roc_curve

from jxr.evaluation import (
    accuracy,
    auc,
    bootstrap_interval,
    mcnemar,
    roc_band,
    seed_mean_interval,
)


def test_bootstrap_of_a_mean_has_the_known_width():
    values = np.random.default_rng(1).normal(size=400)
    low, high = bootstrap_interval(lambda counts: counts @ values / 400, 400)
    error = values.std() / math.sqrt(values.size)  # exact standard deviation of the resampled mean
    assert low == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)
    assert high == pytest.approx(values.mean() + 1.96 * error, abs=0.15 * error)


def test_bootstrap_covers_the_true_auc():
    """Two normal classes one standard deviation apart have AUC = Phi(1 / sqrt 2)."""
    truth = stats.norm.cdf(1 / math.sqrt(2))
    generator = np.random.default_rng(2)
    labels = np.repeat([0, 1], 60)
    trials, covered = 120, 0
    for trial in range(trials):
        scores = generator.normal(size=(1, 120)) + labels
        low, high = seed_mean_interval(labels, scores, auc, samples=150, seed=trial)
        covered += low <= truth <= high
    # An interval of exactly 95 % would pass with 997 seeds of 1,000.
    assert 0.87 <= covered / trials <= 0.999


def test_patients_are_drawn_with_all_their_images():
    """Four equal images of each of 100 patients say no more than one."""
    values = np.random.default_rng(11).normal(size=100)
    images, patients = np.repeat(values, 4), np.repeat(np.arange(100), 4)
    order = np.random.default_rng(12).permutation(400)
    found = bootstrap_interval(
        lambda counts: counts @ images[order] / 400, 400, patients=patients[order]
    )
    alone = bootstrap_interval(lambda counts: counts @ values / 100, 100)
    np.testing.assert_allclose(found, alone, atol=1e-12)
    error = values.std() / math.sqrt(100)
    assert found[0] == pytest.approx(values.mean() - 1.96 * error, abs=0.15 * error)


def test_without_patients_every_image_is_one():
    values = np.random.default_rng(13).normal(size=60)
    alone = bootstrap_interval(lambda counts: counts @ values, 60)
    assert alone == bootstrap_interval(lambda counts: counts @ values, 60, patients=np.arange(60))


def test_only_intervals_over_patients_cover_where_their_images_are_alike():
    """60 patients with five images each: scores are those of the patient, and a little noise."""
    truth = stats.norm.cdf(1 / math.sqrt(2))
    generator = np.random.default_rng(14)
    patients = np.repeat(np.arange(60), 5)
    labels = np.repeat([0, 1], 150)
    trials, covered = 120, {"patients": 0, "images": 0}
    for trial in range(trials):
        alike = np.repeat(generator.normal(size=60), 5) * math.sqrt(0.9)
        scores = (alike + generator.normal(size=300) * math.sqrt(0.1) + labels)[None]
        for name, owners in (("patients", patients), ("images", None)):
            low, high = seed_mean_interval(
                labels, scores, auc, patients=owners, samples=150, seed=trial
            )
            covered[name] += low <= truth <= high
    assert 0.86 <= covered["patients"] / trials <= 0.999
    assert covered["images"] / trials < 0.75


def test_images_are_resampled_jointly():
    """Equal seeds add no information; resampling each seed by itself would shrink the interval."""
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 100)
    row = np.clip(0.2 * labels + generator.uniform(0, 0.8, 100), 0, 1)
    one = seed_mean_interval(labels, row[None], accuracy, samples=200)
    four = seed_mean_interval(labels, np.stack([row] * 4), accuracy, samples=200)
    np.testing.assert_allclose(one, four, atol=1e-12)


def test_mean_over_seeds_lies_between_them():
    labels = np.repeat([0, 1], 20)
    good = labels * 0.8 + 0.1
    low, high = seed_mean_interval(labels, np.stack([good, 1 - good]), accuracy, samples=50)
    assert (low, high) == (0.5, 0.5)


def test_resamples_of_one_class_are_redrawn():
    labels = np.array([0, 1, 1])  # three in ten resamples hold one class
    low, high = seed_mean_interval(labels, np.array([[0.1, 0.9, 0.8]]), auc, samples=200)
    assert (low, high) == (1, 1)


def test_same_seed_same_interval():
    values = np.random.default_rng(4).uniform(size=50)

    def interval(seed):
        return bootstrap_interval(lambda counts: counts @ values, 50, samples=100, seed=seed)

    assert interval(5) == interval(5)
    assert interval(5) != interval(6)


def test_bootstrap_refuses_what_it_cannot_do():
    with pytest.raises(ValueError, match="needs images"):
        bootstrap_interval(lambda counts: counts.sum(axis=1), 0)
    with pytest.raises(ValueError, match="most resamples"):
        bootstrap_interval(lambda counts: np.full(len(counts), math.nan), 3, samples=5)
    with pytest.raises(ValueError, match="only one class"):
        seed_mean_interval(np.zeros(3, int), np.zeros((1, 3)), auc)
    with pytest.raises(ValueError, match="whose each of 3 images"):
        bootstrap_interval(lambda counts: counts.sum(axis=1), 3, patients=np.zeros(2))


@pytest.mark.parametrize(
    "patients",
    [
        np.array([1.0, np.nan, np.nan, 2.0]),
        np.array(["a", np.nan, np.nan, "b"], object),  # a column of pandas
        np.array([1, math.nan, float("nan"), 2], object),
        np.array(["a", None, None, "b"], object),
        np.array(["a", "nan", "nan", "b"]),  # the column as text
        np.array(["a", "", " ", "b"]),
        np.array(["2020-01-01", "NaT", "NaT", "2020-01-02"], "datetime64[D]"),
    ],
)
def test_patients_that_nobody_knows_are_not_taken_for_one(patients):
    right = np.array([True, False, True, False])
    message = "2 of 4 patients are missing .* give each such image one of its own"
    with pytest.raises(ValueError, match=message):
        bootstrap_interval(lambda counts: counts.sum(axis=1), 4, patients=patients)
    with pytest.raises(ValueError, match=message):
        mcnemar(right, ~right, patients)


@pytest.mark.parametrize("decimals", [0, 6])  # many ties, and none
def test_intervals_of_auc_and_accuracy_equal_a_brute_force_over_drawn_images(decimals):
    generator = np.random.default_rng(9)
    labels = generator.integers(0, 2, 30)
    scores = np.round(generator.normal(size=(3, 30)) + labels, decimals)
    draws, areas, fractions = np.random.default_rng(10), [], []
    for _ in range(150):  # more than are scored at once
        index = draws.integers(0, 30, size=30)
        areas.append(np.mean([roc_auc_score(labels[index], row[index]) for row in scores]))
        fractions.append(np.mean([(row[index] >= 0.5) == labels[index] for row in scores]))
    for metric, values in ((auc, areas), (accuracy, fractions)):
        found = seed_mean_interval(labels, scores, metric, samples=150, seed=10, level=0.8)
        np.testing.assert_allclose(found, np.quantile(values, [0.1, 0.9]), atol=1e-12)


def test_intervals_over_patients_equal_a_brute_force_over_drawn_patients():
    generator = np.random.default_rng(15)
    labels = generator.integers(0, 2, 40)
    scores = generator.normal(size=(2, 40)) + labels
    names = np.array(["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k"])
    patients = np.r_[names, generator.choice(names, 29)]
    grid = np.array([0, 0.2, 0.5, 1])
    draws, areas, curves = np.random.default_rng(16), [], []
    for _ in range(120):
        drawn = names[draws.integers(0, len(names), size=len(names))]
        index = np.concatenate([np.flatnonzero(patients == name) for name in drawn])
        areas.append(np.mean([roc_auc_score(labels[index], row[index]) for row in scores]))
        pairs = [roc_curve(labels[index], row[index], drop_intermediate=False) for row in scores]
        curves.append(np.mean([np.interp(grid, fpr, tpr) for fpr, tpr, _ in pairs], axis=0))
    options = {"patients": patients, "samples": 120, "seed": 16, "level": 0.8}
    found = seed_mean_interval(labels, scores, auc, **options)
    np.testing.assert_allclose(found, np.quantile(areas, [0.1, 0.9]), atol=1e-12)
    band = roc_band(labels, scores, grid, **options)
    np.testing.assert_allclose(band, np.quantile(curves, [0.1, 0.9], axis=0), atol=1e-12)


@pytest.mark.parametrize("decimals", [0, 6])
def test_roc_band_equals_a_brute_force_over_drawn_images(decimals):
    generator = np.random.default_rng(6)
    labels = generator.integers(0, 2, 40)
    scores = np.round(generator.normal(size=(3, 40)) + labels, decimals)
    grid = np.array([0, 0.013, 0.1, 0.31, 0.77, 0.999, 1])
    draws, curves = np.random.default_rng(7), []
    for _ in range(60):
        index = draws.integers(0, 40, size=40)
        pairs = [roc_curve(labels[index], row[index], drop_intermediate=False) for row in scores]
        curves.append(np.mean([np.interp(grid, fpr, tpr) for fpr, tpr, _ in pairs], axis=0))
    expected = np.quantile(curves, [0.05, 0.95], axis=0)
    band = roc_band(labels, scores, grid, samples=60, seed=7, level=0.9)
    np.testing.assert_allclose(band, expected, atol=1e-12)


def test_roc_band_covers_the_true_curve():
    """Of two normal classes one standard deviation apart it is Phi(1 + Phi^-1(fpr))."""
    grid = np.array([0.1, 0.3, 0.6])
    truth = stats.norm.cdf(1 + stats.norm.ppf(grid))
    generator = np.random.default_rng(8)
    labels = np.repeat([0, 1], 100)
    trials, covered = 120, np.zeros(3)
    for trial in range(trials):
        scores = generator.normal(size=(1, 200)) + labels
        low, high = roc_band(labels, scores, grid, samples=150, seed=trial)
        covered += (low <= truth) & (truth <= high)
    # An interval of exactly 95 % would pass with 997 seeds of 1,000 at each point.
    assert (covered / trials >= 0.87).all()
    assert (covered / trials <= 0.999).all()


def test_roc_band_of_a_perfect_classifier_and_redrawn_resamples():
    labels = np.array([0, 1, 1])  # three in ten resamples hold one class
    low, high = roc_band(labels, np.array([[-1.0, 2.0, 3.0]]), np.linspace(0, 1, 5), samples=50)
    np.testing.assert_array_equal([low, high], np.ones((2, 5)))


def test_roc_band_refuses_what_it_cannot_do():
    labels, scores = np.array([0, 1]), np.array([[0.0, 1.0]])
    for grid in ([-0.1, 0.5], [0.5, 1.1]):
        with pytest.raises(ValueError, match="grid"):
            roc_band(labels, scores, np.array(grid))
    with pytest.raises(ValueError, match="diverged"):
        roc_band(labels, np.array([[0.0, np.inf]]), np.array([0.5]))
