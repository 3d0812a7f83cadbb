"""The forward physics as pure functions: focal spots, blur of every kind, detectors, noise."""

from jxr.optics.blur import (
    Boundary,
    blur,
    blur_separable,
    gaussian_blur,
)
from jxr.optics.detector import (
    Detector,
    detect,
    digitise,
    expected_counts,
    expose,
    negative_log,
    poisson_counts,
    read_out,
    spread_light,
    transmitted_intensity,
)
from jxr.optics.focal_spots import (
    DoubleGaussianSpot,
    FocalSpot,
    GaussianSpot,
    MeasuredSpot,
    UniformSpot,
)
from jxr.optics.forward import (
    degrade,
)
from jxr.optics.gaussian_fits import (
    GaussianMixture,
    fit_edge,
    fit_slit,
)
from jxr.optics.geometric_psf import (
    field_radius,
    psf_at,
    psf_field,
    spot_transfer,
)
from jxr.optics.geometry import (
    EffectiveSpot,
    Geometry,
    effective_focal_spot,
    penumbra_mm,
    resampled,
    sigma_px,
)
from jxr.optics.low_rank import (
    EigenPsfs,
    RankChoice,
    choose_rank,
    eigen_psfs,
    low_rank_operator,
    weight_maps,
)
from jxr.optics.measured import (
    isotropic_transfer,
    line_spread_from_edge,
    line_spread_from_slit,
    modulation_transfer,
    separable_psf,
    spot_from_slits,
    width_at,
)
from jxr.optics.noise import (
    add_gaussian_noise,
    quantise,
)
from jxr.optics.operators import (
    LinearOperator,
    as_operator,
    psf_operator,
    separable_operator,
)
from jxr.optics.psf import (
    Convention,
    Sampling,
    cut_profile,
    effective_sigma,
    gaussian_profile,
    gaussian_psf,
    kernel_radius,
)
from jxr.optics.shift_variant import (
    PsfField,
    dense_blur,
    operator_error,
)
from jxr.optics.tiled import (
    TileChoice,
    choose_tile,
    tiled_operator,
)
from jxr.optics.transfer import (
    Transfer,
    compose,
    gaussian_transfer,
    lorentzian_transfer,
    pixel_transfer,
    transfer_blur,
)

__all__ = [
    "Boundary",
    "Convention",
    "Detector",
    "DoubleGaussianSpot",
    "EffectiveSpot",
    "EigenPsfs",
    "FocalSpot",
    "GaussianMixture",
    "GaussianSpot",
    "Geometry",
    "LinearOperator",
    "MeasuredSpot",
    "PsfField",
    "RankChoice",
    "Sampling",
    "TileChoice",
    "Transfer",
    "UniformSpot",
    "add_gaussian_noise",
    "as_operator",
    "blur",
    "blur_separable",
    "choose_rank",
    "choose_tile",
    "compose",
    "cut_profile",
    "degrade",
    "dense_blur",
    "detect",
    "digitise",
    "effective_focal_spot",
    "effective_sigma",
    "eigen_psfs",
    "expected_counts",
    "expose",
    "field_radius",
    "fit_edge",
    "fit_slit",
    "gaussian_blur",
    "gaussian_profile",
    "gaussian_psf",
    "gaussian_transfer",
    "isotropic_transfer",
    "kernel_radius",
    "line_spread_from_edge",
    "line_spread_from_slit",
    "lorentzian_transfer",
    "low_rank_operator",
    "modulation_transfer",
    "negative_log",
    "operator_error",
    "penumbra_mm",
    "pixel_transfer",
    "poisson_counts",
    "psf_at",
    "psf_field",
    "psf_operator",
    "quantise",
    "read_out",
    "resampled",
    "separable_operator",
    "separable_psf",
    "sigma_px",
    "spot_from_slits",
    "spot_transfer",
    "spread_light",
    "tiled_operator",
    "transfer_blur",
    "transmitted_intensity",
    "weight_maps",
    "width_at",
]
