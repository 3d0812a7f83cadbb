"""Where in the image the restorer gains: in the chest, or in letters at its edge."""

from typing import Any

import numpy as np
from jaxtyping import Float, Float64, Int

from jxr.config import BlurConfig
from jxr.evaluation import bootstrap_interval, mse
from jxr.models import Restorer
from jxr.restoration.cosine_filter import filter_cosines
from jxr.studies.dataset import Dataset
from jxr.studies.restoration.measured_spectra import in_float64, limit_filter
from jxr.studies.restorers import Images, degraded_pairs, setting_of
from jxr.studies.wiener_nets import restored_by_net

# Rows and columns from and to, in 28ths of the side. Most images of the Guangzhou set have an R,
# for the patient's right, somewhere along the upper part of the left edge.
REGIONS = {
    "whole image": ((0, 28), (0, 28)),
    "middle": ((5, 23), (5, 23)),
    "marker's edge": ((0, 16), (0, 4)),
}


def region_rows(
    restorer: Restorer,
    dataset: Dataset,
    rows: Int[np.ndarray, " n"],
    blur: BlurConfig,
    seed: int,
) -> list[dict[str, Any]]:
    """Returns the errors of one setting in parts of the images, a row for each of `REGIONS`.

    Of the image as it was seen; of the linear limit's filter, see `limit_filter`, which is that of
    whole images everywhere; of the restorer; and of the restorer on the same images mirrored left
    to right, which to blur and noise are as likely: what it loses there it had learnt of the side
    that things are on, and of the shape of letters.

    `ratio_ci95` is the interval, over patients, of how many times the limit's error is the
    restorer's; the limit's filter stays that of all images.
    """
    originals, blurred = degraded_pairs(dataset, rows, blur, seed)
    _, _, gain = limit_filter(dataset, rows, blur, seed)
    mirrored = np.ascontiguousarray(blurred[:, :, ::-1])
    seen = {
        "mse_blurred": blurred,
        "limit_mse": in_float64(filter_cosines, blurred, gain),
        "mse_wiener_net": restored_by_net(restorer, blurred, blur),
        "mse_mirrored": restored_by_net(restorer, mirrored, blur)[:, :, ::-1],
    }
    patients = dataset.patients(rows)
    table = []
    for region in REGIONS:
        sharp = cut(originals, region)
        errors = {name: mse(sharp, cut(images, region)) for name, images in seen.items()}
        table.append(
            {
                **setting_of(blur),
                "n": len(rows),
                "region": region,
                **{name: float(of_images.mean()) for name, of_images in errors.items()},
                "ratio_ci95": ratio_interval(
                    errors["limit_mse"], errors["mse_wiener_net"], patients
                ),
            }
        )
    return table


def ratio_interval(
    first: Float64[np.ndarray, " n"], second: Float64[np.ndarray, " n"], patients: np.ndarray
) -> list[float]:
    """Returns the 95 % interval of the first mean error over the second, of the same images."""
    ends = bootstrap_interval(
        lambda counts: (counts @ first) / (counts @ second), len(first), patients=patients
    )
    return [float(end) for end in ends]


def cut(images: Images, region: str) -> Float[np.ndarray, "n rows columns 1"]:
    """Returns one of `REGIONS` of images of any size, at least a pixel."""
    (top, bottom), (left, right) = REGIONS[region]
    height, width = images.shape[1:3]
    down = slice(top * height // 28, -(-bottom * height // 28))
    return images[:, down, left * width // 28 : -(-right * width // 28)]
