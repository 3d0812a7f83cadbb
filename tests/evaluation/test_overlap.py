"""Overlap weights: classes alike in the nuisance, and the weighted AUC against scikit-learn."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.model_selection import GroupKFold

from jxr.evaluation import auc
from jxr.evaluation.overlap import equal_classes, overlap_weights


@pytest.fixture
def shortcut():
    """A nuisance that differs between the classes, and a finding that does not depend on it."""
    rng = np.random.default_rng(0)
    labels = (rng.random(3000) < 0.7).astype(int)
    nuisance = rng.normal(size=(3000, 3)) + labels[:, None] * np.array([1.2, 0.5, 0.0])
    finding = rng.normal(size=3000) + labels
    return labels, nuisance, finding, np.arange(3000) // 2


def test_weighted_classes_are_alike_in_the_nuisance(shortcut):
    labels, nuisance, _, groups = shortcut
    weights = overlap_weights(labels, nuisance, groups)
    means = [
        np.average(nuisance[labels == label], axis=0, weights=weights[labels == label])
        for label in (0, 1)
    ]
    np.testing.assert_allclose(means[0], means[1], atol=0.1)
    assert weights[labels == 0].sum() == pytest.approx(0.5)
    assert weights[labels == 1].sum() == pytest.approx(0.5)


@pytest.mark.parametrize("patients", [5, 30])
def test_weights_are_by_a_model_that_has_not_seen_the_patient(patients):
    """Fold by fold; the features are of unlike units, and those of a patient are alike."""
    rng = np.random.default_rng(1)
    groups = rng.permutation(np.arange(120) % patients)
    labels = rng.integers(0, 2, 120)
    nuisance = rng.normal(size=(patients, 2))[groups] + labels[:, None]
    nuisance = (nuisance + rng.normal(size=(120, 2))) * np.array([0.01, 100])
    expected = np.zeros(120)
    for known, held in GroupKFold(5).split(nuisance, groups=groups):
        assert not set(groups[known]) & set(groups[held])
        mean, deviation = nuisance[known].mean(axis=0), nuisance[known].std(axis=0)
        model = LogisticRegression(C=0.1)
        model.fit((nuisance[known] - mean) / deviation, labels[known])
        positive = model.predict_proba((nuisance[held] - mean) / deviation)[:, 1]
        expected[held] = np.where(labels[held] == 1, 1 - positive, positive)
    for label in (0, 1):
        expected[labels == label] /= 2 * expected[labels == label].sum()
    np.testing.assert_allclose(overlap_weights(labels, nuisance, groups), expected, rtol=1e-4)


def test_a_shortcut_is_worth_nothing_and_a_finding_as_much_as_before(shortcut):
    labels, nuisance, finding, groups = shortcut
    weights = overlap_weights(labels, nuisance, groups)
    assert auc(labels, nuisance[:, 0]) > 0.75
    assert roc_auc_score(labels, nuisance[:, 0], sample_weight=weights) < 0.54
    assert roc_auc_score(labels, finding, sample_weight=weights) == pytest.approx(
        float(auc(labels, finding)), abs=0.03
    )


def test_too_few_groups_are_refused(shortcut):
    labels, nuisance, _, groups = shortcut
    with pytest.raises(ValueError, match="are of 4 patients: 5 are needed"):
        overlap_weights(labels, nuisance, groups % 4)
    groups = np.where(labels == 1, 0, groups)
    with pytest.raises(ValueError, match="one class are of too few patients"):
        overlap_weights(labels, nuisance, groups)


def test_equal_classes():
    np.testing.assert_allclose(equal_classes(np.array([0, 0, 1])), [0.25, 0.25, 0.5])
    np.testing.assert_allclose(
        equal_classes(np.array([0, 1, 1]), np.array([3.0, 1.0, 4.0])), [0.5, 0.1, 0.4]
    )
    found = equal_classes(np.array([0, 1, 1]), np.float32([3.0, 1.0, 4.0]))
    np.testing.assert_allclose(found, [0.5, 0.1, 0.4], rtol=1e-15)
