"""Classical inverses of a blur, and how strong to regularise them."""

from jxr.restoration.cosine_filter import filter_cosines
from jxr.restoration.edge_taper import edge_taper
from jxr.restoration.estimate import (
    estimate_blur_sigma,
    estimate_noise_std,
)
from jxr.restoration.richardson_lucy import richardson_lucy
from jxr.restoration.selection import (
    discrepancy,
    gcv,
    on_validation,
)
from jxr.restoration.spectra import (
    circular_transfer_function,
    gradient_power,
    mean_power_spectrum,
    noise_to_signal_spectrum,
    transfer_function,
)
from jxr.restoration.tikhonov import tikhonov
from jxr.restoration.total_variation import (
    operator_norm,
    total_variation,
)
from jxr.restoration.wiener import (
    choose_noise_to_signal,
    wiener,
)

__all__ = [
    "choose_noise_to_signal",
    "circular_transfer_function",
    "discrepancy",
    "edge_taper",
    "estimate_blur_sigma",
    "estimate_noise_std",
    "filter_cosines",
    "gcv",
    "gradient_power",
    "mean_power_spectrum",
    "noise_to_signal_spectrum",
    "on_validation",
    "operator_norm",
    "richardson_lucy",
    "tikhonov",
    "total_variation",
    "transfer_function",
    "wiener",
]
