"""The report of a run: one HTML file that needs nothing else, on a desk or a phone."""

import base64
import os
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from jxr.reporting.labels import DASH, Row, blur, name, only_originals
from jxr.reporting.tables import Table, classification_table, paired_table, restoration_table

TITLE = "Chest X-rays under focal-spot blur"

# HTML, not text: written here, never taken from results.
CAPTIONS = {
    "kernel": "The blur kernel. The report prints exp(-r&sup2;/&sigma;&sup2;), whose standard"
    " deviation is &sigma;/&radic;2 (&ldquo;report&rdquo;), but calls &sigma; the standard"
    " deviation (&ldquo;standard&rdquo;). Both have unit sum.",
    "table1": "Accuracy on the test images at threshold 0.5. Lines are 95 % bootstrap intervals"
    " over test images of the mean over seeds; diamonds are the report's numbers, which come"
    " without intervals.",
    "roc": "ROC curves, one thin line a seed.",
    "restoration": "Mean squared error of the pixel values in [0, 1], all test images.",
}

# Charts of panels side by side: a phone scrolls them rather than shrinks them beyond reading.
SIDE_BY_SIDE = {"kernel", "roc"}

# `default-src 'none'` lets the browser prove that the page fetches nothing.
HEAD = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; --ink: #1b1f24; --faint: #5d6670; --line: #d9dee3;
 --ground: #ffffff; --panel: #f5f7f9; }}
@media (prefers-color-scheme: dark) {{
 :root {{ --ink: #e4e8ec; --faint: #9aa5b0; --line: #343b43; --ground: #14181c; --panel: #1d2329; }}
 /* Inverts the light charts and turns the hues back. */
 figure img {{ filter: invert(0.92) hue-rotate(180deg); }} }}
* {{ box-sizing: border-box; }}
body {{ margin: 0 auto; padding: 1.5rem 1rem 4rem; max-width: 84rem; color: var(--ink);
 background: var(--ground); font: 1rem/1.55 system-ui, sans-serif; }}
p, figcaption {{ max-width: 48rem; }}
h1 {{ font-size: 1.7rem; line-height: 1.2; margin: 0 0 .5rem; }}
h2 {{ font-size: 1.2rem; margin: 2.5rem 0 .5rem; }}
.note {{ border-left: .25rem solid #d55e00; background: var(--panel); padding: .6rem .9rem; }}
.scroll {{ overflow-x: auto; }}
table {{ border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; }}
th, td {{ padding: .35rem .6rem; border-bottom: 1px solid var(--line); text-align: left;
 vertical-align: top; white-space: nowrap; }}
th {{ color: var(--faint); font-weight: 600; }}
.number {{ text-align: right; }}
figure {{ margin: 1.2rem 0; }}
figure img {{ display: block; width: 100%; min-width: 21rem; max-width: 48rem; }}
figure.wide img {{ min-width: 38rem; }}
figcaption {{ color: var(--faint); font-size: .9rem; }}
details td {{ white-space: normal; overflow-wrap: anywhere; }}
</style>
</head>
<body>
"""


def write_page(
    results: Mapping[str, Any],
    figures: Mapping[str, Path],
    path: Path,
    notes: Sequence[str] = (),
) -> None:
    """Writes the page, whole or not at all.

    Args:
        results: the content of results.json: `provenance`, `classification`, `restoration`,
            `paired`, `roc`. An empty list leaves its section out.
        figures: SVG or PNG files from `write_figures`; they are embedded.
        path: of the HTML file; its folder is made if need be.
        notes: warnings to stand at the top, such as that the images are phantoms. That the
            kernels are random is said without one.

    Raises:
        ValueError: a figure has a name without a caption.
    """
    if unknown := set(figures) - set(CAPTIONS):
        raise ValueError(f"no caption for figures {sorted(unknown)}; add it to CAPTIONS")
    charts = {key: chart(key, file) for key, file in figures.items()}
    provenance = results["provenance"]
    if provenance["config"]["weights"]["kind"] == "random":
        notes = (
            "The kernels of VGG-16 are seeded random numbers in this run, not those trained on"
            " ImageNet: its accuracies do not compare with the report's.",
            *notes,
        )
    parts = [
        HEAD.format(title=TITLE),
        f"<h1>{TITLE}</h1>\n",
        f"<p>{escape(what_ran(results))}</p>\n",
        *(f'<p class="note">{escape(note)}</p>\n' for note in notes),
        "<p>&sigma; is in pixels of the resized image. A focal spot of 1 mm at a magnification of"
        " 1.11 blurs by about 0.1 pixel at 224 &times; 224, so that the report's &sigma; = 2 is a"
        " stress test, not a clinical blur.</p>\n",
        charts.get("kernel", ""),
    ]
    if results["classification"]:
        parts += ["<h2>Classification</h2>\n", charts.get("table1", "")]
        parts += [html_table(classification_table(results["classification"]))]
        parts += [charts.get("roc", "")]
    if results["paired"]:
        parts += [
            "<h2>Do two classifiers differ?</h2>\n<p>McNemar's exact test on the same images,"
            " two-sided, not corrected for the number of tests.</p>\n",
            html_table(paired_table(results["paired"])),
        ]
    if results["restoration"]:
        parts += ["<h2>Restoration</h2>\n", charts.get("restoration", "")]
        parts += [html_table(restoration_table(results["restoration"]))]
    origin = Table(("Key", "Value"), flat(provenance), words=("Key", "Value"))
    parts += ["<h2>Provenance</h2>\n<details><summary>Versions, config, fingerprints, times"]
    parts += ["</summary>\n", html_table(origin), "</details>\n</body>\n</html>\n"]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(path.name + ".tmp")
    temporary.write_text("".join(parts), encoding="utf-8")
    os.replace(temporary, path)


def what_ran(results: Mapping[str, Any]) -> str:
    """One paragraph: tasks, images, seeds, blur, restorers."""

    def unique(texts: Sequence[str]) -> str:
        return " and ".join(dict.fromkeys(texts))

    rows: Sequence[Row] = results["classification"]
    sentences = []
    if rows:
        tasks = unique([f"{name(row['task'])} on {row['n']} test images" for row in rows])
        seeds = max(len(row["seeds"]) for row in rows)
        blurs = unique([blur(row) for row in rows if not only_originals(row)])
        sentences.append(f"Classification: {tasks}. Seeds: {seeds}. Blur: {blurs or 'none'}.")
    rows = results["restoration"]
    if rows:
        methods = unique([name(row["method"]) for row in rows if row["method"] != "none"])
        images = unique([f"{row['n']} test images" for row in rows])
        sentences.append(f"Restoration: {methods}, on {images}.")
    return " ".join(sentences)


def chart(key: str, file: Path) -> str:
    """A figure with the image inside, as a data URI, and its caption."""
    caption = CAPTIONS[key]
    style = ' class="wide"' if key in SIDE_BY_SIDE else ""
    kind = {".svg": "svg+xml", ".png": "png"}[file.suffix]
    data = base64.b64encode(file.read_bytes()).decode("ascii")
    return (
        f'<figure{style}><div class="scroll"><img alt="{caption}"'
        f' src="data:image/{kind};base64,{data}"></div>\n'
        f"<figcaption>{caption}</figcaption></figure>\n"
    )


def html_table(table: Table) -> str:
    """The table in HTML, every cell escaped, numbers aligned to the right."""

    def line(cells: Sequence[str], tag: str) -> str:
        inner = ""
        for column, cell in zip(table.columns, cells, strict=True):
            style = "" if column in table.words else ' class="number"'
            inner += f"<{tag}{style}>{escape(cell)}</{tag}>"
        return f"<tr>{inner}</tr>\n"

    head = line(table.columns, "th")
    body = "".join(line(row, "td") for row in table.rows)
    return (
        f'<div class="scroll"><table>\n<thead>\n{head}</thead>\n<tbody>\n{body}</tbody>\n'
        "</table></div>\n"
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
