"""Matching against brute force, and scores on pairs against scikit-learn and a known case."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from jxr.evaluation.matched import Pairs, match_pairs, matched_scores


def by_brute_force(labels, nuisance, caliper):
    """Takes the closest pair that is left, again and again."""
    unit = np.sqrt((nuisance[labels == 0].var() + nuisance[labels == 1].var()) / 2)
    left = [set(np.flatnonzero(labels == label).tolist()) for label in (0, 1)]
    pairs = []
    while all(left):
        distance, i, j = min(
            (abs(nuisance[i] - nuisance[j]), i, j) for i in left[0] for j in left[1]
        )
        if distance / unit > caliper:
            break
        left[0].remove(i)
        left[1].remove(j)
        pairs.append((i, j))
    return pairs


@pytest.mark.parametrize("caliper", [0.01, 0.1, 5.0])
@pytest.mark.parametrize("decimals", [8, 1])  # rounded: many distances are equal
def test_pairs_are_those_of_brute_force(caliper, decimals):
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 2, 60)
    # Quarters are exact in binary, so that equal distances are equal in both computations.
    nuisance = generator.normal(labels * 1.0, 1.0).round(decimals)
    nuisance = np.round(nuisance * 4) / 4 if decimals == 1 else nuisance
    pairs = match_pairs(labels, nuisance, caliper)
    expected = by_brute_force(labels, nuisance, caliper)
    assert list(zip(pairs.negative, pairs.positive, strict=True)) == expected
    again = match_pairs(labels, nuisance, caliper)
    assert (again.negative == pairs.negative).all()


def test_every_image_of_the_smaller_class_is_matched_without_a_limit():
    labels = np.repeat([0, 1], (5, 9))
    pairs = match_pairs(labels, np.random.default_rng(1).random(14), 1e9)
    assert sorted(pairs.negative) == [0, 1, 2, 3, 4]
    assert len(set(pairs.positive)) == 5
    assert (labels[pairs.positive] == 1).all()


def test_by_hand():
    labels = np.array([0, 0, 0, 1, 1])
    nuisance = np.array([0.0, 2.0, 7.0, 2.5, 30.0])
    pairs = match_pairs(labels, nuisance, caliper=0.1)
    assert (pairs.negative, pairs.positive) == (np.array([1]), np.array([3]))
    unit = np.sqrt((26 / 3 + 13.75**2) / 2)  # variances about the means 3 and 16.25
    assert pairs.smd_before == pytest.approx(13.25 / unit)
    assert pairs.smd_after == pytest.approx(0.5 / unit)


def test_a_pair_may_be_as_far_apart_as_the_caliper():
    """Both classes have a standard deviation of 2, and neighbours are 1 apart."""
    labels, nuisance = np.array([0, 0, 1, 1]), np.array([0.0, 4.0, 1.0, 5.0])
    assert len(match_pairs(labels, nuisance, 0.5).negative) == 2
    with pytest.raises(ValueError, match="no two images"):
        match_pairs(labels, nuisance, 0.499)


def test_equal_numbers_are_matched_in_order():
    pairs = match_pairs(np.array([1, 0, 0, 1, 1]), np.ones(5), 0.1)
    assert list(zip(pairs.negative, pairs.positive, strict=True)) == [(1, 0), (2, 3)]
    assert pairs.smd_before == pairs.smd_after == 0


def test_no_pair_is_an_error():
    with pytest.raises(ValueError, match=r"no two images .* caliper of 0.1"):
        match_pairs(np.array([0, 0, 1, 1]), np.array([0.0, 1.0, 8.0, 9.0]), 0.1)


def test_what_cannot_be_matched_is_refused():
    with pytest.raises(ValueError, match="NaN"):
        match_pairs(np.array([0, 1, 1]), np.array([0.0, np.nan, 1.0]), 1.0)
    with pytest.raises(ValueError, match="only one class"):
        match_pairs(np.array([1, 1]), np.array([0.0, 1.0]), 1.0)


def test_a_classifier_that_sees_only_the_nuisance_is_left_with_nothing():
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 600)
    nuisance = generator.normal(labels * 1.5, 1.0)
    finding = generator.normal(labels * 1.5, 1.0)
    pairs = match_pairs(labels, nuisance, 0.05)
    assert pairs.smd_before > 1
    assert abs(pairs.smd_after) < 0.01
    log_odds = np.stack([nuisance - 0.75, finding - 0.75])
    assert roc_auc_score(labels, nuisance) > 0.8
    assert matched_scores(pairs, log_odds[:1], samples=100)["auc"] == pytest.approx(0.5, abs=0.01)
    # What has nothing to do with the nuisance stays as it is.
    found = matched_scores(pairs, log_odds[1:], samples=400)
    low, high = found["auc_ci95"]
    assert low < roc_auc_score(labels, finding) < high


def test_scores_are_those_of_the_images_in_pairs():
    generator = np.random.default_rng(3)
    labels = generator.integers(0, 2, 80)
    log_odds = generator.normal(labels - 0.5, 1.0, (2, 80))
    pairs = match_pairs(labels, generator.random(80), 0.2)
    rows = np.concatenate([pairs.negative, pairs.positive])
    found = matched_scores(pairs, log_odds, samples=200)
    assert found["n"] == len(rows)
    areas = [roc_auc_score(labels[rows], one[rows]) for one in log_odds]
    assert found["auc"] == pytest.approx(np.mean(areas))
    right = (log_odds[:, rows] >= 0) == labels[rows]
    assert found["accuracy"] == pytest.approx(right.mean())
    # Half of the images are positive.
    assert found["accuracy"] == pytest.approx((found["sensitivity"] + found["specificity"]) / 2)
    assert found["accuracy_ci95"][0] < found["accuracy"] < found["accuracy_ci95"][1]


def test_interval_draws_patients():
    """Two images a patient, both right or both wrong: accuracy varies as that of n / 2 coins."""
    pairs = Pairs(np.random.default_rng(4).permutation(200), np.arange(200, 400), 0.0, 0.0)
    patients = np.arange(400) // 2
    log_odds = np.where(patients % 2, 1.0, -1.0) * np.repeat([-1.0, 1.0], 200)
    found = matched_scores(pairs, log_odds[None], patients=patients, samples=4000)
    low, high = found["accuracy_ci95"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 / 200), rel=0.05)
    low, high = matched_scores(pairs, log_odds[None], samples=4000)["accuracy_ci95"]
    assert (high - low) / 2 == pytest.approx(1.96 * np.sqrt(0.25 / 400), rel=0.05)


def test_log_odds_of_0_are_positive_in_the_interval_too():
    """Of a single pair: half of all resamples have one class only and are drawn anew."""
    pairs = Pairs(np.array([1]), np.array([0]), 0.0, 0.0)
    found = matched_scores(pairs, np.array([[0.0, -1.0]]), samples=200)
    assert found["accuracy"] == 1
    assert found["accuracy_ci95"] == [1, 1]


def test_the_classes_weigh_the_same_in_every_resample():
    """All positives right, all negatives wrong: one half, whatever the resample's mix."""
    pairs = Pairs(np.arange(50), np.arange(50, 100), 0.0, 0.0)
    found = matched_scores(pairs, np.ones((1, 100)), patients=np.arange(100) // 5, samples=200)
    assert found["accuracy_ci95"] == [0.5, 0.5]
