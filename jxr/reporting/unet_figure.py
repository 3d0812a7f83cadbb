"""Figure 3: the U-Net as built."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from flax import nnx
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Circle, FancyArrowPatch, Rectangle

from jxr.models import UNet
from jxr.reporting.drawing import COLOURS, FAINT, INK, arrow, new_canvas
from jxr.reporting.labels import TIMES
from jxr.reporting.structure import count

COLUMN, STEP = 0.95, 1.0  # inches between blocks, sideways and downwards
BEFORE, AFTER, TOP, BOTTOM = 1.1, 1.85, 0.75, 1.35  # room around the blocks
ABOVE = 0.45  # more at the top for the way of the input around the network


class Level(NamedTuple):
    """Two convolutions on the way down, and two on the way up."""

    channels: int
    size: int  # pixels a side


def unet_levels(unet: Mapping[str, Any], size: int) -> list[Level]:
    """The levels of the U-Net, from the first to the deepest.

    Args:
        unet: `unet` of a run's config.
        size: side of the images, in pixels.
    """
    return [Level(unet["width"] * 2**level, size // 2**level) for level in range(unet["depth"] + 1)]


def unet_parameters(unet: Mapping[str, Any]) -> int:
    """How many numbers the U-Net of a run's config trains."""
    sizes = {key: unet[key] for key in ("width", "depth", "channels", "residual")}
    return count(lambda: UNet(**sizes, rngs=nnx.Rngs(0)))


def unet_figure(config: Mapping[str, Any]) -> Figure:
    """The U-Net with the channels and sizes of its levels, as it restores whole images.

    Args:
        config: `config` in the provenance of results.json.

    Returns:
        A diagram; blocks are two 3x3 convolutions each.
    """
    unet = config["unet"]
    levels = unet_levels(unet, config["data"]["size"])
    depth = len(levels) - 1
    top = TOP + (ABOVE if unet["residual"] else 0.0)
    height = top + depth * STEP + BOTTOM
    width = BEFORE + 2 * depth * COLUMN + AFTER
    figure, axes = new_canvas(width, height)

    def place(column: int, level: int) -> tuple[float, float]:
        return BEFORE + column * COLUMN, height - top - level * STEP

    for level, (channels, size) in enumerate(levels):
        down = place(level, level)
        block(axes, down, level, f"{channels:,}", size)
        if level < depth:
            up = place(2 * depth - level, level)
            block(axes, up, level, f"{2 * channels:,} → {channels:,}", size)
            (x, y), half = place(level + 1, level + 1), block_size(level)[0] / 2
            gap = 0.62  # beyond the size, which stands below a block
            arrow(axes, (down[0] + half, down[1]), (up[0] - half, up[1]), colour=COLOURS[2])
            elbow(axes, (down[0], down[1] - gap), (x - block_size(level + 1)[0] / 2, y))
            x, y = place(2 * depth - level - 1, level + 1)
            elbow(axes, (up[0], up[1] - gap), (x + block_size(level + 1)[0] / 2, y), up=True)
    ends(axes, place(0, 0), place(2 * depth, 0), unet)
    legend(axes, config)
    return figure


def block_size(level: int) -> tuple[float, float]:
    """Width and height of a block in inches: more channels are wider, smaller images lower."""
    return 0.16 + 0.07 * level, 0.66 * 0.84**level


def block(axes: Axes, centre: tuple[float, float], level: int, channels: str, size: int) -> None:
    """Two convolutions: a bar, its channels above and its size below."""
    (x, y), (width, height) = centre, block_size(level)
    corner = (x - width / 2, y - height / 2)
    axes.add_patch(Rectangle(corner, width, height, fc=COLOURS[5], ec=COLOURS[0], alpha=0.9))
    axes.text(x, y + height / 2 + 0.04, channels, ha="center", va="bottom", fontsize=9, color=INK)
    text = f"{size} {TIMES} {size}"
    axes.text(x, y - height / 2 - 0.05, text, ha="center", va="top", fontsize=8, color=FAINT)


def elbow(
    axes: Axes, above: tuple[float, float], below: tuple[float, float], up: bool = False
) -> None:
    """An arrow round a corner between two levels, downwards to the right or upwards."""
    start, end = (below, above) if up else (above, below)
    bend = "angle,angleA=0,angleB=90,rad=4" if up else "angle,angleA=90,angleB=0,rad=4"
    colour = COLOURS[3] if up else COLOURS[1]
    patch = FancyArrowPatch(
        start, end, arrowstyle="-|>", mutation_scale=10, shrinkA=0, shrinkB=2, color=colour,
        connectionstyle=bend, linewidth=1.4,
    )  # fmt: skip
    axes.add_patch(patch)


def ends(
    axes: Axes,
    first: tuple[float, float],
    last: tuple[float, float],
    unet: Mapping[str, Any],
) -> None:
    """Input and output, and the way of the input around the network if it is residual."""
    half, y = block_size(0)[0] / 2, first[1]
    channels = f"{unet['channels']} channel" + ("s" if unet["channels"] > 1 else "")
    text: dict[str, Any] = {"ha": "center", "fontsize": 8.5, "color": INK}
    plus, right = last[0] + 0.9, last[0] + AFTER - 0.12
    arrow(axes, (0.15, y), (first[0] - half, y))
    arrow(axes, (plus + 0.09 if unet["residual"] else plus, y), (right, y))
    axes.text(0.55, y + 0.05, "blurred", va="bottom", **text)
    axes.text(0.55, y - 0.06, channels, va="top", **text)
    axes.text((plus + right) / 2 + 0.03, y + 0.05, "recovered", va="bottom", **text)
    axes.text((plus + right) / 2 + 0.03, y - 0.06, channels, va="top", **text)
    axes.plot([last[0] + half, plus], [y, y], color=FAINT, linewidth=1.2)
    axes.text(
        (last[0] + half + plus) / 2 - 0.03, y + 0.05, f"1 {TIMES} 1 conv.", va="bottom", **text
    )
    if unet["residual"]:
        above = y + 0.72
        axes.plot([0.22, 0.22, plus], [y, above, above], color=FAINT, linewidth=1.2)
        arrow(axes, (plus, above), (plus, y + 0.09))
        axes.add_patch(Circle((plus, y), 0.09, fc="white", ec=FAINT, linewidth=1.2, zorder=3))
        axes.text(plus, y - 0.005, "+", va="center_baseline", zorder=4, **text)
        middle = (first[0] + last[0]) / 2
        axes.text(middle, above + 0.04, "residual: the input is added to the output", **text)


def legend(axes: Axes, config: Mapping[str, Any]) -> None:
    """What bars and arrows mean, and what the drawing cannot show."""
    unet = config["unet"]
    crop = f"{unet['crop']} {TIMES} {unet['crop']} crops" if unet["crop"] else "whole images"
    marks = (
        (COLOURS[0], "▮", f"two 3 {TIMES} 3 convolutions with ReLU"),
        (COLOURS[1], "↓", f"2 {TIMES} 2 max-pooling"),
        (COLOURS[3], "↑", f"2 {TIMES} 2 up-convolution"),
        (COLOURS[2], "→", "skip: joined to the channels from below"),
    )
    for i, (colour, mark, words) in enumerate(marks):
        y = 0.62 - 0.18 * i
        axes.text(0.12, y, mark, color=colour, fontsize=10, va="center")
        axes.text(0.32, y, words, fontsize=8.5, va="center", color=INK)
    right = axes.get_xlim()[1] - 0.12
    lines = (f"{unet_parameters(unet):,} parameters", f"trained on {crop}")
    for i, line in enumerate(lines):
        axes.text(right, 0.62 - 0.18 * i, line, fontsize=8.5, va="center", ha="right", color=INK)
