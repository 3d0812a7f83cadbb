"""Reliability and temperature, against scikit-learn and against known probabilities."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import expit, logit
from scipy.stats import norm
from sklearn.calibration import calibration_curve

from jxr.evaluation.calibration import Scaling, fit_scaling, fit_unlabelled, reliability


@pytest.fixture
def predictions():
    rng = np.random.default_rng(0)
    probabilities = rng.beta(0.7, 0.9, 5000)
    return (rng.random(5000) < probabilities).astype(int), probabilities


def test_bins_are_those_of_scikit_learn(predictions):
    labels, probabilities = predictions
    found = reliability(labels, probabilities, bins=10)
    observed, predicted = calibration_curve(labels, probabilities, n_bins=10)
    np.testing.assert_allclose(found.observed, observed)
    np.testing.assert_allclose(found.predicted, predicted)
    assert found.count.sum() == 5000
    observed, _ = calibration_curve(labels, probabilities, n_bins=15)
    np.testing.assert_allclose(reliability(labels, probabilities).observed, observed)


def test_ece_by_its_definition():
    labels = np.array([0, 0, 1, 1, 1, 0])
    probabilities = np.array([0.1, 0.15, 0.19, 0.9, 1.0, 0.95])
    found = reliability(labels, probabilities, bins=5)
    # First bin: 0.1467 predicted, 1/3 observed; last: 0.95 predicted, 2/3 observed.
    np.testing.assert_array_equal(found.count, [3, 3])
    assert found.ece == pytest.approx((1 / 3 - 0.44 / 3 + 2.85 / 3 - 2 / 3) / 2)


def test_true_probabilities_have_next_to_no_error_and_wrong_ones_do(predictions):
    labels, probabilities = predictions
    assert reliability(labels, probabilities).ece < 0.03
    assert reliability(labels, expit(3 * logit(probabilities))).ece > 0.08
    assert reliability(labels, np.sqrt(probabilities)).ece > 0.1


def test_probabilities_outside_their_range_are_refused():
    with pytest.raises(ValueError, match="probabilities from"):
        reliability(np.array([0, 1]), np.array([-0.1, 0.5]))
    with pytest.raises(ValueError, match="probabilities from"):
        reliability(np.array([0, 1]), np.array([0.5, 1.1]))


@pytest.mark.parametrize("function", [reliability, fit_scaling])
def test_labels_and_scores_of_no_use_are_refused(function):
    labels, scores = np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.6])
    with pytest.raises(ValueError, match="NaN"):
        function(labels, np.array([0.2, np.nan, 0.4, 0.6]))
    with pytest.raises(ValueError, match="only one class"):
        function(np.ones(4, int), scores)
    with pytest.raises(ValueError, match="0 or 1"):
        function(labels + 1, scores)


def test_log_odds_of_float32_are_scaled_in_float64():
    found = Scaling(slope=0.1, threshold=0.3)(np.float32([1.0, -2.5]))
    assert found.dtype == np.float64
    np.testing.assert_allclose(found, [0.07, -0.28], rtol=1e-15)


def test_scaling_finds_the_temperature(predictions):
    labels, probabilities = predictions
    scaled = 4 * logit(probabilities) + 6
    found = fit_scaling(labels, scaled)
    assert found.slope == pytest.approx(0.25, rel=0.08)
    assert found.threshold == pytest.approx(6, abs=0.3)
    assert reliability(labels, expit(found(scaled))).ece < 0.03


def test_scaling_has_the_least_weighted_log_loss(predictions):
    labels, probabilities = predictions
    log_odds = (2 * logit(probabilities) - 1).astype(np.float32)
    weights = np.where(labels == 1, 0.2, 3.0) * np.linspace(0.5, 1.5, 5000) / 5000

    sizes = np.where(labels == 1, labels.sum(), (1 - labels).sum())
    sure = (sizes + 1) / (sizes + 2)

    def loss(numbers):
        slope, threshold = numbers
        margins = np.where(labels == 1, 1, -1) * slope * (log_odds - threshold)
        return weights @ (sure * np.logaddexp(0, -margins) + (1 - sure) * np.logaddexp(0, margins))

    found = fit_scaling(labels, log_odds, weights)
    best = minimize(loss, [1.0, 0.0], method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-12})
    np.testing.assert_allclose([found.slope, found.threshold], best.x, rtol=1e-3)


def test_scores_against_the_labels_are_refused(predictions):
    labels, probabilities = predictions
    with pytest.raises(ValueError, match="do not rise"):
        fit_scaling(labels, -logit(probabilities))
    with pytest.raises(ValueError, match="all the same"):
        fit_scaling(labels, np.ones(len(labels)))


def test_classes_that_do_not_overlap_give_no_infinite_slope():
    labels = np.repeat([0, 1], 20)
    found = fit_scaling(labels, np.where(labels == 1, 3.0, -1.0))
    assert found.threshold == pytest.approx(1)
    # All that is known of 20 images without a mistake is one in 22.
    assert expit(found(np.array([3.0])))[0] == pytest.approx(21 / 22, abs=1e-3)


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_two_groups_are_found_without_labels(share):
    """Against the posterior odds of the distributions that the numbers were drawn from."""
    rng = np.random.default_rng(1)
    labels = rng.random(4000) < share
    log_odds = np.where(labels, 14.0, 5.0) + 2.5 * rng.normal(size=4000)
    found = fit_unlabelled(log_odds)
    slope = 9 / 2.5**2
    assert found.slope == pytest.approx(slope, rel=0.1)
    assert found.threshold == pytest.approx(9.5 - logit(share) / slope, abs=0.4)
    # 0, where the classifier was trained, calls all of them class 1.
    assert ((found(log_odds) >= 0) == labels).mean() > 0.95 > share + 0.03
    assert reliability(labels.astype(int), expit(found(log_odds))).ece < 0.02


def test_the_mixture_has_the_greatest_likelihood():
    """Of uneven groups that overlap, against a search from the distributions themselves."""
    rng = np.random.default_rng(4)
    log_odds = np.concatenate([rng.normal(0, 1, 1900), rng.normal(3, 1, 100)])

    def loss(numbers):
        a, b, log_std, prior = numbers
        share = expit(prior)
        density = (1 - share) * norm.pdf(log_odds, a, np.exp(log_std))
        return -np.log(density + share * norm.pdf(log_odds, b, np.exp(log_std))).mean()

    start = [0, 3, 0, logit(0.05)]
    a, b, log_std, prior = minimize(loss, start, method="BFGS", options={"gtol": 1e-8}).x
    slope = (b - a) / np.exp(2 * log_std)
    found = fit_unlabelled(log_odds)
    assert found.slope == pytest.approx(slope, rel=0.01)
    assert found.threshold == pytest.approx((a + b) / 2 - prior / slope, abs=0.02)


@pytest.mark.parametrize(("apart", "groups"), [(1.7, 1), (2.3, 2)])
def test_two_peaks_are_more_than_two_standard_deviations_apart(apart, groups):
    """The density of two equal groups itself has a second peak from there on."""
    places = np.linspace(-5, 8, 1301)
    density = norm.pdf(places) + norm.pdf(places, apart)
    assert (np.diff(np.sign(np.diff(density))) < 0).sum() == groups
    # Quantiles instead of draws: their moments are those of the distributions.
    normal = norm.ppf((np.arange(2000) + 0.5) / 2000)
    log_odds = np.concatenate([normal, normal + apart])
    if groups == 2:
        assert fit_unlabelled(log_odds).threshold == pytest.approx(apart / 2, abs=0.01)
    else:
        with pytest.raises(ValueError, match="a single peak"):
            fit_unlabelled(log_odds)


def test_ten_log_odds_are_enough():
    found = fit_unlabelled(np.repeat([0.0, 0.1, 0.2, 5.0, 5.2], 2))
    assert 0.2 < found.threshold < 5.0


def test_units_do_not_count():
    rng = np.random.default_rng(2)
    log_odds = np.concatenate([rng.normal(0, 1, 300), rng.normal(5, 1, 100)])
    one, other = fit_unlabelled(log_odds), fit_unlabelled(1e-3 * log_odds - 7)
    np.testing.assert_allclose(other(1e-3 * log_odds - 7), one(log_odds), rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize(
    ("values", "match"),
    [
        (np.random.default_rng(3).normal(size=2000), "a single peak"),
        (np.full(101, 0.1), "all the same"),  # though their mean is not, by a rounding
        (np.arange(9.0), "9 log-odds: two groups need 10"),
        (np.array([np.nan, *range(20)]), "finite"),
    ],
)
def test_where_no_two_groups_are_nothing_is_found(values, match):
    with pytest.raises(ValueError, match=match):
        fit_unlabelled(values)
