"""Figure 4: lines, bands and intervals, read back from the drawn artists."""

import numpy as np
import pytest

from jxr.reporting import roc_figure
from tests.reporting.fake_results import classification_row, fake_band, fake_results


def legend_texts(axes):
    return [text.get_text() for text in axes.get_legend().get_texts()]


def curves(axes):
    """The lines of more than two points: neither the diagonal nor the legend's."""
    return [line for line in axes.lines if len(line.get_xdata()) > 2]


def test_a_panel_for_each_task_and_question_and_a_line_for_each_seed():
    figure = roc_figure(fake_results()["roc"])
    assert [axes.get_title() for axes in figure.axes] == [
        "Normal vs pneumonia\ntrained and tested on the same kind",
        "Normal vs pneumonia\ntrained on original images",
        "Bacterial vs viral\ntrained and tested on the same kind",
        "Bacterial vs viral\ntrained on original images",
    ]
    # Two seeds of two and of five classifiers; blurred on original is left out.
    assert [len(curves(axes)) for axes in figure.axes] == [4, 10, 4, 10]


@pytest.mark.parametrize("seeds", [1, 3])
def test_any_number_of_seeds(seeds):
    rows = [row | {"seed": seed} for seed in range(seeds) for row in fake_results()["roc"][:1]]
    for axes in roc_figure(rows).axes:
        assert len(curves(axes)) == seeds


def test_without_classification_the_legend_gives_the_mean_area():
    rows = fake_results()["roc"]
    area = np.mean([np.trapezoid(row["tpr"], row["fpr"]) for row in rows[:2]])
    assert legend_texts(roc_figure(rows).axes[0])[0] == f"original → original  {area:.3f}"


def test_the_legend_gives_the_interval_of_the_same_classifier():
    rows = [row | {"recipe": "report"} for row in fake_results()["roc"]]
    classification = [
        classification_row(auc=0.5, auc_ci95=[0.4, 0.6], recipe="other"),
        classification_row(auc=0.7, auc_ci95=[0.6, 0.8], task="bacterial_vs_viral"),
        classification_row(auc=0.9, auc_ci95=[0.8625, 0.95]),
    ]
    first, _, second, _ = roc_figure(rows, classification).axes
    assert legend_texts(first)[0] == "original → original  0.900 [0.863, 0.950]"
    assert legend_texts(second)[0] == "original → original  0.700 [0.600, 0.800]"
    assert "[" not in legend_texts(first)[1]


def test_a_row_that_could_be_any_of_two_gives_no_interval():
    rows = fake_results()["roc"][:1]
    axes = roc_figure(rows, [classification_row(sigma=1.0), classification_row(sigma=2.0)]).axes[0]
    assert "[" not in legend_texts(axes)[0]


def test_the_band_is_that_of_its_classifier():
    band = fake_band(test_on="blurred")
    _, axes, *others = roc_figure(fake_results()["roc"], bands=[band]).axes
    (drawn,) = axes.collections
    points = drawn.get_paths()[0].vertices
    np.testing.assert_allclose(
        sorted({y for x, y in points.tolist() if abs(x - 0.5) < 1e-9}), [0.5**0.3, 0.5**0.1]
    )
    line = next(line for line in axes.lines if line.get_label().startswith("original → blurred"))
    np.testing.assert_allclose(drawn.get_facecolor()[0][:3], to_rgb(line.get_color()))
    assert not any(panel.collections for panel in others)


def to_rgb(colour):
    return [int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)]


def test_names_of_own_tasks_are_never_formulas():
    row = fake_results()["roc"][0] | {"task": "a$x_vs_b$\\frac"}
    figure = roc_figure([row])
    figure.draw_without_rendering()
    assert figure.axes[0].get_title().startswith("a\\$x vs b\\$\\frac")
