"""The chart and tables of the sweep over sigma: which numbers belong to which classifiers."""

from jxr.reporting.labels import DASH
from jxr.reporting.sweep_figure import break_table, score_table, shift_table, sigma_sweep_figure
from tests.reporting.fake_results import classification_row

SIGMAS = (0.0, 1.0)
BREAKS = {
    "auc_break": None, "auc_break_ci95": [0.9, None], "accuracy_break": 1.0,
    "accuracy_break_ci95": [0.5, 1.25], "auc_shift": None, "auc_shift_ci95": [None, None],
    "accuracy_shift": -0.5, "accuracy_shift_ci95": [-1.0, 0.25],
}  # fmt: skip


def rows(rates):
    """One score for each rate, so that a number tells whose it is."""
    return [
        classification_row(
            train_sigma=0.0, learning_rate=rate, test_on=test_on, sigma=sigma, auc=0.9 - 100 * rate,
            auc_ci95=[0.5, 1.0],
        )
        for rate in rates
        for test_on in ("blurred", "recovered")
        for sigma in SIGMAS
    ]  # fmt: skip


def test_each_learning_rate_has_panels_and_rows_of_its_own():
    found = rows((1e-4, 1e-3))
    panels = sigma_sweep_figure({"classification": found}).axes
    auc = [axes for axes in panels if axes.get_title().endswith("AUC")]
    rates = [axes.get_title().split(":")[0].split()[-1] for axes in auc]
    assert rates == ["0.0001", "0.001"]
    for axes, score in zip(auc, (0.89, 0.8), strict=True):
        for line in axes.lines:
            assert list(line.get_xdata()) == list(SIGMAS)
            assert all(abs(y - score) < 1e-9 for y in line.get_ydata())

    zero = {f"{score}_difference": 0.0 for score in ("accuracy", "auc")}
    zero |= {f"{key}_ci95": [0.0, 0.0] for key in zero}
    breaks = [row | BREAKS for row in found]
    for table in (
        break_table(breaks), shift_table(breaks), score_table(found, [zero] * len(found)),
    ):  # fmt: skip
        assert {row[table.columns.index("Rate")] for row in table.rows} == {"0.0001", "0.001"}


def test_one_learning_rate_is_not_worth_a_word():
    found = rows((1e-4,))
    titles = [axes.get_title() for axes in sigma_sweep_figure({"classification": found}).axes]
    assert not [title for title in titles if "rate" in title]
    breaks = [row | BREAKS for row in found]
    assert "Rate" not in break_table(breaks).columns + shift_table(breaks).columns


def test_break_points_that_lie_beyond_are_dashes():
    row, *_ = rows((1e-4,))
    told = break_table([row | BREAKS]).rows[0][-2:]
    assert told == (f"{DASH} [0.90, {DASH}]", "1.00 [0.50, 1.25]")
    assert shift_table([row | BREAKS]).rows[0][-2:] == (DASH, "-0.50 [-1.00, 0.25]")
    assert not shift_table([row]).rows  # only rows of restored images have a shift
