"""What the rows of results.json are called in tables and charts."""

from collections.abc import Iterable, Mapping
from typing import Any

Row = Mapping[str, Any]

# By name: linters take these characters for slips of the keyboard.
SIGMA = "\N{GREEK SMALL LETTER SIGMA}"
DASH = "\N{EN DASH}"
TIMES = "\N{MULTIPLICATION SIGN}"

NAMES = {
    "normal_vs_pneumonia": "Normal vs pneumonia",
    "bacterial_vs_viral": "Bacterial vs viral",
    "none": "not restored",
    "unet": "U-Net",
    "wiener": "Wiener",
    "wiener_net": "Wiener network",
    "tikhonov_gradient": "Tikhonov (gradient)",
    "richardson_lucy": "Richardson-Lucy",
    "total_variation": "Total variation",
}
SCORES = {"accuracy": "accuracy", "auc": "AUC"}  # what a chart has a panel of


def name(key: str) -> str:
    """The readable name of a task, method or restorer; its key where it has none."""
    return NAMES.get(key, key.replace("_", " "))


def arm(row: Row) -> str:
    """On which images the classifier was trained and tested, as `original → recovered (U-Net)`."""
    restorer = f" ({name(row['restorer'])})" if row["restorer"] else ""
    return f"{row['train_on']} → {row['test_on']}{restorer}"


def only_originals(row: Row) -> bool:
    """Whether a row of `classification` has nothing to do with blur, whatever else it carries."""
    return row.get("train_on") == row.get("test_on") == "original"


def blur(row: Row) -> str:
    """Everything that a number depends on besides the method: blur, noise, rounding, boundary."""
    if only_originals(row):
        return "none"
    parts = []
    if row["sigma"] is not None:
        parts.append(f"{SIGMA} {row['sigma']:g} px {row['convention']}")
    if row["noise"] is not None:
        parts.append(f"noise {row['noise']:g}")
    if row["input_precision"] is not None:
        parts.append(row["input_precision"])
    if "boundary" in row:
        parts += [f"{row['boundary']} boundary", f"radius {row['kernel_radius']}"]
    return ", ".join(parts)


def differing(rows: Iterable[Row], keys: Iterable[str]) -> list[str]:
    """The keys that take more than one value among the rows, null aside."""
    rows = list(rows)
    return [key for key in keys if len({row[key] for row in rows} - {None}) > 1]


def suffix(row: Row, keys: Iterable[str]) -> str:
    """Short words that tell a row from its neighbours, as ` · noise 0.01`; may be empty."""
    words = {"sigma": f"{SIGMA} {{:g}}", "noise": "noise {:g}"}
    return "".join(
        f" · {words.get(key, '{}').format(row[key])}"
        for key in keys
        if row[key] is not None and (key == "recipe" or not only_originals(row))
    )
