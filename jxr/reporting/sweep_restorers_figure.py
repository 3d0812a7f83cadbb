"""Errors of U-Nets over blurs they were and were not trained on: a chart, and a table."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import COLOURS, DASHES, FAINT, SHAPES, new_figure, save_figures, tidy
from jxr.reporting.labels import SIGMA, Row
from jxr.reporting.tables import Table, sections

MEMBER = ("train_sigma", "learning_rate", "seed")


def restorer_sweep_figure(results: Mapping[str, Any]) -> Figure:
    """Mean squared error over the sigma of the tested images, one curve a U-Net.

    An image that is the original itself, not blurred or restored, has no place on a logarithmic
    axis.

    Args:
        results: of `jxr.studies.sweep.unets`.
    """
    found = curves(results["restoration"])
    figure = new_figure(7.6, max(4.2, 0.2 * len(found) + 0.3))
    axes = figure.subplots()
    for place, (title, rows) in enumerate(found.items()):
        turn, number = divmod(place - 1, len(COLOURS))  # shapes are as many; dashes tell turns
        style: dict[str, Any] = {"color": FAINT, "linestyle": "--"} if place == 0 else {
            "color": COLOURS[number],
            "marker": SHAPES[number],
            "linestyle": DASHES[turn % len(DASHES)],
        }  # fmt: skip
        x, y = [row["sigma"] for row in rows], [row["mse"] for row in rows]
        axes.plot(x, y, label=title, linewidth=1.2, markersize=4.5, **style)
    # By default a line falls to the bottom where an error is 0, as if it fell between two sigmas.
    axes.set_yscale("log", nonpositive="mask")
    axes.set(xlabel=f"{SIGMA} of the tested images (pixels)", ylabel="mean squared error")
    figure.legend(loc="outside right upper", frameon=False, fontsize=8.5)  # hides no curve
    tidy(axes)
    return figure


def curves(rows: Sequence[Row]) -> dict[str, list[Row]]:
    """Returns the rows of each U-Net by what to call it; those of images as they are come first."""
    several = [len({row[key] for row in rows if key in row}) > 1 for key in MEMBER[1:]]
    found: dict[str, list[Row]] = {"not restored": []}
    for row in rows:
        if row["method"] == "none":
            title = "not restored"
        else:
            words = (f"rate {row['learning_rate']:g}", f"seed {row['seed']}")
            extra = [word for word, wanted in zip(words, several, strict=True) if wanted]
            title = ", ".join([f"trained at {SIGMA} {row['train_sigma']:g}", *extra])
        found.setdefault(title, []).append(row)
    return {title: sorted(rows, key=lambda row: row["sigma"]) for title, rows in found.items()}


def restorer_sweep_table(rows: Sequence[Row]) -> Table:
    """Mean squared errors, a row a U-Net and a column a sigma.

    Args:
        rows: `restoration` of a study's results.
    """
    by_title = curves(rows)
    sigmas = [row["sigma"] for row in by_title["not restored"]]
    return Table(
        columns=("MSE", *(f"{SIGMA} {sigma:g}" for sigma in sigmas)),
        rows=[
            (title, *(f"{row['mse']:.3e}" for row in members))
            for title, members in by_title.items()
        ],
        words=("MSE",),
    )


def write_restorer_sweep(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `figures/sweep.png` and `tables.md`.

    Args:
        results: of `jxr.studies.sweep.unets`.
        folder: is made if need be.
    """
    save_figures({"sweep": restorer_sweep_figure(results)}, folder)
    table = restorer_sweep_table(results["restoration"])
    (folder / "tables.md").write_text(sections({"U-Nets over blur": table}))
