"""Arrays of a wrong shape or kind are refused: NumPy would broadcast them to a wrong number."""

import jaxtyping
import numpy as np
import pytest

from jxr.evaluation import (
    accuracy,
    auc,
    calibrate,
    coverage,
    mcnemar,
    mse,
    paired_difference,
    psnr,
    roc,
    roc_band,
    score,
    seed_mean_interval,
    ssim,
)

LABELS, SCORES = np.array([0, 1, 1, 0]), np.array([0.2, 0.9, 0.4, 0.1])
RIGHT = LABELS == 1
IMAGES = np.full((2, 16, 16, 1), 0.5)
BOUND = calibrate(IMAGES, IMAGES)
MISUSES = [
    (r"\(4,\) and probabilities of shape \(4, 1\)", lambda: accuracy(LABELS, SCORES[:, None])),
    ("labels must be a NumPy array, not list", lambda: accuracy(LABELS.tolist(), SCORES)),
    (r"labels of shape \(4, 1\)", lambda: auc(LABELS[:, None], SCORES)),
    (r"of shape \(4, 2\)", lambda: score(LABELS, np.stack([1 - SCORES, SCORES], axis=-1))),
    (r"of shape \(3,\)", lambda: roc(LABELS, SCORES[:3])),
    (r"not the shape \(4,\)", lambda: seed_mean_interval(LABELS, SCORES, auc)),
    (r"not the shape \(4,\)", lambda: roc_band(LABELS, SCORES, np.linspace(0, 1, 3))),
    (r"not the shape \(4,\)", lambda: paired_difference(LABELS, SCORES, SCORES, accuracy)),
    (r"not the shapes \(4,\) and \(4, 1\)", lambda: mcnemar(RIGHT, RIGHT[:, None])),
    (r"\(2, 16, 16, 1\) and \(2, 16, 16\)", lambda: mse(IMAGES, IMAGES[..., 0])),
    (r"\(16, 16, 1\) and", lambda: ssim(IMAGES[0], IMAGES[0])),
    ("not uint8", lambda: psnr(IMAGES, (IMAGES * 255).astype(np.uint8))),
    (r"\(2, 16, 16\) and", lambda: calibrate(IMAGES[..., 0], IMAGES)),
    (r"\(1, 16, 16\) and", lambda: coverage(BOUND, IMAGES[:1, ..., 0], IMAGES[:1])),
    ("not uint8", lambda: coverage(BOUND, (IMAGES * 255).astype(np.uint8), IMAGES)),
]


@pytest.mark.parametrize(("message", "call"), MISUSES, ids=[f"{i}" for i in range(len(MISUSES))])
def test_arrays_that_do_not_fit_are_refused(message, call, monkeypatch):
    # Off, as for users: types hold these back before the function itself can.
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)
    with pytest.raises(ValueError, match=message):
        call()
