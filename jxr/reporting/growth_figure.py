"""How time and memory grow with the image, and with the models of a sweep."""

from collections.abc import Mapping
from typing import Any

from matplotlib.figure import Figure

from jxr.reporting.drawing import COLOURS, DASHES, FAINT, SHAPES, new_figure, tidy

NAMES = {
    "blur": "Gaussian blur",
    "wiener": "Wiener filter",
    "low_rank": "shift-variant blur, rank 8",
    "tiled": "shift-variant blur, tiles",
    "restorer": "shipped network",
    "heads": "heads",
    "unets": "U-Nets",
}


def growth_figure(results: Mapping[str, Any]) -> Figure:
    """Seconds and megabytes on logarithmic axes, with a line of what would be linear.

    Args:
        results: of `jxr.studies.bench.growth`.

    Returns:
        Two panels by pixels along an axis, where linear in pixels is a slope of 2, and one by the
        number of models.
    """
    figure = new_figure(10.2, 3.7)
    panels = figure.subplots(1, 3)
    images, sweeps = results["images"], results["sweeps"]
    for axes, rows, over, value, power in (
        (panels[0], images, "size", "seconds", 2),
        (panels[1], images, "size", "peak_mb", 2),
        (panels[2], sweeps, "members", "seconds", 1),
    ):
        works = list({row["work"]: None for row in rows})
        for place, work in enumerate(works, start=0 if rows is images else len(COLOURS) - 2):
            mine = sorted((row for row in rows if row["work"] == work), key=lambda row: row[over])
            style: dict[str, Any] = {
                "color": COLOURS[place], "marker": SHAPES[place], "ls": DASHES[place],
            }  # fmt: skip
            axes.plot(
                [row[over] for row in mine], [row[value] for row in mine],
                label=NAMES[work], **style,
            )  # fmt: skip
        ticks = sorted({row[over] for row in rows})
        lowest = min(row[value] for row in rows if row[over] == ticks[-1])
        axes.plot(
            ticks, [0.5 * lowest * (tick / ticks[-1]) ** power for tick in ticks],
            color=FAINT, lw=0.8, label="linear" if rows is sweeps else "linear in pixels",
        )  # fmt: skip
        axes.set(xscale="log", yscale="log")
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.set_xticks([], minor=True)
        axes.legend(frameon=False, fontsize=7)
        tidy(axes)
    for axes, over, value in zip(
        panels,
        ("pixels along an axis", "pixels along an axis", "models in a sweep"),
        ("seconds an image", "rise of peak memory, MB", "seconds a training step of all"),
        strict=True,
    ):
        axes.set(xlabel=over, ylabel=value)
    return figure
