"""At which sigma classifiers break, how far restoration moves that point, and how surely."""

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float64, Integer

from jxr.evaluation import bootstrap_interval
from jxr.evaluation.intervals import Metric, seed_means
from jxr.studies.binary_tasks import Examples
from jxr.studies.classifiers import METRICS

LOSSES = {"accuracy": 0.05, "auc": 0.02}  # from the sharpest images, that count as broken


def break_rows(
    chosen: Examples,
    sigmas: Sequence[float],
    curves: Mapping[str, Float64[np.ndarray, "sigmas seeds n"]],
    sharpest: Float64[np.ndarray, "seeds n"],
    *,
    samples: int,
    **identity: Any,
) -> list[dict[str, Any]]:
    """Returns at which sigma the scores of each kind of images have lost `LOSSES`.

    Each resample of patients meets the same images at all sigmas, so that what makes images easy
    or hard everywhere drops out.

    Args:
        chosen: The images.
        sigmas: Of their blur, in pixels, in any order.
        curves: Log-odds of class 1 at these sigmas, by kind of images: blurred, then restored.
        sharpest: The same classifiers on the sharpest images, which the loss counts from.
        samples: Number of resamples.
        **identity: Goes into the rows.

    Returns:
        A row for each kind. `auc_break`, and each end of `auc_break_ci95`, is None where that is
        beyond the last sigma. `auc_shift` is how far the last kind's point is above the first's,
        its interval counts points beyond the last sigma as there. The same of `accuracy`.
    """
    order = np.argsort(sigmas)
    rising = np.asarray(sigmas, np.float64)[order]
    ascending = [curve[order] for curve in curves.values()]
    rows = [{**identity, "test_on": kind} for kind in curves]
    once = np.ones((1, len(chosen.labels)), int)
    for name, metric in METRICS.items():
        found = partial(capped_breaks, name, metric, chosen.labels, rising, ascending, sharpest)
        points = found(once)[0]
        low, high = bootstrap_interval(
            found, len(chosen.labels), patients=chosen.patients, samples=samples
        )
        told = np.where(np.stack([points, low, high]) <= rising[-1], [points, low, high], np.nan)
        for place, row in enumerate(rows):
            point, *ends = (None if np.isnan(x) else float(x) for x in told[:, place])
            row |= {f"{name}_break": point, f"{name}_break_ci95": ends}
        broken = (points[:-1] <= rising[-1]).all()
        rows[-1] |= {
            f"{name}_shift": float(points[-1]) if broken else None,
            f"{name}_shift_ci95": [float(low[-1]), float(high[-1])] if broken else [None, None],
        }
    return rows


def capped_breaks(
    name: str,
    metric: Metric,
    labels: Integer[np.ndarray, " n"],
    sigmas: Float64[np.ndarray, " sigmas"],
    curves: Sequence[Float64[np.ndarray, "sigmas seeds n"]],
    sharpest: Float64[np.ndarray, "seeds n"],
    counts: Integer[np.ndarray, "resamples n"],
) -> Float64[np.ndarray, "resamples points"]:
    """Returns the break point of each curve, and their shift.

    A point beyond the last sigma is the next number to it: quantiles of infinities would be none.
    """
    beyond = np.nextafter(sigmas[-1], np.inf)
    start = seed_means(metric, labels, sharpest, counts)
    points = []
    for curve in curves:
        scores = [seed_means(metric, labels, one, counts) for one in curve]
        found = break_points(sigmas, np.stack(scores, axis=-1), start - LOSSES[name])
        points.append(np.where(np.isnan(start), np.nan, np.minimum(found, beyond)))
    return np.stack([*points, points[-1] - points[0]], axis=-1)


def break_points(
    sigmas: Float64[np.ndarray, " sigmas"],
    scores: Float64[np.ndarray, "*curves sigmas"],
    least: Float64[np.ndarray, "*curves"],
) -> Float64[np.ndarray, "*curves"]:
    """Returns the first sigma at which each score is below its least; infinity if it never is.

    Between two sigmas, which rise, the score is taken to be linear.
    """
    least = least[..., None]
    below = scores < least
    first = below.argmax(axis=-1, keepdims=True)
    last = np.maximum(first - 1, 0)  # that is not below, but where the first is
    before, after = (np.take_along_axis(scores, at, axis=-1) for at in (last, first))
    share = np.divide(before - least, before - after, out=np.zeros(first.shape), where=first > 0)
    found = sigmas[last] + share * (sigmas[first] - sigmas[last])
    return np.where(below.any(axis=-1), found[..., 0], np.inf)
