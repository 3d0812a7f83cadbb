"""Figures 5 and 6: images before blur, after it, and recovered, with the errors that are left."""

import io
import math
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
from jaxtyping import Float, Shaped
from matplotlib.figure import Figure
from PIL import Image

from jxr.evaluation import mse, psnr
from jxr.reporting.drawing import new_figure, plain
from jxr.reporting.labels import name

COLOURS_OF_ERRORS = "magma"  # black is no error; even steps of lightness
SHOWN = 0.995  # of the recovered pixels lie within the scale of the error maps


@dataclass(frozen=True)
class Examples:
    """Some test images through one blur and its restorers.

    Attributes:
        titles: one an image, such as "normal"; any text.
        original: values in [0, 1].
        blurred: the same images, blurred.
        recovered: the same images by restorer, `unet` or `wiener` for example; at least one.

    Raises:
        ValueError: the arrays do not hold the same images, or there is nothing to show.
    """

    titles: tuple[str, ...]
    original: Float[np.ndarray, "n height width 1"]
    blurred: Float[np.ndarray, "n height width 1"]
    recovered: dict[str, Float[np.ndarray, "n height width 1"]]

    def __post_init__(self):
        shapes = {array.shape for array in (self.original, self.blurred, *self.recovered.values())}
        if len(shapes) != 1 or len(self.titles) != len(self.original):
            raise ValueError(f"{len(self.titles)} titles for images of shapes {shapes}")
        if not self.titles or not self.recovered:
            raise ValueError("examples need at least one image and one restorer")

    def errors(self, restorer: str) -> Float[np.ndarray, "n height width 1"]:
        """The absolute differences between recovered and original."""
        return np.abs(self.recovered[restorer] - self.original)


def read_examples(path: Path) -> Examples:
    """Returns the examples that a reproduction saved: `examples.npz` of its run directory."""
    with np.load(path, allow_pickle=False) as arrays:
        return Examples(
            titles=tuple(arrays["titles"].tolist()),
            original=arrays["original"],
            blurred=arrays["blurred"],
            recovered={
                key.removeprefix("recovered_"): arrays[key]
                for key in arrays.files
                if key.startswith("recovered_")
            },
        )


def error_limit(examples: Examples) -> float:
    """The upper end of the one scale of all error maps.

    99.5 % of all recovered pixels lie within it: the largest error alone, mostly at an edge, would
    leave the rest black. It is rounded up to two digits, and at least 1/255: smaller errors are
    below one step of an 8-bit image.
    """
    errors = [examples.errors(restorer).ravel() for restorer in examples.recovered]
    limit = max(float(np.quantile(np.concatenate(errors), SHOWN)), 1 / 255)
    step = 10.0 ** (math.floor(math.log10(limit)) - 1)
    return math.ceil(limit / step - 1e-4) * step  # float32 may be a hair above


def grey_png(image: Float[np.ndarray, "height width 1"]) -> bytes:
    """The image as an 8-bit PNG, [0, 1] to 0..255, rounded; values outside are clipped."""
    return png(np.rint(np.clip(image[..., 0], 0, 1) * 255).astype(np.uint8))


def error_png(errors: Float[np.ndarray, "height width 1"], limit: float) -> bytes:
    """Errors as a PNG in colours, 0 to `limit`; larger ones have the last colour."""
    colours = matplotlib.colormaps[COLOURS_OF_ERRORS]
    return png(colours(np.clip(errors[..., 0] / limit, 0, 1), bytes=True)[..., :3])


def scale_png() -> bytes:
    """The colours of the error maps from no error to the limit, one pixel high."""
    return error_png(np.linspace(0, 1, 256)[None, :, None], 1.0)


def png(pixels: Shaped[np.ndarray, "height width ..."]) -> bytes:
    """The pixels, uint8, grey or RGB, as the bytes of a PNG file."""
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(pixels)).save(file, "PNG", optimize=True)
    return file.getvalue()


def scores(
    original: Float[np.ndarray, "n height width 1"], other: Float[np.ndarray, "n height width 1"]
) -> list[str]:
    """MSE and PSNR of each image, as a text."""
    errors, ratios = mse(original, other), psnr(original, other)
    return [
        f"MSE {error:.2e}, " + (f"{ratio:.1f} dB" if error else "exact")
        for error, ratio in zip(errors, ratios, strict=True)
    ]


def examples_figure(examples: Examples) -> Figure:
    """All examples in one panel: a row an image, then what was recovered and what is wrong in it.

    Args:
        examples: what to show.

    Returns:
        Columns: original, blurred, recovered by each restorer, the error map of each; pixels are
        not smoothed.
    """
    names = [name(restorer) for restorer in examples.recovered]
    columns = [
        ("original", examples.original),
        ("blurred", examples.blurred),
        *zip((f"recovered ({each})" for each in names), examples.recovered.values(), strict=True),
    ]
    count, n = len(columns) + len(names), len(examples.titles)
    figure = new_figure(1.9 * count + 0.6, 2.2 * n + 0.3)
    panels = figure.subplots(n, count, squeeze=False)
    limit = error_limit(examples)
    style = {"vmin": 0, "interpolation": "nearest"}
    for column, (title, images) in enumerate(columns):
        panels[0, column].set_title(plain(title, 28), fontsize=9)
        texts = scores(examples.original, images)
        for axes, image, text in zip(panels[:, column], images, texts, strict=True):
            axes.imshow(image[..., 0], cmap="gray", vmax=1, **style)
            if column:
                axes.set_xlabel(text, fontsize=8)
    for column, restorer in enumerate(examples.recovered, start=len(columns)):
        panels[0, column].set_title(plain(f"error ({name(restorer)})", 28), fontsize=9)
        for axes, errors in zip(panels[:, column], examples.errors(restorer), strict=True):
            drawn = axes.imshow(errors[..., 0], cmap=COLOURS_OF_ERRORS, vmax=limit, **style)
    for axes, title in zip(panels[:, 0], examples.titles, strict=True):
        axes.set_ylabel(plain(title, 28), fontsize=9)
    for axes in panels.flat:
        axes.set(xticks=(), yticks=())
    bar = figure.colorbar(drawn, ax=panels[:, -1], extend="max", aspect=18 * n)
    bar.set_label("|recovered - original|", fontsize=8)
    bar.ax.tick_params(labelsize=8)
    return figure
