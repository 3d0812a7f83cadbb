"""Rows of the tables, and log-odds from a head."""

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, logit, softmax

from jxr.config import BlurConfig, HeadConfig, UNetConfig, WeightsConfig
from jxr.evaluation import (
    accuracy,
    auc,
    mcnemar,
    paired_difference,
    roc_band,
    seed_mean_interval,
)
from jxr.evaluation.matched import match_pairs, matched_scores
from jxr.models import apply, split
from jxr.studies.binary_tasks import Examples
from jxr.studies.classification.controls_study import matched_row
from jxr.studies.classifiers import (
    band_row,
    classification_row,
    head_recipe,
    paired_differences,
    paired_row,
    predict,
    roc_row,
)
from jxr.studies.restorers import unet_recipe
from jxr.training.tasks import build_head


def test_only_the_report_s_protocol_is_called_report():
    imagenet = WeightsConfig()
    assert head_recipe(HeadConfig(), imagenet) == "report"
    assert head_recipe(HeadConfig(), WeightsConfig(kind="random")) != "report"
    wide = head_recipe(HeadConfig(hidden=(4096, 4096)), imagenet)
    assert wide == "imagenet-head4096-4096-dropout0.5-epochs10"
    linear = head_recipe(HeadConfig(hidden=()), imagenet)
    assert linear == "imagenet-headlinear-dropout0.5-epochs10"


def test_recipes_tell_what_changes_results_and_not_how_memory_is_saved():
    head, unet = HeadConfig(), UNetConfig()
    parts, rounded = (
        {"schedule": dataclasses.replace(head.schedule, **change)}
        for change in (
            {"accumulate": 4, "log_every": 1, "checkpoint_every": 2},
            {"precision": "bfloat16"},
        )
    )
    assert head_recipe(dataclasses.replace(head, **parts), WeightsConfig()) == "report"
    recipe = head_recipe(dataclasses.replace(head, **rounded), WeightsConfig())
    assert recipe == "imagenet-head256-dropout0.5-epochs10-bfloat16"
    schedule = dataclasses.replace(unet.schedule, accumulate=4)
    saving = dataclasses.replace(unet, remat=True, schedule=schedule)
    assert unet_recipe(saving) == unet_recipe(unet) == "width64-depth4-residual-epochs30"
    schedule = dataclasses.replace(unet.schedule, precision="bfloat16")
    assert unet_recipe(dataclasses.replace(unet, schedule=schedule)).endswith("30-bfloat16")


def test_predictions_are_the_log_odds_of_the_head():
    config = HeadConfig(hidden=(4,))
    head = build_head(config, 6)(jax.random.key(0))
    graphdef, params = split(head)
    features = np.random.default_rng(0).normal(size=(21, 6)).astype(np.float32) * 50
    logits = np.asarray(apply(graphdef, params, jnp.asarray(features)), np.float64)
    found = predict(config, params, features)
    np.testing.assert_allclose(expit(found), softmax(logits, axis=1)[:, 1], rtol=1e-5, atol=1e-12)
    # Features this large round probabilities to 1; the log-odds still tell the images apart.
    far = predict(config, params, features * 1000)
    assert len(set(far)) == len(features) > len(set(expit(far)))


def test_a_row_has_means_over_seeds_and_paired_counts_are_by_image():
    chosen = Examples(np.arange(4), np.array([0, 0, 1, 1]), np.array(["a", "b", "c", "c"]))
    log_odds = logit(np.array([[0.1, 0.6, 0.9, 0.4], [0.1, 0.2, 0.9, 0.8]]))
    row = classification_row(
        chosen, log_odds, samples=100, blur=BlurConfig(), task="t", seeds=[0, 1]
    )
    assert row["accuracy"] == pytest.approx((0.5 + 1) / 2)
    assert row["sensitivity"] == pytest.approx((0.5 + 1) / 2)
    assert row["specificity"] == pytest.approx((0.5 + 1) / 2)
    assert row["auc"] == pytest.approx((0.75 + 1) / 2)
    assert (row["n"], row["patients"]) == (4, 3)
    paired = paired_row(chosen, log_odds[0], log_odds[1], seed=0)
    assert (paired["b"], paired["c"], paired["n"]) == (0, 2, 4)
    assert paired["p_value"] == pytest.approx(0.5)


def test_a_roc_row_rises_along_the_positives():
    labels, log_odds = np.array([0, 1, 0, 1]), np.array([-2.0, -1.0, 0.5, 3.0])
    row = roc_row(labels, log_odds, seed=3)
    assert (row["fpr"], row["tpr"]) == ([0, 0, 0.5, 0.5, 1], [0, 0.5, 0.5, 1, 1])
    assert row["seed"] == 3


def test_every_interval_and_test_is_by_patients():
    generator = np.random.default_rng(2)
    labels = generator.integers(0, 2, 60)
    first, second = generator.normal(size=(2, 3, 60)) + labels - 0.5
    patients = np.repeat([f"patient{number}" for number in range(12)], 5)
    chosen = Examples(np.arange(60), labels, patients)
    known = {"patients": patients, "samples": 100}
    row = classification_row(chosen, first, samples=100, blur=BlurConfig())
    assert row["auc_ci95"] == list(seed_mean_interval(labels, first, auc, **known))
    decided = partial(accuracy, threshold=0.0)
    assert row["accuracy_ci95"] == list(seed_mean_interval(labels, first, decided, **known))
    row = paired_differences(chosen, first, second, samples=100)
    found = paired_difference(labels, first, second, auc, **known)
    assert row["auc_difference_ci95"] == [found.low, found.high]
    row = band_row(chosen, first, samples=100)
    band = roc_band(labels, first, np.array(row["fpr"]), **known)
    np.testing.assert_array_equal(row["tpr_ci95"], band)
    right = ((one[0] > 0) == (labels == 1) for one in (first, second))
    assert paired_row(chosen, first[0], second[0])["p_value"] == mcnemar(*right, patients).p_value
    pairs = match_pairs(labels, generator.random(60), 1.0)
    row = matched_row(pairs, chosen, first, samples=100, blur=BlurConfig())
    assert row["auc_ci95"] == matched_scores(pairs, first, **known)["auc_ci95"]
