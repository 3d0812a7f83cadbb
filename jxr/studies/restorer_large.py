"""The restorer for all blurs on images of full resolution, on which it was not trained."""

import dataclasses
from typing import Any

import jax.numpy as jnp
import numpy as np

from jxr.config import BlurConfig, FieldConfig, RestorerStudyConfig
from jxr.evaluation import restoration_scores
from jxr.models import Restorer
from jxr.restoration import mean_power_spectrum
from jxr.restoration.wiener_bank import radial_log_power
from jxr.studies.field_images import field_images
from jxr.studies.restorers import Images, degraded_images
from jxr.studies.wiener_nets import linear_estimates, restored_by_net

SETTINGS = (
    BlurConfig(sigma=2.0, input_precision="8bit"),
    BlurConfig(sigma=2.0, noise=0.01, input_precision="8bit"),
)


def large_rows(restorer: Restorer, config: RestorerStudyConfig) -> list[dict[str, Any]]:
    """Returns the scores on crops of large images, with two spectra.

    `spectrum` says whose power the Wiener estimates assume: that of the training images at 224x224,
    or one measured on three large images of other patients.

    Raises:
        UserError: too few images are large enough.
    """
    images = field_images(FieldConfig(seed=config.seed, data=config.large, images=config.images))
    spectrum = np.asarray(mean_power_spectrum(jnp.asarray(images.tuning)))
    own = restorer.with_spectrum(jnp.asarray(radial_log_power(spectrum)))
    rows = []
    for blur in SETTINGS:
        numbers = np.arange(len(images.scored))
        blurred = degraded_images(images.scored, numbers, blur, config.seed)
        kinds: list[tuple[str, str, Images]] = [("none", "none", blurred)]
        for name, one in (("224x224", restorer), ("large images", own)):
            for method, restore in (("wiener", linear_estimates), ("wiener_net", restored_by_net)):
                # One by one: sixteen at once would take tens of gigabytes.
                parts = [restore(one, image[None], blur) for image in blurred]
                kinds.append((method, name, np.concatenate(parts)))
        for method, name, restored in kinds:
            rows.append(
                {
                    **dataclasses.asdict(blur),
                    "method": method,
                    "spectrum": name,
                    "size": config.large.size,
                    "labels": images.scored_labels,
                    **restoration_scores(images.scored, restored),
                }
            )
    return rows
