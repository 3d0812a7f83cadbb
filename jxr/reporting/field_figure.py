"""Charts of the study of blur that varies over the field, and one call that writes them all."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jxr.reporting.drawing import COLOURS, DASHES, INK, SHAPES, new_figure, save_figures, tidy
from jxr.reporting.field_tables import OPERATOR_NAMES, field_tables, method_name, millimetres
from jxr.reporting.labels import SIGMA, Row
from jxr.reporting.tables import sections

ZONES = {"anode_side": "anode side", "centre": "centre", "cathode_side": "cathode side"}


def zones_figure(rows: Sequence[Row]) -> Figure:
    """What is left of the squared error in each third of the field, a panel for each input.

    Args:
        rows: `restoration` of results.json; each exposure and noise with a row `none`.

    Returns:
        Panels of errors divided by those of the image as recorded: 1 is no gain.
    """
    settings = list(dict.fromkeys((row["exposure"], row["noise"]) for row in rows))
    figure = new_figure(6.4, 2.4 * len(settings) + 0.7)
    panels = figure.subplots(len(settings), 1, sharex=True, squeeze=False)[:, 0]
    methods = [key for key in dict.fromkeys(map(_method, rows)) if key != ("none", "none")]
    for axes, setting in zip(panels, settings, strict=True):
        here = {_method(row): row for row in rows if (row["exposure"], row["noise"]) == setting}
        recorded = here["none", "none"]
        for i, method in enumerate(methods):
            parts = [
                here[method]["mse_by_zone"][zone] / recorded["mse_by_zone"][zone] for zone in ZONES
            ]
            parts.append(here[method]["mse"] / recorded["mse"])
            # Side by side, so that equal errors do not hide each other.
            places = [x + (i - (len(methods) - 1) / 2) * 0.1 for x in range(len(parts))]
            axes.plot(places, parts, ls="none", marker=SHAPES[i], color=COLOURS[i])
        axes.axhline(1, color=INK, linewidth=0.8)
        axes.set(
            title=f"{setting[0]}, noise {setting[1]:g}, 8 bits",
            ylabel="MSE / recorded image's",
            ylim=(0, None),
        )
        axes.set_xticks(range(len(ZONES) + 1), [*ZONES.values(), "whole image"])
        tidy(axes)
    marks = [
        Line2D([], [], ls="none", marker=SHAPES[i], color=COLOURS[i]) for i in range(len(methods))
    ]
    figure.legend(
        marks, [method_name(*method) for method in methods], loc="outside upper center", ncols=2,
        frameon=False,
    )  # fmt: skip
    return figure


def growth_figure(growth: Mapping[str, Any]) -> Figure:
    """Time (on a logarithmic axis) and memory of a blur by the size of the image.

    Args:
        growth: of results.json; rows with `extrapolated` are hollow and have no memory.

    Returns:
        Two panels, one line for each operator.
    """
    rows = growth["rows"]
    figure = new_figure(7.6, 3.6)
    panels = figure.subplots(1, 2)
    sizes = sorted({row["size"] for row in rows})
    for i, operator in enumerate(OPERATOR_NAMES):
        mine = sorted((r for r in rows if r["operator"] == operator), key=lambda r: r["size"])
        style: dict[str, Any] = {"color": COLOURS[i], "marker": SHAPES[i], "ls": DASHES[i]}
        for axes, key in zip(panels, ("seconds", "peak_mb"), strict=True):
            values = [(row["size"], row[key]) for row in mine if key in row]
            measured = [(r["size"], r[key]) for r in mine if not r.get("extrapolated")]
            axes.plot(*zip(*values, strict=True), **style, mfc="none")
            axes.plot(
                *zip(*measured, strict=True), **style | {"ls": "none"},
                label=OPERATOR_NAMES[operator],
            )  # fmt: skip
    for axes, label in zip(panels, ("seconds a blur", "rise of peak memory, MB"), strict=True):
        axes.set(xscale="log", xlabel="pixels along an axis", ylabel=label)
        axes.set_xticks(sizes, [str(size) for size in sizes])
        axes.set_xticks([], minor=True)
        tidy(axes)
    panels[0].set_yscale("log")
    panels[1].set_ylim(0, None)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=4, frameon=False)
    return figure


def clinical_figure(clinical: Mapping[str, Any]) -> Figure:
    """How far real exposures move the pixels of small images, beside the report's blurs.

    Args:
        clinical: of results.json.

    Returns:
        Mean squared errors on a logarithmic axis, one line for each exposure and focal spot.
    """
    rows = clinical["exposures"]
    figure = new_figure(7.2, 0.3 * len(rows) + 1.6)
    axes = figure.subplots()
    for y, row in enumerate(rows):
        ends = (row["mse_centre"], row["mse_cathode_edge"])
        axes.plot(ends, (y, y), color=COLOURS[0], linewidth=1)
        for i, end in enumerate(ends):
            axes.plot(end, y, SHAPES[i], color=COLOURS[0], mfc=(COLOURS[0], "none")[i])
    axes.set_yticks(
        range(len(rows)), [f"{row['title']}, {millimetres(row['spot_mm'])}" for row in rows]
    )
    lines = {f"report's {SIGMA} {row['sigma']:g}": row["mse"] for row in clinical["report"]}
    lines["rounding to 8 bits"] = clinical["eight_bit_mse"]
    for i, (label, value) in enumerate(lines.items(), 1):
        axes.axvline(value, color=COLOURS[i], ls=DASHES[i], label=label)
    for i, label in enumerate(("as at the centre", "as at the cathode's edge")):
        mark: dict[str, Any] = {"marker": SHAPES[i], "mfc": (COLOURS[0], "none")[i]}
        axes.plot([], [], ls="none", color=COLOURS[0], label=label, **mark)
    axes.set(
        xscale="log", xlabel="mean squared error against the original",
        ylim=(len(rows) - 0.5, -0.5),
    )  # fmt: skip
    tidy(axes)
    figure.legend(loc="outside upper center", ncols=3, frameon=False)
    return figure


def write_field(results: Mapping[str, Any], folder: Path) -> None:
    """Writes `figures` (zones, growth, clinical) and `tables.md`.

    Args:
        results: of `jxr.studies.field.study`.
        folder: is made if need be.
    """
    figures = {
        "zones": zones_figure(results["restoration"]),
        "growth": growth_figure(results["growth"]),
        "clinical": clinical_figure(results["clinical"]),
    }
    save_figures(figures, folder)
    (folder / "tables.md").write_text(sections(field_tables(results)))


def _method(row: Row) -> tuple[str, str]:
    return row["model"], row["method"]
