"""Restoration methods against the linear limit, for every blur and every kind of input."""

from collections.abc import Sequence
from typing import Any

from matplotlib.figure import Figure
from matplotlib.ticker import NullFormatter

from jxr.reporting.drawing import new_figure, style, tidy
from jxr.reporting.labels import SIGMA, Row

# What is shown, by method and recipe; other rows stay in the table.
SHOWN = {
    ("none", "none"): "not restored",
    ("wiener", "flat-validation"): "Wiener, one ratio",
    ("wiener", "spectra-train"): "Wiener, spectra of training images",
    ("tikhonov_gradient", "validation"): "Tikhonov (gradient)",
    ("richardson_lucy", "accelerated-validation"): "Richardson-Lucy",
    ("total_variation", "iterations100-validation"): "total variation",
}
LIMIT = ("wiener", "spectra-test-oracle")


def methods_figure(rows: Sequence[Row]) -> Figure:
    """Mean squared errors as multiples of the linear limit's, on logarithmic axes.

    The limit is the Wiener filter that knows the spectra of the test images. One panel for each
    kind of input, for what is easy without noise is not with it.

    Args:
        rows: `restoration` of `jxr.studies.restoration.table`.

    Returns:
        The panels; settings without a limit are left out.
    """
    limits = {setting(row): row["mse"] for row in rows if (row["method"], row["recipe"]) == LIMIT}
    kinds = sorted({key[2:] for key in limits}, key=lambda kind: (kind[1], kind[0] != "float32"))
    levels = sorted({key[:2] for key in limits}, reverse=True)
    figure = new_figure(6.4, 0.36 * len(levels) * len(kinds) + 0.7 * len(kinds) + 1.0)
    panels = figure.subplots(len(kinds), 1, squeeze=False)[:, 0]
    for axes, kind in zip(panels, kinds, strict=True):
        axes.axvline(1, color="#555555", linewidth=1)
        for row in rows:
            label = SHOWN.get((row["method"], row["recipe"]))
            if label and setting(row) in limits and setting(row)[2:] == kind:
                y = levels.index(setting(row)[:2])
                axes.plot(row["mse"] / limits[setting(row)], y, ls="none", **method_style(label))
        precision, noise = kind
        axes.set(xscale="log", title=f"input {precision}, noise {noise:g}")
        axes.set_yticks(
            range(len(levels)), [f"{SIGMA} {sigma:g}, {name}" for sigma, name in levels]
        )
        axes.set_ylim(-0.5, len(levels) - 0.5)
        low, high = axes.get_xlim()
        if high / low < 100:  # a decade or so: powers of ten alone would leave it bare
            ticks = [tick for tick in (0.6, 0.8, 1, 1.5, 2, 3, 5, 8) if low < tick < high]
            axes.set_xticks(ticks, [f"{tick:g}" for tick in ticks])
            axes.xaxis.set_minor_formatter(NullFormatter())
        tidy(axes)
    panels[-1].set_xlabel("mean squared error / that of the linear limit")
    handles, labels = [], []
    for label in SHOWN.values():
        handles += panels[0].plot([], [], ls="none", **method_style(label))
        labels.append(label)
    figure.legend(handles, labels, loc="outside upper center", ncols=2, frameon=False)
    return figure


def setting(row: Row) -> tuple[float, str, str, float]:
    """What a limit belongs to."""
    return row["sigma"], row["convention"], row["input_precision"], row["noise"]


def method_style(label: str) -> dict[str, Any]:
    """Colour and shape of a method."""
    return {**style(list(SHOWN.values()).index(label)), "alpha": 0.85}
