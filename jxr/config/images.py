"""What images and weights a run takes, and how they are degraded."""

import dataclasses
import math
from typing import Literal

from jxr.config.checks import check_each_once, check_seed
from jxr.errors import UserError


@dataclasses.dataclass(frozen=True)
class PhantomConfig:
    """How many synthetic radiographs are made."""

    train: int = 600  # validation images come out of these
    test: int = 240
    seed: int = 0

    def __post_init__(self):
        check_seed(self.seed, "data.phantoms.seed")


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """Which images, and how they are brought to one size."""

    source: Literal["files", "phantoms"] = "files"
    path: str = ""  # of files: an image folder, a CSV file, pneumoniamnist.npz, a prepared data set
    phantoms: PhantomConfig = PhantomConfig()
    size: int = 224  # pixels; VGG-16 needs a multiple of 32
    resize: Literal["antialias", "bilinear", "nearest"] = "antialias"
    validation_fraction: float = 0.1  # of the training patients, whole patients at a time
    split_seed: int = 0

    def __post_init__(self):
        if self.size < 32 or self.size % 32:
            raise UserError(f"data.size is {self.size}: give a positive multiple of 32")
        if not 0 < self.validation_fraction < 1:
            raise UserError(
                f"data.validation_fraction is {self.validation_fraction}: give 0 < fraction < 1"
            )


@dataclasses.dataclass(frozen=True)
class WeightsConfig:
    """The weights of VGG-16's convolutions."""

    kind: Literal["imagenet", "random"] = "imagenet"  # random: seeded, for runs without a download
    # VGG-16 of Keras (HDF5, with or without top) or of torchvision (.pth, .safetensors); empty:
    # fetched once, with a checksum.
    path: str = ""
    seed: int = 0  # of the random weights

    def __post_init__(self):
        check_seed(self.seed, "weights.seed")


@dataclasses.dataclass(frozen=True)
class BlurConfig:
    """One blur setting: everything that a printed number has to carry."""

    sigma: float = 2.0  # pixels
    convention: Literal["standard", "report"] = "standard"
    sampling: Literal["point", "integrated"] = "point"
    boundary: Literal["reflect", "zero", "circular", "edge"] = "reflect"
    noise: float = 0.0  # standard deviation of additive Gaussian noise, image range 1
    input_precision: Literal["float32", "8bit"] = "float32"

    def __post_init__(self):
        if not (math.isfinite(self.sigma) and self.sigma >= 0):
            raise UserError(
                f"blur.sigma is {self.sigma}: give a finite number of pixels, 0 or more"
            )
        if not (math.isfinite(self.noise) and self.noise >= 0):
            raise UserError(f"blur.noise is {self.noise}: give a finite number, 0 or more")


def check_settings(sigmas: tuple[float, ...], conventions: tuple[str, ...]) -> None:
    """Raises UserError for sigmas and conventions of which no table can be made."""
    check_each_once("sigmas", sigmas)
    check_each_once("conventions", conventions)
    for sigma in sigmas:
        BlurConfig(sigma=sigma)  # says what is wrong with it
