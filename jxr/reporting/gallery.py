"""The examples on the page: films in a row, error maps, a slider between two, a lens."""

from html import escape

import numpy as np
from jaxtyping import Float

from jxr.reporting.examples import Examples, error_limit, error_png, grey_png, scale_png, scores
from jxr.reporting.html import data_uri
from jxr.reporting.labels import name

FIRST = 5  # the report's Figures 5 and 6 show recovered images
FILM, PICTURE = 224, 448  # about as wide as films and slider should be, in CSS pixels
LENS = (
    '<div class="lens" hidden><button type="button">Zoom in</button>'
    '<button type="button">Zoom out</button><button type="button">Whole picture</button>'
    ' <output></output> <span class="place"></span></div>\n'
)


def gallery(examples: Examples, blur: str) -> str:
    """The examples in HTML; what needs the script is hidden until it runs.

    Args:
        examples: what to show.
        blur: what was done to the images, in words.
    """
    limit = error_limit(examples)
    shape = examples.original.shape
    intro = (
        f"<p>Blur: {escape(blur)}. Each pixel of the {shape[2]}&nbsp;&times;&nbsp;{shape[1]} images"
        " is a block, not smoothed. The pictures are rounded to 8 bits; MSE and PSNR are those of"
        " the image itself, before rounding. Error maps show |recovered &minus; original|, pixel"
        " values in [0, 1], all on one scale:</p>\n"
        f'<div class="scale"><span>0</span><img class="map" alt="black to pale yellow"'
        f' data-limit="{limit:.2g}" src="{data_uri(scale_png())}">'
        f"<span>{limit:.2g} and more</span></div>\n"
        '<p class="hint" hidden>All pictures of an example are enlarged and moved together: by the'
        " buttons, by + and &minus;, arrows and 0, by dragging, by two fingers, or by the wheel"
        " once a picture was clicked. Below each stands its value at the pointer, of the picture,"
        " so rounded to 8 bits; errors are rounded to a 256th of their scale.</p>\n"
    )
    blurred = scores(examples.original, examples.blurred)
    recovered = {
        restorer: scores(examples.original, images)
        for restorer, images in examples.recovered.items()
    }
    parts = [intro]
    for i, title in enumerate(examples.titles):
        parts += [
            f'<figure class="example" data-columns="{shape[2]}" data-rows="{shape[1]}">\n'
            f"<h3>Figure {FIRST + i}: {escape(title)}</h3>\n"
            f'<div class="pictures" role="group" aria-label="pictures: {escape(title)}">\n'
            f"{LENS}"
        ]
        parts += ['<div class="films">\n<div class="compared">\n<div class="films row">\n']
        parts += [film(grey_png(examples.original[i]), shape, "original", f"original, {title}")]
        parts += [
            film(
                grey_png(examples.blurred[i]), shape, "blurred", f"blurred, {title}", blurred[i],
                mark="data-blurred",
            ),
            "</div>\n",
            slider(examples, i),
            "</div>\n",
        ]  # fmt: skip
        for restorer, images in examples.recovered.items():
            by = f"recovered ({name(restorer)})"
            parts += ['<div class="films">\n']
            parts += [
                film(
                    grey_png(images[i]), shape, by, f"{by}, {title}", recovered[restorer][i],
                    mark=f'data-restorer="{escape(by)}"',
                ),
                error_film(examples, restorer, i, limit),
                "</div>\n",
            ]  # fmt: skip
        parts += ["</div>\n</div>\n</figure>\n"]
    return "".join(parts)


def film(
    data: bytes,
    shape: tuple[int, ...],
    caption: str,
    alternative: str,
    score: str = "",
    *,
    mark: str = "",
    kind: str = "radiograph",
) -> str:
    """One picture with a line or two below it."""
    width, height = size(shape, FILM)
    below = f"<span>{escape(score)}</span>" if score else ""
    return (
        f'<div class="film"><div class="view"><img class="{kind}" alt="{escape(alternative)}"'
        f' {mark} width="{width}" height="{height}" src="{data_uri(data)}"></div>'
        f"{escape(caption)}{below}</div>\n"
    )


def error_film(examples: Examples, restorer: str, i: int, limit: float) -> str:
    """The error map of one recovered image, with its largest error."""
    errors: Float[np.ndarray, "height width 1"] = examples.errors(restorer)[i]
    caption = f"error ({name(restorer)})"
    return film(
        error_png(errors, limit), examples.original.shape, caption,
        f"{caption}, {examples.titles[i]}", f"largest {errors.max():.2g}", kind="map",
    )  # fmt: skip


def size(shape: tuple[int, ...], wanted: int) -> tuple[int, int]:
    """Width and height in CSS pixels: a whole multiple of the image's, about `wanted` wide."""
    times = max(1, round(wanted / shape[2]))
    return times * shape[2], times * shape[1]


def slider(examples: Examples, i: int) -> str:
    """The place of the slider; the script puts the pictures in and shows it."""
    width, height = size(examples.original.shape, PICTURE)
    label = f"blurred to the left, recovered to the right: {examples.titles[i]}"
    choices = ""
    if len(examples.recovered) > 1:
        for number, restorer in enumerate(examples.recovered):
            choices += (
                f'<label><input type="radio" name="restorer{i}" value="{number}"'
                f"{'' if number else ' checked'}> {escape(name(restorer))}</label>\n"
            )
        choices = f'<fieldset aria-label="recovered by">\n{choices}</fieldset>\n'
    return (
        f'<div class="slider" hidden data-width="{width}" data-height="{height}">\n'
        '<div class="stack"><div class="line"></div><input type="range" min="0" max="100"'
        f' value="50" data-before="blurred" aria-label="{escape(label)}"></div>\n'
        '<div class="sides"><span>blurred</span><span class="after"></span></div>\n'
        f"{choices}</div>\n"
    )
