"""Where classifiers break, by hand and against a bootstrap written out."""

import numpy as np
import pytest

from jxr.studies.binary_tasks import Examples
from jxr.studies.sweep.breaks import LOSSES, break_points, break_rows

SIGMAS = (0.0, 1.0, 2.0, 4.0)


def test_break_points_by_hand():
    scores = np.array(
        [[0.9, 0.9, 0.8, 0.5], [0.9, 0.9, 0.8, 0.5], [0.9, 0.95, 0.9, 0.85], [0.8, 0.9, 0.9, 0.9]]
    )
    # In the first fall, in the second, the least score itself, from the beginning.
    found = break_points(np.array(SIGMAS), scores, np.array([0.85, 0.65, 0.85, 0.85]))
    np.testing.assert_allclose(found, [1.5, 3.0, np.inf, 0.0])
    risen = break_points(np.array(SIGMAS), np.array([0.9, 0.8, 0.9, 0.8]), np.array(0.85))
    assert risen == pytest.approx(0.5)


def predictions(generator, labels, steepness):
    """Log-odds of two seeds, which say less of the label the larger sigma is."""
    use = 2.5 * np.exp(-steepness * np.array(SIGMAS))[:, None, None]
    noise = generator.normal(size=(1, 2, labels.size))  # of the image and seed, at all sigmas
    return use * (2 * labels - 1) + 1.5 * noise


def first_below(scores, least):
    """On a fine grid, so to a thousandth; the last sigma if it is not below."""
    grid = np.linspace(SIGMAS[0], SIGMAS[-1], 4001)
    below = np.interp(grid, SIGMAS, scores) < least
    return grid[below.argmax()] if below.any() else SIGMAS[-1]


def written_out(labels, curves, sharpest, images):
    """Break points and shift of one resample, by score."""
    y = labels[images]
    metrics = {
        "accuracy": lambda said: np.mean((said >= 0) == (y == 1)),
        "auc": lambda said: np.mean(said[y == 1][:, None] > said[y == 0]),
    }
    found = {}
    for name, metric in metrics.items():
        mean = lambda rows, metric=metric: np.mean([metric(row[images]) for row in rows])  # noqa: E731
        least = mean(sharpest) - LOSSES[name]
        at = [first_below([mean(one) for one in curve], least) for curve in curves.values()]
        found[name] = [*at, at[1] - at[0]]
    return found


def test_break_points_and_intervals_against_a_bootstrap_written_out():
    generator = np.random.default_rng(3)
    patients = np.repeat(np.arange(60), generator.integers(1, 4, 60))
    labels = patients % 2
    chosen = Examples(np.arange(labels.size), labels, patients)
    drawn_by = np.random.default_rng(5)
    blurred = predictions(drawn_by, labels, 0.5)
    curves = {"blurred": blurred, "recovered": predictions(drawn_by, labels, 0.2)}
    order = np.array([2, 0, 3, 1])  # rows need not rise
    mixed = {kind: curve[order] for kind, curve in curves.items()}
    sigmas = [SIGMAS[place] for place in order]
    rows = break_rows(chosen, sigmas, mixed, blurred[0], samples=1000, task="t", noise=0.0)
    assert [row["test_on"] for row in rows] == ["blurred", "recovered"]
    assert all((row["task"], row["noise"]) == ("t", 0.0) for row in rows)

    whole = written_out(labels, curves, blurred[0], np.arange(labels.size))
    owned = [np.flatnonzero(patients == one) for one in range(60)]
    resamples = [
        written_out(
            labels, curves, blurred[0],
            np.concatenate([owned[one] for one in generator.integers(0, 60, 60)]),
        )
        for _ in range(600)
    ]  # fmt: skip
    for name in LOSSES:
        drawn = np.quantile([one[name] for one in resamples], [0.025, 0.975], axis=0)
        told = [row[f"{name}_break"] for row in rows] + [rows[1][f"{name}_shift"]]
        assert told == pytest.approx(whole[name], abs=2e-3)
        ends = [row[f"{name}_break_ci95"] for row in rows] + [rows[1][f"{name}_shift_ci95"]]
        for place, pair in enumerate(ends):
            for end, wanted in zip(pair, drawn[:, place], strict=True):
                # Two bootstraps of some hundred draws.
                assert (4.0 if end is None else end) == pytest.approx(wanted, abs=0.25)
        assert drawn[1, 0] - drawn[0, 0] > 0.5  # so that 0.25 tells something


def test_what_never_breaks_has_no_number_and_no_shift():
    labels = np.arange(40) % 2
    chosen = Examples(np.arange(40), labels, np.arange(40))
    perfect = np.broadcast_to((2.0 * labels - 1), (len(SIGMAS), 2, 40))
    wrong = np.stack([perfect[0], perfect[0], -perfect[0], -perfect[0]])
    rows = break_rows(
        chosen, SIGMAS, {"blurred": wrong, "recovered": perfect}, perfect[0], samples=100
    )
    assert rows[0]["auc_break"] == pytest.approx(1.02) == rows[0]["auc_break_ci95"][0]
    assert rows[0]["accuracy_break"] == pytest.approx(1.05)
    for score in LOSSES:
        assert rows[1][f"{score}_break"] is rows[1][f"{score}_shift"] is None
        assert rows[1][f"{score}_break_ci95"] == rows[1][f"{score}_shift_ci95"] == [None, None]


def test_a_single_sigma_may_be_where_they_break():
    labels = np.arange(40) % 2
    chosen = Examples(np.arange(40), labels, np.arange(40))
    perfect = np.broadcast_to(2.0 * labels - 1, (1, 2, 40))
    curves = {"blurred": -perfect, "recovered": perfect}
    first, second = break_rows(chosen, (2.0,), curves, perfect[0], samples=100)
    for score in LOSSES:
        assert (first[f"{score}_break"], first[f"{score}_break_ci95"]) == (2.0, [2.0, 2.0])
        assert (second[f"{score}_break"], second[f"{score}_break_ci95"]) == (None, [None, None])
