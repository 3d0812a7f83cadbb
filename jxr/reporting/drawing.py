"""What all charts share: colours, shapes, sizes in inches, boxes and arrows."""

import textwrap
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

# Okabe and Ito's palette keeps apart for the colour-blind; shapes and dashes say the same again.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9")
SHAPES = ("o", "s", "^", "v", "P", "X")
DASHES: tuple[Any, ...] = ("-", "--", "-.", ":", (0, (6, 1, 1, 1, 1, 1)), (0, (1, 1)))
REPORT: Mapping[str, Any] = {"marker": "D", "mfc": "none", "mec": "#555555", "ls": "none"}

INK = "#1b1f24"
FAINT = "#5d6670"


def style(number: int) -> dict[str, Any]:
    """Colour and shape of the marks of one of several; beyond six they are paired anew."""
    turn, place = divmod(number, len(COLOURS))
    return {"color": COLOURS[place], "marker": SHAPES[(place + turn) % len(SHAPES)]}


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of a size in inches, without any global state of matplotlib's."""
    return Figure(figsize=(width, height), layout="constrained")


def new_canvas(width: float, height: float) -> tuple[Figure, Axes]:
    """A figure for a diagram, with one invisible axes whose unit is the inch, origin below left."""
    figure = Figure(figsize=(width, height))
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    return figure, axes


def save_figures(figures: Mapping[str, Figure], folder: Path) -> None:
    """Writes `figures/NAME.png` in a folder, which is made if need be."""
    (folder / "figures").mkdir(parents=True, exist_ok=True)
    for name, figure in figures.items():
        figure.savefig(folder / "figures" / f"{name}.png", dpi=150)


def tidy(axes: Axes) -> None:
    """Takes away what carries no information and lays a light grid."""
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(color="#dddddd", linewidth=0.6)
    axes.set_axisbelow(True)


def plain(text: str, most: int = 44) -> str:
    """The text as charts take it: cut to `most` letters, and its dollars start no formula."""
    cut = text if len(text) <= most else text[: most - 1] + "\N{HORIZONTAL ELLIPSIS}"
    return cut.replace("$", r"\$")


def lines_of(text: str, most: int) -> str:
    """The text in lines of `most` letters: a title that is wider than its panel would be cut."""
    return textwrap.fill(text, most, break_long_words=False)


def box(
    axes: Axes,
    corner: tuple[float, float],
    size: tuple[float, float],
    lines: Sequence[str],
    colour: str,
) -> None:
    """A rounded box with lines of text in its middle, the first one bold.

    Args:
        axes: of `new_canvas`.
        corner: below left, in inches.
        size: width and height, in inches.
        lines: plain text, cut where it is wider than the box.
        colour: of the frame; the ground is a pale shade of it.
    """
    (x, y), (width, height) = corner, size
    style = "round,pad=0,rounding_size=0.08"
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, fc=colour, alpha=0.12))
    axes.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, fc="none", ec=colour))
    step = 0.17
    most = int(width / 0.065)  # a letter of 8.5 points is about so wide
    top = y + height / 2 + step * (len(lines) - 1) / 2
    for i, line in enumerate(lines):
        style_of_line: dict[str, Any] = (
            {"fontsize": 9.5, "fontweight": "bold"} if i == 0 else {"fontsize": 8.5}
        )
        axes.text(
            x + width / 2, top - i * step, plain(line, most), ha="center", va="center",
            color=INK, **style_of_line,
        )  # fmt: skip


def arrow(
    axes: Axes,
    start: tuple[float, float],
    end: tuple[float, float],
    text: str = "",
    *,
    colour: str = FAINT,
) -> None:
    """A straight arrow between two places in inches, with a text over its middle if any."""
    patch = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=10, shrinkA=0, shrinkB=0, color=colour,
        linewidth=1.2,
    )  # fmt: skip
    axes.add_patch(patch)
    if text:
        axes.text(
            (start[0] + end[0]) / 2, (start[1] + end[1]) / 2 + 0.05, plain(text), ha="center",
            va="bottom", fontsize=8.5, color=INK,
        )  # fmt: skip
