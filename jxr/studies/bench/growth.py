"""How time and memory grow: of the operators and the restorer with pixels, of sweeps with K."""

import os
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from statistics import median
from typing import Any, Literal, get_args

import jax
import jax.numpy as jnp
import numpy as np
from absl import logging

from jxr.files import write_json
from jxr.models import load_restorer
from jxr.models.large_images import restore_large
from jxr.optics import gaussian_blur, gaussian_profile
from jxr.restoration import wiener
from jxr.studies.bench import sweeps as bench_sweeps
from jxr.studies.bench.fresh_process import in_fresh_process, peak_bytes
from jxr.studies.bench.timing import SAMPLE, seconds_of, significant, waiting
from jxr.studies.field.growth import measure, noise_image
from jxr.threads import cores
from jxr.training.sweep import best_mapping

ImageWork = Literal["blur", "wiener", "low_rank", "tiled", "restorer"]
IMAGE_WORK: tuple[ImageWork, ...] = get_args(ImageWork)
SweepWork = Literal["heads", "unets"]
SWEEP_WORK: tuple[SweepWork, ...] = get_args(SweepWork)

SIGMA, RADIUS, NOISE = 2.0, 8, 0.01


def growth(
    sizes: tuple[int, ...], members: tuple[int, ...], output: Path, *, repeats: int, scale: str
) -> dict[str, Any]:
    """Measures everything, each row in a fresh process, and writes the file when all are there.

    Args:
        sizes: of square float32 images of one channel, in pixels along an axis.
        members: how many models train in one sweep.
        output: the JSON file; rows so far are in `unfinished-NAME` beside it until all are there.
        repeats: samples of each row; of many calls where they are short, but for shift-variant
            blur; the median counts.
        scale: of the models of the sweeps, see `bench_sweeps`: full or tiny.

    Returns:
        `images`: rows of `work`, `size`, `seconds`, `peak_mb` (how far the peak rose above the
        process with JAX and the image: compiling, intermediate results, result), `load`;
        `sweeps`: rows of `work`, `members`, `seconds` of a training step of all, `peak_mb` (with
        the models and their data), `load`; `exponents`: see there; and where it was measured.
    """
    unfinished = output.with_name(f"unfinished-{output.name}")
    results: dict[str, Any] = {
        "device": jax.devices()[0].device_kind,
        "threads": cores(),
        "versions": {name: version(name) for name in ("jax", "jaxlib")},
        "repeats": repeats,
        "images": [],
        "sweeps": [],
    }

    write_json(unfinished, results)  # a folder that takes no file is said before the work

    def add(table: str, row: dict[str, Any]) -> None:
        logging.info("%s", ", ".join(f"{name} {value}" for name, value in row.items()))
        results[table].append(row)
        results["exponents"] = exponents(results["images"], results["sweeps"])
        write_json(unfinished, results)

    for work in IMAGE_WORK:
        for size in sizes:
            add("images", in_fresh_process(image_row, work, size, repeats))
    for models in SWEEP_WORK:
        for count in members:
            add("sweeps", in_fresh_process(sweep_row, models, count, repeats, scale))
    unfinished.replace(output)
    return results


def exponents(
    images: list[dict[str, Any]], sweeps: list[dict[str, Any]]
) -> dict[str, dict[str, float]]:
    """Returns with which power of the pixels, or of K, each work's time and memory end to grow.

    By the last two sizes: 1 is linear, an FFT's logarithm adds about 0.07 from 2048 to 4096 pixels.
    """
    found = {}
    for rows, key, per_axis in ((images, "size", 2), (sweeps, "members", 1)):
        for work in {row["work"]: None for row in rows}:
            mine = sorted((row for row in rows if row["work"] == work), key=lambda row: row[key])
            if len(mine) < 2:
                continue
            last, before = mine[-1], mine[-2]
            grown = per_axis * np.log(last[key] / before[key])
            found[work] = {
                name: round(float(np.log(last[name] / before[name]) / grown), 2)
                for name in ("seconds", "peak_mb")
            }
    return found


def image_row(work: ImageWork, size: int, repeats: int) -> dict[str, Any]:
    """Measures one work on one image, in this process; see `growth`."""
    if work in ("low_rank", "tiled"):
        row = measure(work, size, repeats)
        return {"work": work} | {key: row[key] for key in ("size", "seconds", "peak_mb", "load")}
    image = noise_image(size)
    profile = gaussian_profile(SIGMA, radius=RADIUS)
    if work == "blur":
        call = waiting(lambda image: gaussian_blur(image, SIGMA, radius=RADIUS), image)
    elif work == "wiener":
        call = waiting(lambda image: wiener(image, profile, 1e-3), image)
    else:
        restorer, blurred = load_restorer(), np.asarray(image)
        call = lambda: restore_large(restorer, blurred, profile, noise=NOISE)  # noqa: E731
    return {"work": work, "size": size} | cost(lambda: call, repeats)


def sweep_row(work: SweepWork, members: int, repeats: int, scale: str) -> dict[str, Any]:
    """Measures a training step of a sweep, in this process; see `growth`."""

    def prepared() -> Callable[[], Any]:
        make = bench_sweeps.heads if work == "heads" else bench_sweeps.restorers
        return bench_sweeps.stacked_step(make(members, scale, best_mapping()))

    return {"work": work, "members": members} | cost(prepared, repeats)


def cost(prepared: Callable[[], Callable[[], Any]], repeats: int) -> dict[str, Any]:
    """Returns the seconds of a call after the first, and by how much the peak of memory rose.

    Args:
        prepared: returns what does the work and waits for it.
        repeats: samples of which the median counts.
    """
    # What a first compilation and a first transform take counts for nobody.
    jax.block_until_ready(jax.jit(lambda x: jnp.fft.irfft2(jnp.fft.rfft2(x)))(jnp.ones((64, 64))))
    before = peak_bytes()
    work = prepared()
    work()
    calls = max(1, round(SAMPLE / seconds_of(work, 1)))
    seconds = median(seconds_of(work, calls) for _ in range(repeats))
    return {
        "seconds": significant(seconds, 3),
        "peak_mb": round((peak_bytes() - before) / 1e6, 1),
        "load": round(os.getloadavg()[0], 1),
    }
