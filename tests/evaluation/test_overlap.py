"""Overlap weights: classes alike in the nuisance, and the weighted AUC against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

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
