"""Pieces of HTML: escaped texts, tables, embedded images, and a head that forbids the network."""

import base64
import hashlib
from collections.abc import Mapping, Sequence
from html import escape
from importlib import resources
from pathlib import Path
from typing import Any

from jxr.reporting.labels import DASH
from jxr.reporting.tables import Table, without

KINDS = {".svg": "svg+xml", ".png": "png"}
STYLES = ("page.css", "films.css", "sweep.css")
SCRIPTS = ("slider.js", "lens.js", "values.js", "curves.js", "sort.js")  # in this order

OFTEN_EQUAL = {"PSF", "Images", "Seeds", "Recipe"}


def head(title: str) -> str:
    """The document up to its body, with the style inside.

    `default-src 'none'` lets the browser prove that the page fetches nothing; only this very style
    and these very scripts may run, named by their hashes.
    """
    style = "\n".join(read(file) for file in STYLES)
    scripts = " ".join(f"'{content_hash(read(file))}'" for file in SCRIPTS)
    policy = (
        "default-src 'none'; img-src data:;"
        f" style-src '{content_hash(style)}'; script-src {scripts};"
        " base-uri 'none'; form-action 'none'"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{policy}">\n'
        f"<title>{escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
    )


def foot() -> str:
    """The scripts and the end of the document. As modules, they share no names."""
    scripts = "".join(f'<script type="module">{read(file)}</script>\n' for file in SCRIPTS)
    return f"{scripts}</body>\n</html>\n"


def read(file: str) -> str:
    """The text of a file beside this module."""
    return resources.files("jxr.reporting").joinpath(file).read_text(encoding="utf-8")


def content_hash(text: str) -> str:
    """The hash by which a content security policy names an inline style or script."""
    digest = hashlib.sha256(text.encode("utf-8")).digest()
    return f"sha256-{base64.b64encode(digest).decode('ascii')}"


def data_uri(data: bytes, kind: str = "png") -> str:
    """The bytes of an image as an address that needs no file."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode('ascii')}"


def chart(file: Path, caption: str, wide: bool) -> str:
    """A figure with the image inside and its caption.

    Args:
        file: SVG or PNG.
        caption: HTML without tags, for it is the image's alternative text too.
        wide: whether a phone should show it larger than its screen, to be scrolled.
    """
    style = "chart wide" if wide else "chart"
    uri = data_uri(file.read_bytes(), KINDS[file.suffix])
    return (
        f'<figure class="{style}"><div class="scroll"><img alt="{caption}" src="{uri}"></div>\n'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def compact(table: Table) -> str:
    """The table in HTML; of `OFTEN_EQUAL`, what is the same in all its rows is said below it."""
    once = {}
    for i, column in enumerate(table.columns):
        values = {row[i] for row in table.rows}
        if column in OFTEN_EQUAL and len(values) == 1:
            once[column] = values.pop()
    words = ", ".join(f"{column}: {value}" for column, value in once.items())
    below = f'<p class="below">In all rows: {escape(words)}.</p>\n' if once else ""
    return html_table(without(table, once.keys())) + below


def html_table(table: Table, sortable: bool = True) -> str:
    """The table in HTML, every cell escaped, numbers aligned to the right.

    Args:
        table: any.
        sortable: whether the script lets a reader sort it.
    """

    def line(cells: Sequence[str], tag: str) -> str:
        inner = ""
        for column, cell in zip(table.columns, cells, strict=True):
            style = "" if column in table.words else ' class="number"'
            inner += f"<{tag}{style}>{escape(cell)}</{tag}>"
        return f"<tr>{inner}</tr>\n"

    body = "".join(line(row, "td") for row in table.rows)
    kind = ' class="sortable"' if sortable else ""
    return (
        f'<div class="scroll"><table{kind}>\n<thead>\n{line(table.columns, "th")}</thead>\n'
        f"<tbody>\n{body}</tbody>\n</table></div>\n"
    )


def flat(values: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    """Nested values as pairs of a dotted key and a text."""
    pairs = []
    for key, value in values.items():
        if isinstance(value, Mapping):
            pairs += flat(value, f"{prefix}{key}.")
        else:
            pairs.append((f"{prefix}{key}", DASH if value is None else str(value)))
    return pairs
