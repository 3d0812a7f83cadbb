"""Runs that train: one model, or all of the report."""

import dataclasses
from typing import Literal

from jxr.config.checks import check_scoring, check_seed, check_seeds
from jxr.config.images import BlurConfig, DataConfig, WeightsConfig, check_settings
from jxr.config.models import DegradationRange, HeadConfig, UNetConfig, WienerNetConfig
from jxr.errors import UserError


@dataclasses.dataclass(frozen=True)
class WienerNetRun:
    """One restorer for all blurs: one seed."""

    seed: int = 0
    data: DataConfig = DataConfig()
    degradations: DegradationRange = DegradationRange()
    net: WienerNetConfig = WienerNetConfig()

    def __post_init__(self):
        check_seed(self.seed)


@dataclasses.dataclass(frozen=True)
class ClassifierRun:
    """One head: one task, one blur setting, one seed."""

    task: str = "normal_vs_pneumonia"  # or bacterial_vs_viral, or of own classes: A_vs_B
    train_on: Literal["original", "blurred"] = "original"
    seed: int = 0
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    blur: BlurConfig = BlurConfig()
    head: HeadConfig = HeadConfig()

    def __post_init__(self):
        check_seed(self.seed)


@dataclasses.dataclass(frozen=True)
class RestorerRun:
    """One U-Net: one blur setting, one seed."""

    seed: int = 0
    data: DataConfig = DataConfig()
    blur: BlurConfig = BlurConfig()
    unet: UNetConfig = UNetConfig()

    def __post_init__(self):
        check_seed(self.seed)


@dataclasses.dataclass(frozen=True)
class ReproduceConfig:
    """The whole report: restorers, both classification tasks, the matrix of their combinations."""

    seeds: tuple[int, ...] = (0, 1)  # of the heads
    restorer_seed: int = 0
    sigmas: tuple[float, ...] = (1.0, 2.0)  # restoration is done for each sigma ...
    conventions: tuple[Literal["standard", "report"], ...] = (
        "standard",
        "report",
    )  # ... in each convention
    tasks: tuple[str, ...] = ()  # such as A_vs_B or A_vs_B+C; empty: those of the data set
    sweep_sigmas: tuple[float, ...] = ()  # of images that classifiers meet besides; empty: none
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    blur: BlurConfig = BlurConfig()  # of the classification; restored with the U-Net of its own
    head: HeadConfig = HeadConfig()
    unet: UNetConfig = UNetConfig()

    def __post_init__(self):
        check_seeds(self.seeds)
        check_seed(self.restorer_seed)
        check_settings(self.sigmas, self.conventions)
        check_scoring(self.tasks, self.bootstrap_samples)
        if len(set(self.sweep_sigmas)) < len(self.sweep_sigmas):
            raise UserError(f"sweep_sigmas is {self.sweep_sigmas}: give each once")
        self.sweep_blurs()  # says what is wrong with one
        if self.blur not in self.restoration_blurs():
            raise UserError(
                f"blur.sigma {self.blur.sigma} with blur.convention '{self.blur.convention}' is not"
                " among sigmas and conventions: add it, so that a restorer for it is trained"
            )

    def restoration_blurs(self) -> tuple[BlurConfig, ...]:
        """Every blur setting that gets a restorer, each complete."""
        return tuple(
            dataclasses.replace(self.blur, sigma=sigma, convention=convention)
            for sigma in self.sigmas
            for convention in self.conventions
        )

    def sweep_blurs(self) -> tuple[BlurConfig, ...]:
        """The classification's blur setting at each sigma of the sweep, in rising order."""
        return tuple(
            dataclasses.replace(self.blur, sigma=sigma) for sigma in sorted(self.sweep_sigmas)
        )
