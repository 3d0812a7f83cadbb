"""What a run says of image files, as a table for spreadsheets, as JSON, and in plain words."""

import csv
import io
from pathlib import Path
from typing import Any, NamedTuple

from scipy.special import expit

from jxr.config import ClassifierRun
from jxr.provenance import provenance
from jxr.studies.radiographs.batch_files import Failure
from jxr.studies.radiographs.calibrated_runs import CalibratedRun, Question

RESEARCH = "Research code: this is no medical device, and what it says is no diagnosis."
GRADCAM = (
    "The overlays are Grad-CAM (Selvaraju et al. 2017) on VGG-16's last convolution: coloured is"
    " what speaks for the second class of a question, by a linear approximation, on a grid of {0} x"
    " {0} places, each of which has seen most of the image. Colours are relative to the highest"
    " place of each image: they cannot be compared between images, and no colour means that no"
    " place speaks for it. The map shows what the classifier goes by, which may be a marker, a"
    " border or the style of acquisition as well as a lung. It does not localise disease."
)


class Prediction(NamedTuple):
    """What is said of one file, in the order of the questions."""

    path: str  # below the input folder
    log_odds: tuple[float, ...]  # calibrated, of the positive class
    overlays: tuple[str, ...]  # files below the output folder; none unless wanted


class Classified(NamedTuple):
    """What is said of all files."""

    run: CalibratedRun
    predictions: tuple[Prediction, ...]
    failures: tuple[Failure, ...]
    notes: tuple[str, ...]


def probability(log_odds: float) -> float:
    """Returns the probability that has these log-odds."""
    return float(expit(log_odds))


def decision(question: Question, log_odds: float) -> str:
    """Returns the class that is at least as probable as the other."""
    return question.classes[int(log_odds >= 0)]


def reason(failure: Failure) -> str:
    """Returns why a file failed, without its name."""
    return failure.reason.removeprefix(f"{failure.path}: ")


def table(found: Classified, root: Path) -> str:
    """Returns the CSV: a row for each file, by path; where one failed, only why.

    Columns: `path`; for each question `TASK: probability of CLASS`, calibrated, of its second
    class, and `TASK: decision`, a class; `error`, empty if there was none.
    """
    header = ["path"]
    for question in found.run.questions:
        header.append(f"{question.task}: probability of {question.classes[1]}")
        header.append(f"{question.task}: decision")
    rows = []
    for prediction in found.predictions:
        row: list[Any] = [prediction.path]
        for question, log_odds in zip(found.run.questions, prediction.log_odds, strict=True):
            row += [probability(log_odds), decision(question, log_odds)]
        rows.append([*row, ""])
    for failure in found.failures:
        path = failure.path.relative_to(root).as_posix()
        rows.append([path, *[""] * (len(header) - 1), reason(failure)])
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([[*header, "error"], *sorted(rows)])
    return stream.getvalue()


def details(found: Classified, root: Path) -> dict[str, Any]:
    """Returns the JSON: all of the table, with log-odds, overlays, calibration and origin."""
    predictions = []
    for prediction in found.predictions:
        answers: dict[str, Any] = {}
        for number, question in enumerate(found.run.questions):
            log_odds = prediction.log_odds[number]
            negative, positive = question.classes
            answers[question.task] = {
                "probability": {
                    negative: probability(-log_odds),
                    positive: probability(log_odds),
                },
                "log_odds": log_odds,
                "decision": decision(question, log_odds),
                "gradcam": prediction.overlays[number] if prediction.overlays else None,
            }
        predictions.append({"path": prediction.path, "answers": answers})
    return {
        "notes": list(found.notes),
        "files": len(found.predictions) + len(found.failures),
        "classified": len(found.predictions),
        "predictions": predictions,
        "failed": [
            {"path": failure.path.relative_to(root).as_posix(), "error": reason(failure)}
            for failure in found.failures
        ],
        "calibration": found.run.calibration,
        "provenance": provenance(found.run.config, **found.run.fingerprints),
    }


def counts(found: Classified) -> list[str]:
    """Returns a line for each question: how many images were decided for which class."""
    lines = []
    for number, question in enumerate(found.run.questions):
        decided = [decision(question, one.log_odds[number]) for one in found.predictions]
        each = ", ".join(f"{decided.count(name)} {name}" for name in question.classes)
        lines.append(f"{question.task}: {each}")
    return lines


def notes_of(run: CalibratedRun, *, gradcam: bool) -> tuple[str, ...]:
    """Returns what whoever reads the predictions should know, the most important first."""
    notes = [RESEARCH]
    for question, task in zip(run.questions, run.calibration["tasks"], strict=True):
        negative, positive = question.classes
        share = task["positives"] / task["images"]
        notes.append(
            f"{question.task}: the probability of {positive}, calibrated on {task['images']}"
            f" validation images of the run, {share:.0%} of them {positive}; decided at 0.5. It"
            f" holds for images like those: where {positive} is rarer or more frequent, or devices"
            f" or patients are others, it can be far off. That an image shows either {negative} or"
            f" {positive} is taken for granted."
        )
    if isinstance(run.config, ClassifierRun) and run.config.train_on == "blurred":
        notes.append("The run was trained on blurred images; these are classified as they are.")
    if run.config.data.source == "phantoms":
        notes.append("The run was trained on synthetic chests: of patients it knows nothing.")
    if gradcam:
        notes.append(GRADCAM.format(run.config.data.size // 16))
    return tuple(notes)
