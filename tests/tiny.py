"""A tiny set of images in the Kaggle layout, and configs that a laptop runs in seconds."""

import dataclasses
from pathlib import Path

import numpy as np
from PIL import Image

from jxr.config import (
    DataConfig,
    HeadConfig,
    PhantomConfig,
    ReproduceConfig,
    ScheduleConfig,
    WeightsConfig,
)

COUNTS = {"train": 12, "test": 6}  # images of each of the three labels


def write_images(root: Path, size: int = 40) -> Path:
    """Writes noise whose brightness tells the classes apart."""
    generator = np.random.default_rng(0)
    for split, count in COUNTS.items():
        for number in range(count):
            person = number + (100 if split == "test" else 1)
            for folder, name, level in (
                ("NORMAL", f"IM-{person:04d}-0001.jpeg", 60),
                ("PNEUMONIA", f"person{person}_bacteria_1.jpeg", 120),
                ("PNEUMONIA", f"person{person + 500}_virus_1.jpeg", 180),
            ):
                pixels = generator.normal(level, 25, (size, size)).clip(0, 255).astype(np.uint8)
                path = root / split / folder / name
                path.parent.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels).save(path, quality=95)
    return root


def write_csv(root: Path, classes=("tb", "covid", "normal")) -> Path:
    """Writes images of own classes, told apart by their brightness, and a CSV that lists them."""
    generator = np.random.default_rng(1)
    lines = ["path,label,patient,split"]
    for split, count in (("train", 10), ("val", 4), ("test", 6)):
        for number in range(count):
            for level, label in enumerate(classes):
                name = f"{label} {split}{number}.png"
                pixels = generator.normal(60 + 60 * level, 25, (36, 40)).clip(0, 255)
                root.mkdir(parents=True, exist_ok=True)
                Image.fromarray(pixels.astype(np.uint8)).save(root / name)
                lines.append(f"{name},{label},{split}-{label}-{number // 2},{split}")
    (root / "images.csv").write_text("\n".join(lines) + "\n")
    return root / "images.csv"


def tiny_phantoms(run):
    """Returns a run config of phantoms with a few small ones."""
    phantoms = PhantomConfig(train=60, test=24)
    return dataclasses.replace(run, data=dataclasses.replace(run.data, size=32, phantoms=phantoms))


def tiny(run, path):
    """Returns any run config at a size for tests: 32 pixels, random weights, two epochs."""
    schedule = ScheduleConfig(
        epochs=2, batch_size=8, learning_rate=1e-3, log_every=2, checkpoint_every=3
    )
    changes = {"data": DataConfig(path=str(path), size=32, validation_fraction=0.2)}
    if hasattr(run, "weights"):
        changes["weights"] = WeightsConfig(kind="random")
    if hasattr(run, "head"):
        changes["head"] = HeadConfig(hidden=(8,), schedule=schedule)
    if hasattr(run, "unet"):
        crop = 16 if run.unet.crop else 0
        changes["unet"] = dataclasses.replace(
            run.unet, width=2, depth=2, crop=crop, schedule=schedule
        )
    if hasattr(run, "net"):
        changes["net"] = dataclasses.replace(
            run.net,
            width=4,
            blocks=1,
            crop=16,
            schedule=dataclasses.replace(
                schedule,
                decay=run.net.schedule.decay,
                clip_norm=run.net.schedule.clip_norm,
            ),
        )
    if isinstance(run, ReproduceConfig):
        changes["bootstrap_samples"] = 100
        changes["sweep_sigmas"] = (1.0, 0.0, 2.0)
    return dataclasses.replace(run, **changes)
