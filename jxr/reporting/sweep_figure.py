"""Scores over a grid of blur and noise: a chart, and tables."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import (
    COLOURS,
    DASHES,
    SHAPES,
    lines_of,
    new_figure,
    plain,
    save_figures,
    tidy,
)
from jxr.reporting.labels import SCORES, SIGMA, Row, name
from jxr.reporting.tables import Table, estimate, sections, tabulated, to_hundredths, without

KINDS = {"blurred": "blurred", "recovered": "restored"}


def sigma_sweep_figure(results: Mapping[str, Any]) -> Figure:
    """Scores over the sigma of the tested images, as they are and restored.

    Args:
        results: of `jxr.studies.sweep.study`.

    Returns:
        A row of panels for each task, training sigma and learning rate: accuracy and AUC at each
        noise, with 95 % bands; colours are kinds of images, dashes are noises.
    """
    rows = results["classification"]
    arms = list(dict.fromkeys(map(arm_of, rows)))
    several = len({rate for *_, rate in arms}) > 1
    noises = sorted({row["noise"] for row in rows})
    figure = new_figure(8.6, 2.6 * len(arms) + 0.9)
    panels = figure.subplots(len(arms), len(SCORES), sharex=True, squeeze=False)
    for line, arm in zip(panels, arms, strict=True):
        task, trained, rate = arm
        words = f"{SIGMA} {trained:g}" + (f", rate {rate:g}" if several else "")
        for axes, (score, title) in zip(line, SCORES.items(), strict=True):
            for colour, (kind, label) in enumerate(KINDS.items()):
                for dash, noise in enumerate(noises):
                    mine = sorted(
                        (
                            row
                            for row in rows
                            if (arm_of(row), row["test_on"], row["noise"]) == (arm, kind, noise)
                        ),
                        key=lambda row: row["sigma"],
                    )
                    turn = divmod(dash, len(DASHES))  # of noises that share a dash, shapes differ
                    x = [row["sigma"] for row in mine]
                    low, high = zip(*(row[f"{score}_ci95"] for row in mine), strict=True)
                    axes.fill_between(x, low, high, color=COLOURS[colour], alpha=0.1, linewidth=0)
                    axes.plot(
                        x, [row[score] for row in mine], color=COLOURS[colour], linewidth=1.2,
                        markersize=4, ls=DASHES[turn[1]], marker=SHAPES[2 * colour + sum(turn) % 2],
                        label=f"{label}, noise {noise:g}",
                    )  # fmt: skip
            heading = f"{plain(name(task))}, trained at {words}: {title}"
            axes.set_title(lines_of(heading, 50), fontsize=10)
            tidy(axes)
    for axes in panels[-1]:
        axes.set_xlabel(f"{SIGMA} of the tested images (pixels)")
    handles, labels = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def arm_of(row: Row) -> tuple[str, float, float | None]:
    """Which classifiers a row is of: task, training sigma, learning rate where it is one's own."""
    return row["task"], row["train_sigma"], row.get("learning_rate")


def break_table(rows: Sequence[Row]) -> Table:
    """At which sigma the classifiers break; a dash says beyond the last.

    Args:
        rows: `breaks` of a study's results.
    """
    records = [
        {
            "Task": name(row["task"]),
            f"{SIGMA} trained": f"{row['train_sigma']:g}",
            "Rate": f"{row['learning_rate']:g}",
            "Images": KINDS[row["test_on"]],
            "Noise": f"{row['noise']:g}",
            f"AUC breaks at {SIGMA} [95 %]": to_hundredths(row["auc_break"], row["auc_break_ci95"]),
            f"Accuracy breaks at {SIGMA} [95 %]": to_hundredths(
                row["accuracy_break"], row["accuracy_break_ci95"]
            ),
        }
        for row in rows
    ]
    table = tabulated(records, words=("Task", "Images"))
    return with_rate(table, rows)


def shift_table(rows: Sequence[Row]) -> Table:
    """How far restoration moves that sigma; a dash says that it has passed the last.

    Args:
        rows: `breaks` of a study's results.
    """
    restored = [row for row in rows if "auc_shift" in row]
    records = [
        {
            "Task": name(row["task"]),
            f"{SIGMA} trained": f"{row['train_sigma']:g}",
            "Rate": f"{row['learning_rate']:g}",
            "Noise": f"{row['noise']:g}",
            f"By AUC, in {SIGMA} [95 %]": to_hundredths(row["auc_shift"], row["auc_shift_ci95"]),
            f"By accuracy, in {SIGMA} [95 %]": to_hundredths(
                row["accuracy_shift"], row["accuracy_shift_ci95"]
            ),
        }
        for row in restored
    ]
    table = tabulated(records, words=("Task",))
    return with_rate(table, restored)


def score_table(rows: Sequence[Row], differences: Sequence[Row]) -> Table:
    """Every score, and how it differs from that on the sharpest images.

    Args:
        rows: `classification` of a study's results.
        differences: `differences` of them, in the same order.
    """
    table = Table(
        columns=(
            "Task", f"{SIGMA} trained", "Rate", "Images", "Noise", f"{SIGMA}", "Accuracy [95 %]",
            "Difference [95 %]", "AUC [95 %]", "Difference [95 %]",
        ),
        rows=[
            (
                name(row["task"]),
                f"{row['train_sigma']:g}",
                f"{row['learning_rate']:g}",
                KINDS[row["test_on"]],
                f"{row['noise']:g}",
                f"{row['sigma']:g}",
                estimate(row, "accuracy"),
                estimate(other, "accuracy_difference"),
                estimate(row, "auc"),
                estimate(other, "auc_difference"),
            )
            for row, other in zip(rows, differences, strict=True)
        ],
        words=("Task", "Images"),
    )  # fmt: skip
    return with_rate(table, rows)


def with_rate(table: Table, rows: Sequence[Row]) -> Table:
    """The table, without its learning rates if all are the same."""
    return table if len({row["learning_rate"] for row in rows}) > 1 else without(table, {"Rate"})


def write_sigma_sweep(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `figures/sweep.png` and `tables.md`.

    Args:
        results: of `jxr.studies.sweep.study`.
        folder: is made if need be.
    """
    save_figures({"sweep": sigma_sweep_figure(results)}, folder)
    tables = {
        "Where they break": break_table(results["breaks"]),
        "How far restoration moves that": shift_table(results["breaks"]),
        "All settings": score_table(results["classification"], results["differences"]),
    }
    (folder / "tables.md").write_text(sections(tables))
