"""Blur that varies over the field: restoration, growth of the operators, real exposures."""

from functools import cache as once
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from jxr.config import FieldConfig
from jxr.files import write_json
from jxr.studies.dataset import load_dataset
from jxr.studies.field.blur import describe, field_of, recorded, true_blur, variant_operator
from jxr.studies.field.clinical import EIGHT_BIT_MSE, clinical_rows, report_rows
from jxr.studies.field.exposures import exposure
from jxr.studies.field.growth import (
    OPERATORS,
    RADIUS,
    RANK,
    TILE,
    growth_row,
    with_extrapolation,
)
from jxr.studies.field.images import FieldImages, field_images
from jxr.studies.field.restoration import restoration_rows
from jxr.studies.workdir import Stages, Study


def field_study(config: FieldConfig, workdir: Path, cache: Path) -> dict[str, Any]:
    """Runs what is left of the study and returns (and writes) its results.

    Args:
        config: Which images, exposures and sizes.
        workdir: Run directory; gets `results.json`.
        cache: Folder of decoded small images, which other runs may share.

    Raises:
        UserError: a mistake in the config or the images.
    """
    for name in config.exposures:
        exposure(name)
    large = field_images(config)
    small = load_dataset(config.small, cache)
    stages = Study(workdir, config, data=large.fingerprint, small=small.fingerprint)
    fields, restorations = [], []
    for name in config.exposures:
        described, rows = _one_exposure(name, config, large, stages)
        fields.append(described)
        restorations += rows

    def chests() -> dict[str, Any]:
        images = np.asarray(small.images[small.test])
        return {"n": len(images), "exposures": clinical_rows(images), "report": report_rows(images)}

    clinical = stages.run("clinical", chests)
    growth = [
        stages.run(f"growth/{operator}-{size}", partial(growth_row, operator, size, config.repeats))
        for operator in OPERATORS
        for size in (config.dense_sizes if operator == "dense" else config.growth_sizes)
    ]
    results = {
        "provenance": {
            **stages.provenance([*large.notes, *small.notes]),
            "scored": large.scored_labels,
        },
        "fields": fields,
        "restoration": restorations,
        "growth": {
            "psf_pixels": 2 * RADIUS + 1,
            "rank": RANK,
            "tile": TILE,
            "rows": with_extrapolation(growth, config.growth_sizes),
        },
        "clinical": {**clinical, "eight_bit_mse": EIGHT_BIT_MSE},
    }
    write_json(workdir / "results.json", results)
    return results


def _one_exposure(
    name: str, config: FieldConfig, large: FieldImages, stages: Stages
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    field = field_of(exposure(name), config.data.size)
    # Blurred once for all stages, and not at all if these were done before.
    blurred = once(lambda: true_blur(field, np.concatenate([large.scored, large.tuning])))
    operator = once(lambda: variant_operator(field, config.wanted_error)[0])
    count = len(large.scored)
    described = stages.run(
        f"field/{name}",
        lambda: describe(field, config.wanted_error, large.scored, blurred()[:count]),
    )
    rows = []
    for noise in config.noises:

        def restore(noise: float = noise) -> list[dict[str, Any]]:
            images = recorded(blurred(), noise, config.seed)
            return restoration_rows(
                field,
                operator(),
                (large.scored, images[:count]),
                (large.tuning, images[count:]),
            )

        found = stages.run(f"restoration/{name}-noise{noise:g}", restore)
        rows += [{"exposure": name, "noise": noise, **row} for row in found]
    return {"exposure": name, "title": exposure(name).title, **described}, rows
