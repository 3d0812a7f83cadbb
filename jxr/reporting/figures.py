"""Charts of results.json, drawn by matplotlib without its global state."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from jaxtyping import Float
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from jxr.reporting.drawing import (
    COLOURS,
    DASHES,
    REPORT,
    SHAPES,
    lines_of,
    new_figure,
    plain,
    tidy,
)
from jxr.reporting.labels import SIGMA, Row, arm, differing, name, suffix
from jxr.reporting.report_values import MSE, published_accuracy
from jxr.reporting.roc_figure import roc_figure
from jxr.reporting.structure import structure_figure
from jxr.reporting.unet_figure import unet_figure


def kernel_figure(kernels: Mapping[str, Float[np.ndarray, "_size _size"]], sigma: float) -> Figure:
    """The blur kernels of the conventions, as images and as profiles through the centre.

    Args:
        kernels: square kernels of odd size and unit sum, by convention.
        sigma: the sigma of all of them, in pixels.

    Returns:
        One panel for each kernel, on one colour scale, and one for the profiles.
    """
    figure = new_figure(2.6 * len(kernels) + 3.4, 3.2)
    panels = figure.subplots(1, len(kernels) + 1, width_ratios=[1] * len(kernels) + [1.3])
    radius = max(len(kernel) for kernel in kernels.values()) // 2
    peak = max(float(kernel.max()) for kernel in kernels.values())
    profiles = panels[-1]
    for i, (convention, kernel) in enumerate(kernels.items()):
        own = len(kernel) // 2
        edges = (-own - 0.5, own + 0.5)
        image = panels[i].imshow(kernel, cmap="Greys", vmin=0, vmax=peak, extent=edges + edges)
        panels[i].set(
            title=f"{convention}, {SIGMA} = {sigma:g}",
            facecolor=image.cmap(0.0),  # the weight is zero outside the kernel
            xlim=(-radius - 0.5, radius + 0.5),
            ylim=(-radius - 0.5, radius + 0.5),
            xlabel="pixels",
            xticks=(-radius, 0, radius),
            yticks=(-radius, 0, radius),
        )
        style: dict[str, Any] = {"marker": SHAPES[i], "markersize": 3.5, "color": COLOURS[i]}
        profiles.plot(range(-own, own + 1), kernel[own], DASHES[i], label=convention, **style)
    profiles.set(title="through the centre", xlabel="pixels", ylabel="weight", ylim=(0, None))
    profiles.legend(frameon=False)
    tidy(profiles)
    return figure


def table1_figure(rows: Sequence[Row]) -> Figure:
    """Accuracies with their 95 % intervals beside the report's, one panel a task.

    Args:
        rows: `classification` of results.json.

    Returns:
        The panels, on one axis of accuracy.
    """
    tasks = list(dict.fromkeys(row["task"] for row in rows))
    groups = [[row for row in rows if row["task"] == task] for task in tasks]
    keys = differing(rows, ("recipe", "sigma", "convention", "noise", "input_precision"))
    figure = new_figure(6.0, 0.32 * len(rows) + 0.75 * len(tasks) + 0.6)
    panels = figure.subplots(
        len(tasks), 1, sharex=True, squeeze=False, height_ratios=[len(group) for group in groups]
    )[:, 0]
    for axes, task, group in zip(panels, tasks, groups, strict=True):
        for y, row in enumerate(group):
            axes.hlines(y, *row["accuracy_ci95"], color=COLOURS[0], linewidth=2)
            axes.plot(row["accuracy"], y, "o", color=COLOURS[0])
            if (published := published_accuracy(row)) is not None:
                axes.plot(published, y, **REPORT)
        # Cut apart: the end is what tells two rows of one arm from each other.
        labels = [plain(arm(row)) + plain(suffix(row, keys)) for row in group]
        axes.set_yticks(range(len(group)), labels)
        title = lines_of(f"{plain(name(task))} ({group[0]['n']} images)", 36)
        axes.set(title=title, ylim=(len(group) - 0.5, -0.5))
        tidy(axes)
    panels[-1].set_xlabel("accuracy")
    ours = Line2D([], [], marker="o", color=COLOURS[0], linewidth=2)
    marks = {"this run, 95 % interval": ours}
    if any(map(published_accuracy, rows)):
        marks["the report"] = Line2D([], [], **REPORT)
    figure.legend(marks.values(), marks.keys(), loc="outside upper right", ncols=2, frameon=False)
    return figure


def restoration_figure(rows: Sequence[Row]) -> Figure:
    """Mean squared errors on a logarithmic axis, one panel for each kind of input.

    Dots, not bars: a bar's length means nothing on a logarithmic axis.

    Args:
        rows: `restoration` of results.json, with at least one row of Gaussian blur; rows of other
            PSFs are left out.

    Returns:
        The panels; the report's errors stand in the one without noise or rounding. An error of 0
        stands on the left edge.
    """
    rows = [row for row in rows if row["psf"] == "gaussian"]
    several = {
        method: differing([row for row in rows if row["method"] == method], ("recipe",))
        for method in {row["method"] for row in rows}
    }
    labels = [plain(name(row["method"]) + suffix(row, several[row["method"]])) for row in rows]
    styles: dict[str, dict[str, Any]] = {
        label: {"color": COLOURS[i % len(COLOURS)], "marker": SHAPES[i % len(SHAPES)]}
        for i, label in enumerate(dict.fromkeys(labels))
    }
    kinds = sorted({(row["noise"], row["input_precision"]) for row in rows}, key=input_order)
    levels = sorted({(row["sigma"], row["convention"]) for row in rows}, reverse=True)
    figure = new_figure(6.0, 0.36 * len(levels) * len(kinds) + 0.6 * len(kinds) + 1.0)
    panels = figure.subplots(len(kinds), 1, sharex=True, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        for row, label in zip(rows, labels, strict=True):
            if (row["noise"], row["input_precision"]) == kind:
                y = levels.index((row["sigma"], row["convention"]))
                if row["mse"]:
                    axes.plot(row["mse"], y, ls="none", **styles[label])
                else:  # has no place on a logarithmic axis: beside it, on the left
                    edge = axes.get_yaxis_transform()
                    axes.plot(0, y, ls="none", **styles[label], transform=edge, clip_on=False)
        if kind == (0, "float32"):
            for y, (sigma, _) in enumerate(levels):
                if sigma in MSE:
                    axes.plot(MSE[sigma], y, **REPORT)
        axes.set(xscale="log", title=f"input {kind[1]}, noise {kind[0]:g}")
        axes.set_yticks(
            range(len(levels)), [f"{SIGMA} {sigma:g}, {named}" for sigma, named in levels]
        )
        axes.set_ylim(-0.5, len(levels) - 0.5)
        tidy(axes)
    panels[-1].set_xlabel("mean squared error")
    marks = {label: Line2D([], [], ls="none", **style) for label, style in styles.items()}
    if (0, "float32") in kinds and any(sigma in MSE for sigma, _ in levels):
        marks["the report (U-Net)"] = Line2D([], [], **REPORT)
    figure.legend(marks.values(), marks.keys(), loc="outside upper center", ncols=3, frameon=False)
    return figure


def input_order(kind: tuple[float, str]) -> tuple[float, bool]:
    """Sorts kinds of input from the ideal to the worst: by noise, float32 before rounding."""
    noise, precision = kind
    return noise, precision != "float32"


def write_figures(
    results: Mapping[str, Any],
    folder: Path,
    kernels: Mapping[str, Float[np.ndarray, "_size _size"]],
    sigma: float,
) -> dict[str, Path]:
    """Draws every chart for which there are results, each as PNG and as SVG.

    Args:
        results: the content of results.json. `roc_band` may be missing.
        folder: is made if need be.
        kernels: see `kernel_figure`.
        sigma: see `kernel_figure`.

    Returns:
        The SVG files by name: `structure`, `kernel`, `unet`, `table1`, `roc`, `restoration`. The
        PNG files stand beside them.
    """
    figures = {"structure": structure_figure(results), "kernel": kernel_figure(kernels, sigma)}
    if any(row["method"] == "unet" for row in results["restoration"]):
        figures["unet"] = unet_figure(results["provenance"]["config"])
    if results["classification"]:
        figures["table1"] = table1_figure(results["classification"])
    if results["roc"]:
        figures["roc"] = roc_figure(
            results["roc"], results["classification"], results.get("roc_band", [])
        )
    if any(row["psf"] == "gaussian" for row in results["restoration"]):
        figures["restoration"] = restoration_figure(results["restoration"])
    folder.mkdir(parents=True, exist_ok=True)
    # Without a date and with a fixed salt the same results give the same bytes.
    with matplotlib.rc_context({"svg.hashsalt": "jxr"}):
        for key, figure in figures.items():
            figure.savefig(folder / f"{key}.png", dpi=150)
            figure.savefig(folder / f"{key}.svg", metadata={"Date": None})
    return {key: folder / f"{key}.svg" for key in figures}
