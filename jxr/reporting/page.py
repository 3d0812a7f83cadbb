"""The report of a run: one HTML file that needs nothing else, on a desk or a phone."""

from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

from jxr.files import write_whole
from jxr.optics import kernel_radius
from jxr.reporting.examples import Examples
from jxr.reporting.gallery import gallery
from jxr.reporting.html import chart, compact, flat, foot, head, html_table
from jxr.reporting.labels import Row, blur, name, only_originals
from jxr.reporting.report_values import published_accuracy
from jxr.reporting.sweep_curves import sweep_section
from jxr.reporting.tables import (
    Table,
    classification_table,
    paired_table,
    restoration_table,
    without,
)

TITLE = "Chest X-rays under focal-spot blur"

# HTML without tags, written here, never taken from results. The numbers are the report's.
CAPTIONS = {
    "structure": "Figure 1. The general structure, as built in this run. The convolutions are the"
    " same for all images; a classifier is trained for each task and seed.",
    "kernel": "Figure 2. The blur kernel. The report prints exp(-r&sup2;/&sigma;&sup2;), whose"
    " standard deviation is &sigma;/&radic;2 (&ldquo;report&rdquo;), but calls &sigma; the standard"
    " deviation (&ldquo;standard&rdquo;). Both have unit sum.",
    "unet": "Figure 3. The U-Net as built in this run; channels above the blocks, pixels below, for"
    " a whole image.",
    "table1": "Accuracy on the test images at threshold 0.5. Lines are 95 % bootstrap intervals"
    " over the patients of the test images, of the mean over seeds",
    "roc": "Figure 4. ROC curves, one thin line a seed; the report's figure has those on the left.",
    "restoration": "Mean squared error of the pixel values in [0, 1], all test images; an error of"
    " 0 stands on the left edge.",
}
STRESS_TEST = (
    "<p>&sigma; is in pixels of the resized image. A focal spot of 1 mm at a magnification of 1.11"
    " has a penumbra of 0.06 to 0.08 pixels at 224&nbsp;&times;&nbsp;224 (a chest of 43 or 30 cm),"
    " so that the report's &sigma; = 2 is a stress test, not a clinical blur.</p>\n"
)
INTERVALS = (
    " In brackets 95 % intervals of the AUC: bootstrap over the patients of the test images, not"
    " stratified by class, the same patients for all seeds, of the mean over seeds."
)
DIAMONDS = "; diamonds are the report's numbers, which come without intervals"
BANDS = (
    " Bands are such intervals of the sensitivity at each false positive rate by itself, not of the"
    " whole curve at once."
)

# Charts of panels side by side: a phone scrolls them rather than shrinks them beyond reading.
WIDE = {"structure", "kernel", "unet", "roc"}


def write_page(
    results: Mapping[str, Any],
    figures: Mapping[str, Path],
    path: Path,
    examples: Examples | None = None,
) -> None:
    """Writes the page, whole or not at all.

    Args:
        results: the content of results.json: `provenance`, `classification`, `restoration`,
            `paired`, `roc`, `sweep`. An empty list leaves its section out. `notes` in the
            provenance, if any, stand at the top, and that the weights are random; `roc_band` and
            `sweep`, which older runs lack, may be missing.
        figures: SVG or PNG files from `write_figures`; they are embedded.
        path: of the HTML file; its folder is made if need be.
        examples: images to show before and after blur and restoration.

    Raises:
        ValueError: a figure has a name without a caption.
    """
    if unknown := set(figures) - set(CAPTIONS):
        raise ValueError(f"no caption for figures {sorted(unknown)}; add it to CAPTIONS")
    captions = dict(CAPTIONS)
    captions["table1"] += (
        DIAMONDS if any(map(published_accuracy, results["classification"])) else ""
    )
    captions["table1"] += "."
    captions["roc"] += INTERVALS + (BANDS if results.get("roc_band") else "")
    charts = {key: chart(file, captions[key], key in WIDE) for key, file in figures.items()}
    sections = {key: html for key, html in page_sections(results, charts, examples).items() if html}
    links = "".join(f'<a href="#{anchor(title)}">{title}</a>\n' for title in sections)
    parts = [
        head(TITLE),
        f"<h1>{TITLE}</h1>\n",
        f"<p>{escape(what_ran(results))}</p>\n",
        *(f'<p class="note">{escape(note)}</p>\n' for note in all_notes(results)),
        f"<nav>\n{links}</nav>\n",
        *(f'<h2 id="{anchor(key)}">{key}</h2>\n{html}' for key, html in sections.items()),
        foot(),
    ]
    # No other line ends, whatever the system: the style and the script are named by their hashes.
    write_whole(path, "".join(parts).encode())


def page_sections(
    results: Mapping[str, Any], charts: Mapping[str, str], examples: Examples | None
) -> dict[str, str]:
    """The HTML below each heading, in order; empty where there is nothing to say."""
    rows, restored = results["classification"], results["restoration"]
    own_kind = [row for row in rows if row["train_on"] == row["test_on"]]
    table1 = without(classification_table(own_kind), {"Sensitivity", "Specificity"})
    sections = {
        "Structure": charts.get("structure", ""),
        "Blur": STRESS_TEST + charts.get("kernel", ""),
        "Classification": "",
        "Do two classifiers differ?": "",
        "Scores over sigma": sweep_section(results["sweep"]) if results.get("sweep") else "",
        "Restoration": charts.get("unet", "") + charts.get("restoration", ""),
        "Recovered images": "" if examples is None else gallery(examples, run_blur(results)),
    }
    if rows:
        published = any(map(published_accuracy, own_kind))
        beside = "Table 1, beside the report's numbers"
        sections["Classification"] = (
            f"<h3>{beside if published else 'Trained and tested on the same kind'}</h3>\n"
            + compact(table1)
            + charts.get("table1", "")
            + charts.get("roc", "")
            + "<h3>Every classifier on every kind of images</h3>\n"
            + compact(classification_table(rows))
        )
    if results["paired"]:
        sections["Do two classifiers differ?"] = (
            "<p>McNemar's exact test on the same images, two-sided, a patient's images together: p"
            " does not follow from the two counts alone. Not corrected for the number of tests."
            "</p>\n" + html_table(paired_table(results["paired"]))
        )
    if restored:
        sections["Restoration"] += compact(restoration_table(restored))
    origin = Table(("Key", "Value"), flat(results["provenance"]), words=("Key", "Value"))
    sections["Provenance"] = (
        "<details><summary>Versions, config, fingerprints, times</summary>\n"
        f"{html_table(origin, sortable=False)}</details>\n"
    )
    return sections


def anchor(title: str) -> str:
    """The name of a heading in an address."""
    return "".join(character for character in title.lower() if character.isalnum())


def all_notes(results: Mapping[str, Any]) -> list[str]:
    """What a reader has to know first: random weights, and the run's own notes."""
    provenance = results["provenance"]
    random = provenance["config"]["weights"]["kind"] == "random"
    own = (
        "The weights of VGG-16 are seeded random numbers in this run, not those trained on"
        " ImageNet: its accuracies do not compare with the report's.",
    )
    return list(dict.fromkeys([*(own if random else ()), *provenance.get("notes", [])]))


def run_blur(results: Mapping[str, Any]) -> str:
    """The blur of the run's classification, which its examples show, in words."""
    config = results["provenance"]["config"]["blur"]
    return blur({**config, "kernel_radius": kernel_radius(config["sigma"], config["convention"])})


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
