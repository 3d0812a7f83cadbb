"""The benchmark: which cases there are, and how their rows get into one file."""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from absl import logging

from jxr.errors import UserError
from jxr.files import write_json, written
from jxr.studies.bench import input as bench_input
from jxr.studies.bench import networks as bench_networks
from jxr.studies.bench import optics as bench_optics
from jxr.studies.bench import restoration as bench_restoration
from jxr.studies.bench import sweeps as bench_sweeps
from jxr.studies.bench.timing import KEY, Case, measure, merged

# What is timed: how its cases are made for a scale, `full` or `tiny` (for tests of the benchmark).
CASES: dict[str, Callable[[str], Iterator[Case]]] = {
    "blur": bench_optics.blur_cases,
    "wiener": bench_restoration.wiener_cases,
    "richardson_lucy": bench_restoration.richardson_lucy_cases,
    "total_variation": bench_restoration.total_variation_cases,
    "shift_variant_blur": bench_optics.shift_variant_cases,
    "vgg_features": bench_networks.vgg_features_cases,
    "unet_train": bench_networks.unet_train_cases,
    "restorer_train": bench_networks.restorer_train_cases,
    "input": bench_input.input_cases,
    "sweep8_heads": bench_sweeps.sweep8_heads_cases,
    "sweep8_restorers": bench_sweeps.sweep8_restorers_cases,
}

# Peers that are no dependencies: the module, and what to install.
OPTIONAL = {"skimage": "scikit-image", "torch": "torch"}


def run_bench(
    wanted: Sequence[str], output: Path, *, repeats: int, scale: str = "full"
) -> list[dict[str, Any]]:
    """Measures the wanted cases and merges their rows into a file, each as soon as it is there.

    Rows whose peer is not installed are left out, with a warning.

    Args:
        wanted: names in `CASES`; none for all.
        output: the JSON file, a list of rows; other rows in it stay as they are.
        repeats: samples of each side of a case.
        scale: see `CASES`.

    Returns:
        The new rows.

    Raises:
        UserError: unknown names, a file that holds no rows, or no peer is installed.
        ValueError: results that differ, see `measure`.
    """
    if unknown := sorted(set(wanted) - set(CASES)):
        raise UserError(f"--what={unknown[0]} is unknown: give some of {', '.join(CASES)}")
    # What cannot be written or merged into is reported before hours of work.
    with written(output):
        output.parent.mkdir(parents=True, exist_ok=True)
    read_rows(output)
    new: list[dict[str, Any]] = []
    missing = set()
    for name in wanted or CASES:
        try:
            for case in CASES[name](scale):
                new.append(measure(case, repeats))
                write_json(output, merged(read_rows(output), new))
        except ModuleNotFoundError as error:
            module = (error.name or "").split(".")[0]
            if module not in OPTIONAL:
                raise
            missing.add(OPTIONAL[module])
            logging.warning("%s: rows left out, %s is not installed", name, OPTIONAL[module])
    if not new:
        raise UserError(
            f"nothing was measured: install {' and '.join(sorted(missing)) or 'another PyTorch'}"
        )
    return new


def read_rows(path: Path) -> list[dict[str, Any]]:
    """Returns the rows of a benchmark's file; none if there is no file.

    Raises:
        UserError: the file holds something else.
    """
    if not path.exists():
        return []
    try:
        rows = json.loads(path.read_text())
        if all(row.keys() >= set(KEY) for row in rows):
            return rows
    except (OSError, ValueError, AttributeError, TypeError):
        pass
    raise UserError(f"{path} holds no rows of a benchmark: give another --output, or remove it")
