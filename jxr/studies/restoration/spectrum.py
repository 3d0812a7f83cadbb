"""What a restorer brings back at each spatial frequency, and what of it does not cohere.

Beyond the frequency at which noise drowns the blurred signal hardly anything was measured: what a
restorer puts there is prediction. Where it does not cohere with the truth it is invention, or noise
let through, which a linear filter does too: compare the two. Coherence is that of all images and
all coefficients of a ring together, so that detail which is right but enhanced more in some images
than in others lowers it as well.
"""

from typing import Any

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float, Float64, Int
from scipy.fft import dctn

from jxr.config import BlurConfig
from jxr.models import Restorer
from jxr.restoration.spectra import transfer_function
from jxr.restoration.wiener_bank import radial_frequencies
from jxr.studies.dataset import Dataset
from jxr.studies.field.clinical import EIGHT_BIT_MSE
from jxr.studies.restorers import degraded_pairs, kernel_of, setting_of
from jxr.studies.wiener_nets import linear_estimates, restored_by_net

# Equally wide, up to Nyquist along an axis; the corners beyond are left out. Small images have
# fewer, so that none is empty.
RINGS = 32


def spectrum_row(
    restorer: Restorer, dataset: Dataset, rows: Int[np.ndarray, " n"], blur: BlurConfig, seed: int
) -> dict[str, Any]:
    """Returns spectra of one setting, each a list over `frequency` (cycles per pixel).

    `signal` is the power of the originals. For each method, `residual` is the power of what is
    wrong, `power` that of the restored images, and `coherence` the squared correlation of
    restored and original coefficients. `band` is the frequency from which on the noise is stronger
    than the blurred signal; null if there is none below Nyquist.
    """
    originals, blurred = degraded_pairs(dataset, rows, blur, seed)
    x = cosines(originals)
    signal = ring_means((x**2).mean(axis=0))
    row: dict[str, Any] = {
        **setting_of(blur),
        "n": len(rows),
        "frequency": ((np.arange(len(signal)) + 0.5) / (2 * len(signal))).tolist(),
        "signal": signal.tolist(),
        "methods": {},
    }
    for name, images in (
        ("none", blurred),
        ("wiener", linear_estimates(restorer, blurred, blur)),
        ("wiener_net", restored_by_net(restorer, blurred, blur)),
    ):
        y = cosines(images)
        power, cross = (ring_means(z.mean(axis=0)) for z in (y**2, x * y))
        row["methods"][name] = {
            "residual": ring_means(((y - x) ** 2).mean(axis=0)).tolist(),
            "power": power.tolist(),
            "coherence": (cross**2 / (signal * power)).tolist(),
        }
    d = np.asarray(transfer_function(jnp.asarray(kernel_of(blur, "device")), *x.shape[1:]))
    white = blur.noise**2 + EIGHT_BIT_MSE * (blur.input_precision == "8bit")
    drowned = np.flatnonzero(ring_means(d.astype(float) ** 2) * signal < white)
    row["band"] = row["frequency"][drowned[0]] if drowned.size else None
    return row


def cosines(images: Float[np.ndarray, "n height width 1"]) -> Float64[np.ndarray, "n height width"]:
    """Returns the orthonormal cosine coefficients of images."""
    return dctn(images[..., 0].astype(np.float64), axes=(1, 2), norm="ortho")


def ring_means(spectrum: Float[np.ndarray, "height width"]) -> Float64[np.ndarray, " rings"]:
    """Returns the mean of a spectrum over rings of equal frequency, without the mean brightness."""
    rings = min(RINGS, min(spectrum.shape) // 2)
    ring = (radial_frequencies(*spectrum.shape) * 2 * rings).astype(int).ravel()[1:]
    values = spectrum.ravel()[1:]
    inside = ring < rings
    return np.bincount(ring[inside], values[inside]) / np.bincount(ring[inside])
