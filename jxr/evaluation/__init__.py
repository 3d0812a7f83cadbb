"""Scores, intervals and paired tests, in float64 on the host."""

from jxr.evaluation.calibration import (
    Reliability,
    Scaling,
    fit_scaling,
    fit_unlabelled,
    reliability,
)
from jxr.evaluation.classification import (
    Scores,
    accuracy,
    auc,
    roc,
    score,
    threshold_at_sensitivity,
)
from jxr.evaluation.conformal import ErrorBound, calibrate, coverage, error_map
from jxr.evaluation.images import mse, psnr, restoration_scores, ssim
from jxr.evaluation.intervals import (
    bootstrap_interval,
    roc_band,
    seed_mean_interval,
)
from jxr.evaluation.paired import Difference, McNemar, mcnemar, paired_difference

__all__ = [
    "Difference",
    "ErrorBound",
    "McNemar",
    "Reliability",
    "Scaling",
    "Scores",
    "accuracy",
    "auc",
    "bootstrap_interval",
    "calibrate",
    "coverage",
    "error_map",
    "fit_scaling",
    "fit_unlabelled",
    "mcnemar",
    "mse",
    "paired_difference",
    "psnr",
    "reliability",
    "restoration_scores",
    "roc",
    "roc_band",
    "score",
    "seed_mean_interval",
    "ssim",
    "threshold_at_sensitivity",
]
