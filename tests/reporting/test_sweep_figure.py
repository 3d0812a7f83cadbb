"""The chart and tables of the sweep over sigma: which numbers belong to which classifiers."""

from jxr.reporting.sweep_figure import break_table, score_table, sigma_sweep_figure
from tests.reporting.fake_results import classification_row

SIGMAS = (0.0, 1.0)


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
    breaks = [row | {"auc_break": None, "accuracy_break": 1.0} for row in found]
    for table in (break_table(breaks), score_table(found, [zero] * len(found))):
        assert {row[table.columns.index("Rate")] for row in table.rows} == {"0.0001", "0.001"}


def test_one_learning_rate_is_not_worth_a_word():
    found = rows((1e-4,))
    titles = [axes.get_title() for axes in sigma_sweep_figure({"classification": found}).axes]
    assert not [title for title in titles if "rate" in title]
    breaks = [row | {"auc_break": None, "accuracy_break": 1.0} for row in found]
    assert "Rate" not in break_table(breaks).columns
