"""How near restored images come to the originals: MSE, PSNR and SSIM, in float64 on the host."""

import numpy as np
from jaxtyping import Float, Float64
from scipy.ndimage import gaussian_filter

# Wang et al. 2004: a Gaussian window of 11 x 11 pixels, and constants for a data range of 1.
WINDOW_SIGMA = 1.5
WINDOW_RADIUS = 5
C1 = 0.01**2
C2 = 0.03**2


def mse(
    originals: Float[np.ndarray, "n height width channels"],
    restored: Float[np.ndarray, "n height width channels"],
) -> Float64[np.ndarray, "n"]:
    """Mean squared error of each image, over its pixels and channels.

    Args:
        originals: values in [0, 1].
        restored: the estimates of them, not clipped here.

    Returns:
        One value for each image, in squared units of the pixel value.

    Raises:
        ValueError: see `check_pairs`.
    """
    check_pairs(originals, restored)
    # Image by image: a whole test set in float64 would take gigabytes.
    return np.array(
        [
            np.mean((a.astype(np.float64) - b.astype(np.float64)) ** 2)
            for a, b in zip(originals, restored, strict=True)
        ]
    )


def check_pairs(originals: np.ndarray, restored: np.ndarray) -> None:
    """Raises ValueError unless both are as many images of one size, in float numbers.

    NumPy would broadcast those without an axis of channels: to a wrong number, without a word.
    """
    if originals.ndim != 4 or originals.shape != restored.shape:
        raise ValueError(
            f"originals and restored must be (n, height, width, channels) both, not"
            f" {originals.shape} and {restored.shape}"
        )
    for images in (originals, restored):
        if not np.issubdtype(images.dtype, np.floating):
            raise ValueError(f"images must be of float numbers in [0, 1], not {images.dtype}")


def psnr(
    originals: Float[np.ndarray, "n height width channels"],
    restored: Float[np.ndarray, "n height width channels"],
) -> Float64[np.ndarray, "n"]:
    """Peak signal-to-noise ratio of each image, for a peak of 1.

    Args:
        originals: values in [0, 1].
        restored: the estimates of them, not clipped here.

    Returns:
        -10 log10(MSE) in dB for each image; infinite where the two are equal.

    Raises:
        ValueError: see `check_pairs`.
    """
    with np.errstate(divide="ignore"):
        return -10 * np.log10(mse(originals, restored))


def ssim(
    originals: Float[np.ndarray, "n height width channels"],
    restored: Float[np.ndarray, "n height width channels"],
) -> Float64[np.ndarray, "n"]:
    """Structural similarity of each image (Wang et al. 2004, doi:10.1109/TIP.2003.819861).

    Gaussian window of 11 x 11 pixels and standard deviation 1.5, K1 = 0.01, K2 = 0.03, data
    range 1, mean over the windows that lie within the image, and over channels.

    Args:
        originals: values in [0, 1], at least 11 x 11 pixels.
        restored: the estimates of them, not clipped here.

    Returns:
        One value for each image, at most 1, which equal images reach.

    Raises:
        ValueError: the images are smaller than the window, or see `check_pairs`.
    """
    check_pairs(originals, restored)
    height, width = originals.shape[1:3]
    if min(height, width) < 2 * WINDOW_RADIUS + 1:
        raise ValueError(f"images must have at least 11 x 11 pixels, got {height} x {width}")
    return np.array([ssim_of_one(a, b) for a, b in zip(originals, restored, strict=True)])


def ssim_of_one(
    original: Float[np.ndarray, "height width channels"],
    restored: Float[np.ndarray, "height width channels"],
) -> float:
    """Structural similarity of one image; see `ssim`."""
    a, b = original.astype(np.float64), restored.astype(np.float64)
    mean_a, mean_b = window_means(a), window_means(b)
    variance_a = window_means(a * a) - mean_a**2
    variance_b = window_means(b * b) - mean_b**2
    covariance = window_means(a * b) - mean_a * mean_b
    similarity = ((2 * mean_a * mean_b + C1) * (2 * covariance + C2)) / (
        (mean_a**2 + mean_b**2 + C1) * (variance_a + variance_b + C2)
    )
    return float(similarity.mean())


def window_means(
    image: Float64[np.ndarray, "height width channels"],
) -> Float64[np.ndarray, "inner_height inner_width channels"]:
    """Weighted means over all windows that lie within the image."""
    means = gaussian_filter(image, WINDOW_SIGMA, axes=(0, 1), radius=WINDOW_RADIUS)
    inner = slice(WINDOW_RADIUS, -WINDOW_RADIUS)
    return means[inner, inner]


def restoration_scores(
    originals: Float[np.ndarray, "n height width channels"],
    restored: Float[np.ndarray, "n height width channels"],
) -> dict[str, float | int | None]:
    """The scores of a restoration, as they stand in results.json.

    Args:
        originals: values in [0, 1].
        restored: the estimates of them, not clipped here.

    Returns:
        `mse`, the mean over all images and pixels; `psnr` in dB and `ssim`, means of the images'
        values; and `n`, the number of images. `psnr` is None if an image is restored exactly,
        for JSON has no infinity.

    Raises:
        ValueError: there are no images, a value is not finite, or the images are too small.
    """
    if len(originals) == 0:
        raise ValueError("no images to score")
    errors = mse(originals, restored)
    if not np.isfinite(errors).all():
        raise ValueError("restored images hold NaN or infinity; the restoration has diverged")
    return {
        "mse": float(errors.mean()),
        "psnr": float(np.mean(-10 * np.log10(errors))) if errors.all() else None,
        "ssim": float(ssim(originals, restored).mean()),
        "n": len(originals),
    }
