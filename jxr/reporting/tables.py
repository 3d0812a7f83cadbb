"""Tables of results.json as text cells, and as Markdown for a README or a log."""

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from jxr.reporting.labels import DASH, Row, arm, blur, name
from jxr.reporting.report_values import published_accuracy, published_mse

BEST_THRESHOLD = "Accuracy if these images chose the threshold"


@dataclass(frozen=True)
class Table:
    """A table of plain text, not yet escaped for any format.

    Attributes:
        columns: the heads of the columns.
        rows: one text for each column.
        words: the columns that hold words; the others hold numbers, aligned to the right.
    """

    columns: tuple[str, ...]
    rows: Sequence[tuple[str, ...]]
    words: tuple[str, ...]


def tabulated(records: Sequence[Mapping[str, str]], words: tuple[str, ...]) -> Table:
    """A table of records that all have the same keys: the heads of the columns, in order."""
    columns = tuple(records[0]) if records else ()
    return Table(columns, [tuple(record.values()) for record in records], words)


def number(value: float | int | None, spec: str) -> str:
    """A number in a format of Python's, or a dash for None."""
    return DASH if value is None else format(value, spec)


def with_interval(value: float, interval: Sequence[float]) -> str:
    """A fraction with its interval, as `0.875 [0.847, 0.899]`."""
    low, high = interval
    return f"{value:.4f} [{low:.3f}, {high:.3f}]"


def estimate(row: Row, key: str) -> str:
    """An estimate of a row with its 95 % interval."""
    return with_interval(row[key], row[f"{key}_ci95"])


def scores(row: Row) -> dict[str, str]:
    """The cells of a classifier's four scores, under their heads."""
    return {
        "Accuracy [95 %]": estimate(row, "accuracy"),
        "AUC [95 %]": estimate(row, "auc"),
        "Sensitivity": number(row["sensitivity"], ".3f"),
        "Specificity": number(row["specificity"], ".3f"),
    }


def to_hundredths(value: float | None, interval: Sequence[float | None]) -> str:
    """A number with its interval, as `2.41 [1.90, 3.05]`, dashes for None; all None: one dash."""
    found, low, high = (number(x, ".2f") for x in (value, *interval))
    return DASH if {found, low, high} == {DASH} else f"{found} [{low}, {high}]"


def p_value(value: float) -> str:
    """A test's p-value to three digits after the point."""
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def classification_table(rows: Sequence[Row]) -> Table:
    """Accuracy and AUC of each classifier, the report's accuracy beside ours, if it has any.

    Args:
        rows: `classification` of results.json.

    Returns:
        One row for each, in the same order.
    """
    records = [
        {
            "Task": name(row["task"]),
            "Trained → tested on": arm(row),
            "Accuracy [95 %]": estimate(row, "accuracy"),
            # In the report's digits: four, and two of 0.74.
            "Report": number(published_accuracy(row), ".4f").removesuffix("00"),
            "AUC [95 %]": estimate(row, "auc"),
            "Sensitivity": number(row["sensitivity"], ".3f"),
            "Specificity": number(row["specificity"], ".3f"),
            "Images": str(row["n"]),
            "Seeds": str(len(row["seeds"])),
            "Recipe": row["recipe"],
            "Blur": blur(row),
        }
        for row in rows
    ]
    table = tabulated(records, words=("Task", "Trained → tested on", "Recipe", "Blur"))
    return table if any(map(published_accuracy, rows)) else without(table, {"Report"})


def restoration_table(rows: Sequence[Row]) -> Table:
    """Errors of each restoration, the report's beside ours, if it has any.

    Args:
        rows: `restoration` of results.json.

    Returns:
        One row for each, in the same order. A null `psnr` (an image restored exactly) is a dash.
    """
    records = [
        {
            "PSF": name(row["psf"]),
            "Blur": blur(row),
            "Method": name(row["method"]),
            "Recipe": DASH if row["recipe"] in (None, "none") else row["recipe"],
            "MSE": number(row["mse"], ".3e"),
            "Report's MSE": number(published_mse(row), ".3e"),
            "PSNR (dB)": number(row["psnr"], ".2f"),
            "SSIM": number(row["ssim"], ".4f"),
            "Images": str(row["n"]),
        }
        for row in rows
    ]
    table = tabulated(records, words=("PSF", "Blur", "Method", "Recipe"))
    return table if any(map(published_mse, rows)) else without(table, {"Report's MSE"})


def error_table(rows: Sequence[Row]) -> Table:
    """Mean squared errors of the restorations, a row for each blur, the report's U-Net beside ours.

    Args:
        rows: `restoration` of results.json, each blur with the same methods.
    """
    blurs = list(dict.fromkeys(map(blur, rows)))
    methods = list(dict.fromkeys(row["method"] for row in rows))
    errors = {(blur(row), row["method"]): row["mse"] for row in rows}
    published = {blur(row): published_mse(row) for row in rows if row["method"] == "unet"}
    return Table(
        columns=("Blur", *(name(method) for method in methods), "Report's U-Net"),
        rows=[
            (
                one,
                *(number(errors[one, method], ".3e") for method in methods),
                number(published[one], ".3e"),
            )
            for one in blurs
        ],
        words=("Blur",),
    )


def paired_table(rows: Sequence[Row]) -> Table:
    """McNemar's tests between classifiers on the same images.

    Args:
        rows: `paired` of results.json; `seed` is null if seeds are pooled.

    Returns:
        One row for each, in the same order.
    """
    records = [
        {
            "Task": name(row["task"]),
            "A": row["classifier_a"],
            "B": row["classifier_b"],
            "Seed": "all" if row["seed"] is None else str(row["seed"]),
            "Images": str(row["n"]),
            "Only A right": str(row["b"]),
            "Only B right": str(row["c"]),
            "p": p_value(row["p_value"]),
        }
        for row in rows
    ]
    return tabulated(records, words=("Task", "A", "B"))


def summary(results: Mapping[str, Any]) -> str:
    """The two tables that a README shows, as Markdown: what the report has a number for, mostly.

    Args:
        results: the content of results.json.

    Returns:
        Markdown text: classifiers that the report speaks of or that see restored images, then the
        errors of the restorations; the columns that are the same all over are left out.
    """
    rows = [
        row
        for row in results["classification"]
        if row["train_on"] == "original" or row["test_on"] == "blurred"
    ]
    classification = without(classification_table(rows), {"Images", "Seeds", "Recipe", "Blur"})
    errors = error_table(results["restoration"])
    return f"{to_markdown(classification)}\n{to_markdown(errors)}"


def without(table: Table, columns: Set[str]) -> Table:
    """The table without some of its columns."""
    kept = [i for i, column in enumerate(table.columns) if column not in columns]
    return Table(
        columns=tuple(table.columns[i] for i in kept),
        rows=[tuple(row[i] for i in kept) for row in table.rows],
        words=table.words,
    )


def sections(tables: Mapping[str, Table]) -> str:
    """Tables in Markdown, each under its title; those without rows are left out."""
    return "\n".join(
        f"## {title}\n\n{to_markdown(table)}" for title, table in tables.items() if table.rows
    )


def to_markdown(table: Table) -> str:
    """The table in GitHub's Markdown, with a newline at the end.

    Args:
        table: any; bars and line ends within its cells are made harmless.

    Returns:
        Markdown text.
    """

    def line(cells: Sequence[str]) -> str:
        clean = [" ".join(cell.split()).replace("|", "\\|") for cell in cells]
        return f"| {' | '.join(clean)} |"

    rule = ["---" if column in table.words else "---:" for column in table.columns]
    lines = [line(table.columns), f"| {' | '.join(rule)} |", *map(line, table.rows)]
    return "\n".join(lines) + "\n"
