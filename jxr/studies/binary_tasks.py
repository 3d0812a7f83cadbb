"""Which two-class questions are asked of a set of classes, and which rows answer them."""

import re
from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
from jaxtyping import Int, Shaped

from jxr.data import LABELS, Record
from jxr.errors import UserError

# The report's two; the second class is the positive one.
REPORT_TASKS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "normal_vs_pneumonia": (("normal",), ("bacteria", "virus")),
    "bacterial_vs_viral": (("bacteria",), ("virus",)),
}
REST = "rest"
# Of two own classes, the one called so is the negative one.
NEGATIVE = ("normal", "healthy", "negative", "control")
GRAMMAR = "give NEGATIVE_vs_POSITIVE, such as A_vs_B, A_vs_B+C or rest_vs_B"


class BinaryTask(NamedTuple):
    """A question with two answers: which labels mean no (0) and which mean yes (1)."""

    name: str
    negative: tuple[str, ...]
    positive: tuple[str, ...]


class Examples(NamedTuple):
    """The images of one task in one part of the data."""

    rows: Int[np.ndarray, " n"]  # of the data set
    labels: Int[np.ndarray, " n"]  # 0 or 1
    patients: Shaped[np.ndarray, " n"]  # whose each is, by name


def binary_task(name: str, records: tuple[Record, ...]) -> BinaryTask:
    """Returns the task `name`: one of the report's, or `NEGATIVE_vs_POSITIVE` of classes.

    Several classes are joined by `+`; `rest` is every class that the other side does not name.

    Raises:
        UserError: the name is none of these, or names a class that the records do not have, or one
            whose name cannot be part of a task's.
    """
    classes = {record.label for record in records}
    if name in REPORT_TASKS and set().union(*REPORT_TASKS[name]) <= classes:
        return BinaryTask(name, *REPORT_TASKS[name])
    sides = [side.split("+") for side in name.split("_vs_")]
    if len(sides) != 2:
        raise UserError(f"task '{name}': {GRAMMAR}")
    named = {label for side in sides for label in side} - {REST}
    if unknown := sorted(named - classes):
        raise UserError(
            f"task '{name}': no class {', '.join(unknown)} among {', '.join(sorted(classes))}; ask"
            f" for {' or '.join(default_tasks(records))}, or others of these"
        )
    check_names(named)
    rest = sorted(classes - named)
    negative, positive = (tuple(rest) if side == [REST] else tuple(side) for side in sides)
    if not (negative and positive) or set(negative) & set(positive) or REST in negative + positive:
        raise UserError(f"task '{name}': both sides need classes of their own; {GRAMMAR}")
    return BinaryTask(name, negative, positive)


def default_tasks(records: tuple[Record, ...]) -> tuple[str, ...]:
    """Returns the names of the tasks that a set of classes is asked.

    The report's two for its three classes; one for two classes, in alphabetical order unless one is
    called normal (or healthy, negative, control); each class against the rest for more.

    Raises:
        UserError: fewer than two classes, or a class whose name cannot be part of a task's.
    """
    classes = sorted(
        {record.label for record in records}, key=lambda name: (not healthy(name), name)
    )
    if set(classes) == set(LABELS):
        return tuple(REPORT_TASKS)
    check_names(classes)
    if len(classes) < 2:
        raise UserError(f"only one class, {''.join(classes)}: classification needs two")
    if len(classes) == 2:
        return ("_vs_".join(classes),)
    return tuple(
        f"{label}_vs_{REST}" if healthy(label) else f"{REST}_vs_{label}" for label in classes
    )


def check_names(classes: Iterable[str]) -> None:
    """Raises UserError for a class that no task can name: files and tables are named by tasks."""
    for label in classes:
        if not re.fullmatch(r"\w[\w .()-]*", label) or "_vs_" in label or label == REST:
            raise UserError(
                f"class '{label}': rename it; letters, digits, spaces and .()-_ are fine, '_vs_'"
                f" and the word '{REST}' are not"
            )


def healthy(label: str) -> bool:
    """Whether a class is the natural negative one."""
    return label.casefold() in NEGATIVE


def examples(
    task: BinaryTask, records: tuple[Record, ...], part: Int[np.ndarray, " part"]
) -> Examples:
    """Returns those rows of `part` that the task is about.

    Raises:
        UserError: one of the two classes is empty.
    """
    answers = dict.fromkeys(task.negative, 0) | dict.fromkeys(task.positive, 1)
    rows = np.array([row for row in part if records[row].label in answers], np.int64)
    labels = np.array([answers[records[row].label] for row in rows], np.int32)
    if len(set(labels.tolist())) < 2:
        raise UserError(
            f"{task.name}: one of the two classes has no images in this part of the data"
        )
    return Examples(rows, labels, np.array([records[row].patient for row in rows]))
