"""The restorer for all blurs on images of full resolution, a size on which it was not trained."""

import dataclasses
from itertools import islice
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from jxr.config import BlurConfig, RestorerStudyConfig
from jxr.errors import UserError
from jxr.evaluation import restoration_scores
from jxr.models import Restorer
from jxr.restoration.wiener_bank import radial_log_power
from jxr.studies.dataset import open_images
from jxr.studies.field.images import Crops, large_crops
from jxr.studies.restoration.measured_spectra import signal_spectrum
from jxr.studies.restorers import Images, degraded_images
from jxr.studies.wiener_nets import linear_estimates, restored_by_net

SETTINGS = (
    BlurConfig(sigma=2.0, input_precision="8bit"),
    BlurConfig(sigma=2.0, noise=0.01, input_precision="8bit"),
)
SPECTRUM_FROM = 3  # images of other splits


class LargeImages(NamedTuple):
    """Crops: of test images, to be scored, and of other patients' for their spectrum."""

    scored: Crops
    others: Crops
    fingerprint: str  # of the whole set


def large_images(config: RestorerStudyConfig) -> LargeImages | None:
    """Returns the middles of large images, one a patient; None if the config wants none.

    Raises:
        UserError: no folder is named, validation images are asked for, or too few are large enough.
    """
    if not config.images:
        return None
    if config.part != "test":
        raise UserError("images is for the test images: give --config.part=test, or images=0")
    if config.large.source == "files" and not config.large.path:
        raise UserError("no large images: give --config.large.path=PATH, or --config.images=0")
    images = open_images(config.large)
    kinds = [record.split == "test" for record in images.records]
    seen: set[str] = set()
    crops = []
    for rows, count in (
        (np.flatnonzero(kinds), config.images),
        (np.flatnonzero(np.logical_not(kinds)), SPECTRUM_FROM),
    ):
        found = list(islice(large_crops(images, rows.tolist(), config.large.size, seen), count))
        if len(found) < count:
            raise UserError(
                f"only {len(found)} of {count} images of different patients have"
                f" {config.large.size} pixels a side: lower images or large.size"
            )
        crops.append(np.stack([crop for _, crop in found]))
    scored, others = crops
    return LargeImages(scored, others, images.fingerprint)


def large_rows(restorer: Restorer, images: LargeImages, seed: int) -> list[dict[str, Any]]:
    """Returns the scores on large images, with two spectra.

    `spectrum` says whose power the Wiener estimates assume: that of the training images at 224x224,
    or one measured on a few large images of other patients.
    """
    power = signal_spectrum(images.others, np.arange(len(images.others)))
    own = restorer.with_spectrum(jnp.asarray(radial_log_power(power)))
    rows = []
    for blur in SETTINGS:
        # One by one: sixteen at once would take tens of gigabytes.
        singles = [
            degraded_images(image[None], np.array([number]), blur, seed)
            for number, image in enumerate(images.scored)
        ]
        kinds: list[tuple[str, str, Images]] = [("none", "none", np.concatenate(singles))]
        for name, one in (("224x224", restorer), ("large images", own)):
            for method, restore in (("wiener", linear_estimates), ("wiener_net", restored_by_net)):
                restored = np.concatenate([restore(one, image, blur) for image in singles])
                kinds.append((method, name, restored))
        rows += [
            {
                **dataclasses.asdict(blur),
                "method": method,
                "spectrum": name,
                "size": images.scored.shape[1],
                **restoration_scores(images.scored, restored),
            }
            for method, name, restored in kinds
        ]
    return rows
