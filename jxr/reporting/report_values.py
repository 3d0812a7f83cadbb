"""The numbers that the report published, to stand beside ours.

Source: Zeyu Liu, "Chest X-Ray Image Classification and Deconvolution", Duke University, section 4.
The report names neither its test images nor its seeds, and gives no intervals.
"""

from jxr.reporting.labels import Row, only_originals

# Table 1 for the first four; section 4.2 for images that go into the classifier trained on
# original ones. All at sigma = 2. Keys: task, train_on, test_on.
ACCURACY = {
    ("normal_vs_pneumonia", "original", "original"): 0.8750,
    ("normal_vs_pneumonia", "blurred", "blurred"): 0.8702,
    ("bacterial_vs_viral", "original", "original"): 0.9120,
    ("bacterial_vs_viral", "blurred", "blurred"): 0.8974,
    ("normal_vs_pneumonia", "original", "blurred"): 0.74,
    ("normal_vs_pneumonia", "original", "recovered"): 0.8670,
}
SIGMA = 2

# Section 4.2: the U-Net's mean squared error of the pixel values in [0, 1], by sigma.
MSE = {1: 2.447e-5, 2: 1.1102e-4}


def published_accuracy(row: Row) -> float | None:
    """The report's accuracy for a row of `classification`, if it has one.

    Args:
        row: a row of results.json.

    Returns:
        The accuracy where the report ran the same thing: the same task and images, no noise or
        rounding, sigma 2 in either convention (the report's words and its formula disagree) where
        blur is in play, and the U-Net where images are recovered. Otherwise None.
    """
    value = ACCURACY.get((row["task"], row["train_on"], row["test_on"]))
    if only_originals(row):
        return value
    plain = not row["noise"] and row["input_precision"] == "float32"
    same_blur = row["sigma"] == SIGMA and plain
    return value if same_blur and row["restorer"] in (None, "unet") else None


def published_mse(row: Row) -> float | None:
    """The report's mean squared error for a row of `restoration`, if it has one.

    Args:
        row: a row of results.json.

    Returns:
        The error where the report ran the same thing: the U-Net on Gaussian blur without noise
        or rounding, in either convention. Otherwise None.
    """
    same = row["psf"] == "gaussian" and not row["noise"] and row["input_precision"] == "float32"
    return MSE.get(row["sigma"]) if same and row["method"] == "unet" else None
