"""Every restoration method in every blur setting on the test images: one table, stage by stage."""

import dataclasses
from collections.abc import Sequence
from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any

from jxr.config import BlurConfig, RestorationTableConfig
from jxr.files import write_json
from jxr.optics import Convention
from jxr.studies.dataset import load_dataset
from jxr.studies.restoration.classical import METHODS, classical_row
from jxr.studies.restoration.linear_limit import linear_limit_rows
from jxr.studies.restoration.measured_spectra import signal_spectrum
from jxr.studies.restorers import Rounding, check_blur, check_reflect
from jxr.studies.workdir import Study


def restoration_table(config: RestorationTableConfig, workdir: Path, cache: Path) -> dict[str, Any]:
    """Runs what is left of the table and returns (and writes) its results.

    For each setting: the images as they are, the Wiener filter with the spectra of training and of
    test images and with one ratio (`linear_limit`), and the methods of `classical`.

    Args:
        config: Which settings.
        workdir: Run directory; gets `results.json`.
        cache: Folder of decoded images, which other runs may share.

    Raises:
        UserError: a mistake in the config or the images.
    """
    for blur in settings(config.sigmas, config.conventions, config.noise):
        check_blur(blur, config.data.size)
        check_reflect(blur)
    dataset = load_dataset(config.data, cache)
    stages = Study(workdir, config, data=dataset.fingerprint)
    train_signal = once(lambda: signal_spectrum(dataset.images, dataset.train))

    def limit(blur: BlurConfig, rounding: Rounding) -> list[dict[str, Any]]:
        return linear_limit_rows(
            dataset, blur, seed=config.seed, rounding=rounding, train_signal=train_signal()
        )

    rows = []
    for blur in settings(config.sigmas, config.conventions, config.noise):
        for rounding in roundings(blur):
            rows += stages.run(
                f"{setting_name(blur)}/linear-limit-{rounding}", partial(limit, blur, rounding)
            )
        for method in METHODS:
            rows.append(
                stages.run(
                    f"{setting_name(blur)}/{method}",
                    partial(classical_row, method, dataset, blur, seed=config.seed),
                )
            )
    results = {
        "provenance": stages.provenance(dataset.notes),
        "restoration": rows,
    }
    write_json(workdir / "results.json", results)
    return results


def settings(
    sigmas: Sequence[float], conventions: Sequence[Convention], noise: float
) -> list[BlurConfig]:
    """Returns every blur setting: float32, 8 bits and noise, for each sigma and convention."""
    return [
        dataclasses.replace(blur, **changes)
        for sigma in sigmas
        for convention in conventions
        for blur in [BlurConfig(sigma=sigma, convention=convention)]
        for changes in ({}, {"input_precision": "8bit"}, {"noise": noise})
    ]


def roundings(blur: BlurConfig) -> tuple[Rounding, ...]:
    """Returns where images are blurred: beside noise or 8 bits, that makes no difference."""
    ideal = blur.input_precision == "float32" and not blur.noise
    return ("host", "device") if ideal else ("device",)


def setting_name(blur: BlurConfig) -> str:
    """Returns a short name that a folder can have, such as `sigma2-standard-8bit`."""
    name = f"sigma{blur.sigma:g}-{blur.convention}-{blur.input_precision}"
    return f"{name}-noise{blur.noise:g}" if blur.noise else name
