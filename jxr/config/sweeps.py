"""Sweeps over sigma: many models as one stack, tested over a grid."""

import dataclasses
import math

from jxr.config.checks import check_each_once, check_scoring, check_seeds
from jxr.config.images import BlurConfig, DataConfig, WeightsConfig
from jxr.config.models import HeadConfig, UNetConfig
from jxr.errors import UserError


def check_members(
    seeds: tuple[int, ...], learning_rates: tuple[float, ...], blur: BlurConfig, **sigmas: tuple
) -> None:
    """Raises UserError for what no stack can be made of."""
    check_seeds(seeds)
    for name, values in {"learning_rates": learning_rates, **sigmas}.items():
        check_each_once(name, values)
    for rate in learning_rates:
        if not (math.isfinite(rate) and rate > 0):
            raise UserError(f"learning_rates has {rate}: give positive numbers")
    for values in sigmas.values():
        for sigma in values:
            dataclasses.replace(blur, sigma=sigma)  # says what is wrong with it


@dataclasses.dataclass(frozen=True)
class SigmaSweepConfig:
    """Heads on frozen VGG-16, one for each blur, seed and rate, tested over blur and noise."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)
    train_sigmas: tuple[float, ...] = (0.0, 2.0)  # pixels, of training images; 0: as they are
    learning_rates: tuple[float, ...] = (1e-4,)  # instead of the head's
    sigmas: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of tested images
    noises: tuple[float, ...] = (0.0, 0.01)  # standard deviation, of tested images
    tasks: tuple[str, ...] = ()  # such as A_vs_B or A_vs_B+C; empty: those of the data set
    images: int = 0  # tested, spread evenly over the part; 0: all
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    blur: BlurConfig = BlurConfig(input_precision="8bit")  # its sigma and noise are replaced
    head: HeadConfig = HeadConfig()

    def __post_init__(self):
        sigmas = {"train_sigmas": self.train_sigmas, "sigmas": self.sigmas}
        check_members(self.seeds, self.learning_rates, self.blur, **sigmas)
        check_scoring(self.tasks, self.bootstrap_samples)
        if self.images < 0:
            raise UserError(f"images is {self.images}: give 0 or more")
        check_each_once("noises", self.noises)
        if len(self.noises) > 6:
            raise UserError(f"noises is {self.noises}: give at most 6, which a chart tells apart")
        for noise in self.noises:
            dataclasses.replace(self.blur, noise=noise)
        if self.blur.input_precision != "8bit" and min(self.noises) < 1e-6:
            raise UserError(
                "blur.input_precision 'float32' without noise cannot be restored in one program of"
                " float32: give '8bit', or noises of 1e-6 or more"
            )


@dataclasses.dataclass(frozen=True)
class RestorerSweepConfig:
    """U-Nets, one for each blur, seed and rate, tested over blur."""

    seeds: tuple[int, ...] = (0,)
    train_sigmas: tuple[float, ...] = (0.5, 1.0, 1.5, 2.0)  # pixels
    learning_rates: tuple[float, ...] = (3e-4,)  # instead of the U-Net's
    sigmas: tuple[float, ...] = (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 3.5, 4.0)  # of tested images
    data: DataConfig = DataConfig()
    blur: BlurConfig = BlurConfig()  # its sigma is replaced
    unet: UNetConfig = UNetConfig()

    def __post_init__(self):
        sigmas = {"train_sigmas": self.train_sigmas, "sigmas": self.sigmas}
        check_members(self.seeds, self.learning_rates, self.blur, **sigmas)
