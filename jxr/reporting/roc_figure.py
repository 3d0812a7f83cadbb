"""Figure 4: ROC curves with 95 % intervals."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from jxr.reporting.drawing import COLOURS, DASHES, new_figure, plain, tidy
from jxr.reporting.labels import Row, arm, name

# The two questions of the report: train_on, test_on, restorer of the classifiers that answer each.
# The first is the report's Figure 4.
QUESTIONS = {
    "trained and tested on the same kind": (
        ("original", "original", None),
        ("blurred", "blurred", None),
    ),
    "trained on original images": (
        ("original", "original", None),
        ("original", "blurred", None),
        ("original", "recovered", "unet"),
        ("original", "recovered", "wiener"),
        ("original", "recovered", "wiener_net"),
    ),
}
STYLES = {key: i for i, key in enumerate(dict.fromkeys(sum(QUESTIONS.values(), ())))}

IDENTITY = ("task", "recipe", "train_on", "test_on", "restorer")


def roc_figure(
    rows: Sequence[Row], classification: Sequence[Row] = (), bands: Sequence[Row] = ()
) -> Figure:
    """ROC curves, one row of panels a task, one panel a question, one thin line a seed.

    Args:
        rows: `roc` of results.json; classifiers that are not in `QUESTIONS` are left out.
        classification: of results.json, for the AUC's interval. Without a row of the same
            classifier, the legend gives the mean area under the curves alone.
        bands: `roc_band` of results.json: `fpr` and `tpr_ci95`, two lists, for a classifier. Those
            without one have no band; results from before bands were made have none at all.

    Returns:
        The panels.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    figure = new_figure(9.0, 4.5 * len(tasks))
    panels = figure.subplots(len(tasks), len(QUESTIONS), squeeze=False)
    for line, task in zip(panels, tasks, strict=True):
        for axes, (question, keys) in zip(line, QUESTIONS.items(), strict=True):
            axes.plot([0, 1], [0, 1], color="#999999", linewidth=0.8)
            for key in keys:
                curves = [row for row in rows if identity(row) == (task, *key)]
                if curves:
                    draw(axes, curves, STYLES[key], classification, bands)
            axes.set(
                title=f"{plain(name(task))}\n{question}", xlabel="false positive rate",
                ylabel="sensitivity", aspect="equal", xlim=(-0.02, 1.02), ylim=(-0.02, 1.02),
            )  # fmt: skip
            if axes.get_legend_handles_labels()[0]:
                axes.legend(
                    loc="lower right", title="trained → tested on, AUC [95 %]", fontsize=7,
                    title_fontsize=8, framealpha=0.8, edgecolor="none", handlelength=1.6,
                )  # fmt: skip
            tidy(axes)
    return figure


def identity(row: Row) -> tuple[Any, ...]:
    """What tells a classifier and its test images from the others, the recipe aside."""
    return row["task"], row["train_on"], row["test_on"], row["restorer"]


def draw(
    axes: Axes,
    curves: Sequence[Row],
    number: int,
    classification: Sequence[Row],
    bands: Sequence[Row],
) -> None:
    """Draws one classifier: a line a seed, the band behind them, the AUC in the legend."""
    colour, dashes = COLOURS[number], DASHES[number]
    for band in same(curves[0], bands):
        axes.fill_between(band["fpr"], *band["tpr_ci95"], color=colour, alpha=0.18, linewidth=0)
    for row in curves:
        width = 1.8 / len(curves) ** 0.5
        axes.plot(row["fpr"], row["tpr"], color=colour, ls=dashes, linewidth=width)
    area = f"{np.mean([np.trapezoid(row['tpr'], row['fpr']) for row in curves]):.3f}"
    scores = same(curves[0], classification)
    if len(scores) == 1:
        low, high = scores[0]["auc_ci95"]
        area = f"{scores[0]['auc']:.3f} [{low:.3f}, {high:.3f}]"
    label = f"{plain(arm(curves[0]))}  {area}"
    axes.plot([], [], color=colour, ls=dashes, linewidth=1.8, label=label)


def same(curve: Row, rows: Sequence[Row]) -> list[Row]:
    """The rows of the same classifier, by all of `IDENTITY` that both name."""
    return [
        row
        for row in rows
        if all(row[key] == curve[key] for key in IDENTITY if key in row and key in curve)
    ]
