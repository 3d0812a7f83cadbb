"""The linear limit: how well a linear filter can undo a blur, given the spectra.

A network that loses to these rows on the same input is under-trained; one that beats them has
learned something about the images.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from absl import logging

from jxr.config import BlurConfig
from jxr.restoration.spectra import noise_to_signal_spectrum, transfer_function
from jxr.restoration.wiener import wiener
from jxr.studies.dataset import Dataset
from jxr.studies.restoration.measured_spectra import (
    Moments,
    Spectrum,
    best_flat,
    in_float64,
    moments,
    observed_images,
    signal_spectrum,
)
from jxr.studies.restorers import (
    RATIOS,
    Rounding,
    check_blur,
    check_reflect,
    host_float64,
    kernel_of,
    restoration_row,
    spread,
)

# Images that the noise is measured on: far more than its smooth spectrum needs.
NOISE_FROM = 512
# The ratios among which the oracle chooses, two a decade; validation images choose among RATIOS.
COARSE_RATIOS = np.logspace(-17, 0, 35)


def linear_limit_rows(
    dataset: Dataset,
    blur: BlurConfig,
    *,
    seed: int,
    rounding: Rounding = "device",
    train_signal: Spectrum | None = None,
) -> list[dict[str, Any]]:
    """Scores the Wiener filter on the test images of one blur setting, with four recipes.

    - `spectra-train`: signal from all training images, noise measured on some of them: honest.
    - `spectra-test-oracle`: both from the test images themselves: a bound, no method.
    - `flat-validation`: the one ratio that is best on validation images: honest.
    - `flat-test-oracle-coarse`: the best of two ratios a decade on the test images, to compare
      with earlier measurements; the finer grid of the honest recipe can beat it.

    Recipes of the rounding 'host' end in `-host-blur`, for their numbers differ. Restored images
    are not clipped: the limit is that of linear filters.

    Args:
        dataset: the images; all three parts are used.
        blur: the setting, of the boundary 'reflect'.
        seed: of the noise.
        rounding: where the images are blurred; 'host' only without noise and in float32.
        train_signal: what `signal_spectrum` gives for the training images, to save its time.

    Returns:
        Five rows of the restoration table of results.json: not restored, then the recipes. Each
        also has `blur_precision`, 'float32' or 'float64', and those of flat filters `ratio`.

    Raises:
        UserError: the boundary is not 'reflect', or the images are smaller than the kernel.
    """
    check_reflect(blur)
    check_blur(blur, dataset.images.shape[1])
    originals = np.asarray(dataset.images[dataset.test])
    blurred = observed_images(originals, dataset.test, blur, seed=seed, rounding=rounding)
    profile = kernel_of(blur, rounding)
    with host_float64():
        d = np.asarray(transfer_function(jnp.asarray(profile), *originals.shape[1:3]))

    def measured(rows: np.ndarray) -> Moments:
        return moments(dataset, rows, blur, seed=seed, rounding=rounding, transfer=d)

    if train_signal is None:
        train_signal = signal_spectrum(dataset.images, dataset.train)
    train = measured(spread(dataset.train, NOISE_FROM))
    validation = measured(spread(dataset.validation, NOISE_FROM))
    oracle = measured(dataset.test)
    with host_float64():
        ratios: dict[str, Spectrum | float] = {
            "spectra-train": ratio_of(train_signal, train.noise),
            "spectra-test-oracle": ratio_of(oracle.signal, oracle.noise),
            "flat-validation": best_flat(validation, d, RATIOS),
            "flat-test-oracle-coarse": best_flat(oracle, d, COARSE_RATIOS),
        }
    suffix, precision = ("-host-blur", "float64") if rounding == "host" else ("", "float32")
    rows = [restoration_row("none", f"none{suffix}", blur, originals, blurred)]
    for recipe, ratio in ratios.items():
        restored = in_float64(wiener, blurred, profile, ratio)
        row = restoration_row("wiener", recipe + suffix, blur, originals, restored)
        rows.append(row | ({"ratio": ratio} if isinstance(ratio, float) else {}))
        logging.info("%s%s, %s: MSE %.4g", recipe, suffix, blur, row["mse"])
    return [row | {"blur_precision": precision} for row in rows]


def ratio_of(signal: Spectrum, noise: Spectrum) -> Spectrum:
    """Returns noise over signal; see `noise_to_signal_spectrum`."""
    return np.asarray(noise_to_signal_spectrum(jnp.asarray(signal), jnp.asarray(noise)))
