"""Made-up results in the format of results.json: every number here is invented."""

import numpy as np
from scipy.ndimage import gaussian_filter

from jxr.reporting import Examples

ARMS = [
    ("original", "original", None),
    ("blurred", "blurred", None),
    ("original", "blurred", None),
    ("original", "recovered", "unet"),
    ("original", "recovered", "wiener"),
    ("original", "recovered", "wiener_net"),
    ("blurred", "original", None),
]


def classification_row(**changes):
    return {
        "task": "normal_vs_pneumonia",
        "recipe": "report",
        "train_on": "original",
        "test_on": "original",
        "restorer": None,
        "sigma": 2.0,
        "convention": "standard",
        "noise": 0.0,
        "input_precision": "float32",
        "n": 624,
        "seeds": [0, 1],
        "accuracy": 0.8123,
        "auc": 0.9512,
        "accuracy_ci95": [0.781, 0.841],
        "auc_ci95": [0.934, 0.966],
        "sensitivity": 0.991,
        "specificity": 0.514,
        **changes,
    }


def restoration_row(**changes):
    return {
        "method": "unet",
        "recipe": "report",
        "psf": "gaussian",
        "sigma": 2.0,
        "convention": "standard",
        "noise": 0.0,
        "input_precision": "float32",
        "boundary": "reflect",
        "kernel_radius": 8,
        "n": 624,
        "mse": 1.5e-4,
        "psnr": 38.31,
        "ssim": 0.9712,
        **changes,
    }


def fake_results():
    generator = np.random.default_rng(0)
    classification, roc = [], []
    for task, n in (("normal_vs_pneumonia", 624), ("bacterial_vs_viral", 390)):
        for train_on, test_on, restorer in ARMS:
            accuracy = generator.uniform(0.7, 0.9)
            arm = {"task": task, "train_on": train_on, "test_on": test_on, "restorer": restorer}
            interval = [accuracy - 0.03, accuracy + 0.028]
            classification.append(
                classification_row(**arm, n=n, accuracy=accuracy, accuracy_ci95=interval)
            )
            for seed in (0, 1):
                fpr = np.sort(np.r_[0, generator.uniform(size=50), 1])
                roc.append(
                    {**arm, "seed": seed, "fpr": fpr.tolist(),
                     "tpr": (fpr ** generator.uniform(0.05, 0.3)).tolist()}
                )  # fmt: skip
    restoration = [
        restoration_row(
            method=method, recipe=recipe, sigma=sigma, convention=convention, noise=noise,
            input_precision=precision,
            mse=scale * sigma * (1 if convention == "standard" else 0.5) * (1 + 20 * noise),
        )
        for noise, precision in ((0.0, "float32"), (0.01, "8bit"))
        for method, recipe, scale in (
            ("none", "none", 6e-4), ("unet", "width64", 4e-5), ("wiener", "flat", 1e-5)
        )
        for sigma in (1.0, 2.0)
        for convention in ("standard", "report")
    ]  # fmt: skip
    paired = [
        {"task": "normal_vs_pneumonia", "classifier_a": "original → original",
         "classifier_b": "original → blurred", "b": 51, "c": 12, "p_value": 8e-7, "n": 624,
         "seed": 0},
        {"task": "normal_vs_pneumonia", "classifier_a": "original → original",
         "classifier_b": "blurred → blurred", "b": 21, "c": 19, "p_value": 0.8746, "n": 624,
         "seed": None},
    ]  # fmt: skip
    provenance = {
        "versions": {"python": "3.11.0", "jax": "0.0.0"},
        "git_commit": None,
        "config": {
            "data": {"size": 64, "resize": "antialias"},
            "weights": {"kind": "imagenet"},
            "blur": {
                "sigma": 2.0, "convention": "standard", "sampling": "point", "boundary": "reflect",
                "noise": 0.0, "input_precision": "float32",
            },
            "head": {"hidden": [32, 8], "dropout": 0.25},
            "unet": {"width": 6, "depth": 2, "channels": 1, "residual": True, "crop": 16},
            "seeds": [0, 1],
        },
        "device": {"platform": "fake"},
    }  # fmt: skip
    return {
        "provenance": provenance,
        "classification": classification,
        "restoration": restoration,
        "paired": paired,
        "roc": roc,
    }


def fake_sweep(sigmas=(0.0, 1.0, 2.0)):
    """Rows as `sweep` of results.json holds them, sigmas in no order."""
    generator = np.random.default_rng(2)
    rows = []
    for task, n in (("normal_vs_pneumonia", 624), ("bacterial_vs_viral", 390)):
        for sigma in reversed(sigmas):
            for test_on, restorer in (("blurred", None), ("recovered", "wiener")):
                accuracy, auc = sorted(generator.uniform(0.6, 0.95, 2))
                rows.append(
                    classification_row(
                        task=task, n=n, sigma=sigma, test_on=test_on, restorer=restorer,
                        accuracy=accuracy, accuracy_ci95=[accuracy - 0.031, accuracy + 0.027],
                        auc=auc, auc_ci95=[auc - 0.022, auc + 0.019],
                    )
                )  # fmt: skip
    return rows


def fake_band(**identity):
    """A band as `roc_band` of results.json holds it."""
    fpr = np.linspace(0, 1, 11)
    band = [(fpr**0.3).tolist(), (fpr**0.1).tolist()]
    return {
        "task": "normal_vs_pneumonia", "recipe": "report", "train_on": "original",
        "test_on": "original", "restorer": None, "fpr": fpr.tolist(), "tpr_ci95": band, **identity,
    }  # fmt: skip


def fake_examples(titles=("normal", "bacteria"), size=64, restorers=("unet", "wiener")):
    """Smooth random shapes, blurred by SciPy; each restorer blurs less than the one before."""
    generator = np.random.default_rng(1)
    rough = gaussian_filter(generator.normal(size=(len(titles), size, size, 1)), (0, 1.5, 1.5, 0))
    original = np.clip(0.5 + rough, 0, 1).astype(np.float32)
    recovered = {
        restorer: gaussian_filter(original, (0, 1 / (i + 1), 1 / (i + 1), 0))
        for i, restorer in enumerate(restorers)
    }
    return Examples(tuple(titles), original, gaussian_filter(original, (0, 2, 2, 0)), recovered)


def fake_kernels(sigma=2.0):
    """Gaussians in NumPy, by the two printed formulas."""
    kernels = {}
    for convention, divisor, radius in (("standard", 2, 8), ("report", 1, 6)):
        x = np.arange(-radius, radius + 1)
        profile = np.exp(-(x**2) / (divisor * sigma**2))
        kernels[convention] = np.outer(profile, profile) / profile.sum() ** 2
    return kernels
