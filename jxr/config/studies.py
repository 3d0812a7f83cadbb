"""Studies that measure."""

import dataclasses
import math
from typing import Literal

from jxr.config.checks import check_each_once, check_scoring, check_seed, check_seeds
from jxr.config.images import BlurConfig, DataConfig, WeightsConfig, check_settings
from jxr.config.models import FineTuningConfig, HeadConfig
from jxr.errors import UserError


@dataclasses.dataclass(frozen=True)
class RestorationTableConfig:
    """Classical restoration in many blur settings, without any network."""

    seed: int = 0  # of the noise
    sigmas: tuple[float, ...] = (1.0, 2.0)
    conventions: tuple[Literal["standard", "report"], ...] = ("standard", "report")
    noise: float = 0.01  # in the noisy settings, beside float32 and 8 bits without noise
    data: DataConfig = DataConfig()

    def __post_init__(self):
        check_seed(self.seed)
        check_settings(self.sigmas, self.conventions)
        if not (math.isfinite(self.noise) and self.noise > 0):
            raise UserError(f"noise is {self.noise}: give a positive number")


@dataclasses.dataclass(frozen=True)
class ControlsConfig:
    """Linear classifiers on a few numbers an image, and scores on images of equal sharpness."""

    seed: int = 0  # of the noise, if blurred images have any
    tasks: tuple[str, ...] = ()  # such as A_vs_B or A_vs_B+C; empty: those of the data set
    caliper: float = 0.1  # largest difference in sharpness of a pair, in standard deviations
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    blur: BlurConfig = BlurConfig()

    def __post_init__(self):
        check_seed(self.seed)
        check_scoring(self.tasks, self.bootstrap_samples, self.caliper)


@dataclasses.dataclass(frozen=True)
class RestorerConfig:
    """The weights of a restorer for all blurs."""

    path: str = ""  # a file of experiments.export_restorer; empty: those that ship with the package


@dataclasses.dataclass(frozen=True)
class RestorerStudyConfig:
    """The restorer for all blurs in many settings: table, wrong blurs, large images."""

    seed: int = 0  # of the noise
    restorer: RestorerConfig = RestorerConfig()
    part: Literal["validation", "test"] = "validation"  # test: once the restorer is finished
    sigmas: tuple[float, ...] = (1.0, 2.0)
    conventions: tuple[Literal["standard", "report"], ...] = ("standard", "report")
    noise: float = 0.01  # in the noisy settings, beside float32 and 8 bits without noise
    subset: int = 96  # images where the table's are not all needed
    data: DataConfig = DataConfig()
    images: int = 0  # large test images, from `large`; 0: none
    large: DataConfig = DataConfig(size=1024)  # size: of the crops, none is resized

    def __post_init__(self):
        check_seed(self.seed)
        check_settings(self.sigmas, self.conventions)
        if not (math.isfinite(self.noise) and self.noise > 0):
            raise UserError(f"noise is {self.noise}: give a positive number")
        if self.subset < 1 or self.images < 0:
            raise UserError(
                f"subset and images are {self.subset}, {self.images}: give 1 or more, 0 or more"
            )


@dataclasses.dataclass(frozen=True)
class FieldConfig:
    """Blur that varies over the field: restoration, growth of the operators, real geometries."""

    seed: int = 0  # of the noise, and of which images are taken
    data: DataConfig = DataConfig(size=1024)  # large images; size: of the crops, none is resized
    small: DataConfig = DataConfig()  # images as a network sees them, for the real geometries
    exposures: tuple[str, ...] = ("incubator", "incubator_large")  # see jxr.studies.field.exposures
    images: int = 12  # scored
    tuning_images: int = 3  # on which strengths are chosen
    noises: tuple[float, ...] = (0.002, 0.01)  # of an image range of 1; then come 8 bits
    wanted_error: float = 0.02  # of the low-rank PSFs
    growth_sizes: tuple[int, ...] = (256, 512, 1024, 2048)  # pixels along an axis
    dense_sizes: tuple[int, ...] = (256,)  # where the definition itself is timed
    repeats: int = 9  # of which the median time counts

    def __post_init__(self):
        check_seed(self.seed)
        for field in ("images", "tuning_images", "repeats"):
            if getattr(self, field) < 1:
                raise UserError(f"{field} is {getattr(self, field)}: give 1 or more")
        for field in ("exposures", "noises", "growth_sizes"):
            check_each_once(field, getattr(self, field))
        if not all(math.isfinite(n) and n >= 0 for n in self.noises):
            raise UserError(f"noises is {self.noises}: give finite numbers, 0 or more")
        if not 0 < self.wanted_error < 1:
            raise UserError(f"wanted_error is {self.wanted_error}: give 0 < error < 1")
        for size in (*self.growth_sizes, *self.dense_sizes):
            if size < 64:
                raise UserError(f"growth_sizes or dense_sizes has {size}: give 64 pixels or more")


@dataclasses.dataclass(frozen=True)
class ClassificationConfig:
    """Classifiers by several recipes on original, blurred and recovered images."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)  # of the training
    tasks: tuple[str, ...] = ()  # such as A_vs_B or A_vs_B+C; empty: those of the data set
    caliper: float = 0.1  # largest difference in sharpness of a pair, in standard deviations
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    blur: BlurConfig = BlurConfig(input_precision="8bit")
    head: HeadConfig = HeadConfig()
    tuned: FineTuningConfig = FineTuningConfig()

    def __post_init__(self):
        check_seeds(self.seeds)
        check_scoring(self.tasks, self.bootstrap_samples, self.caliper)


@dataclasses.dataclass(frozen=True)
class AdaptationConfig:
    """The report's classifiers on images of another style, calibrated without their labels."""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)  # of the training
    tasks: tuple[str, ...] = ()  # such as A_vs_B or A_vs_B+C; empty: those of the data set
    styles: int = 3  # groups of training images, each held out once
    images: tuple[int, ...] = (25, 50, 100, 200)  # without labels, instead of all
    draws: int = 20  # of so many images
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    head: HeadConfig = HeadConfig()

    def __post_init__(self):
        check_seeds(self.seeds)
        check_scoring(self.tasks, self.bootstrap_samples)
        if not 2 <= self.styles <= 6:
            raise UserError(f"styles is {self.styles}: give 2 to 6, which a chart can tell apart")
        if self.draws < 1:
            raise UserError(f"draws is {self.draws}: give 1 or more")
        for count in self.images:
            if count < 10:
                raise UserError(f"images has {count}: give 10 or more")


@dataclasses.dataclass(frozen=True)
class BlurEffectConfig:
    """Linear classifiers on frozen features, trained and tested at each of several blurs."""

    sigmas: tuple[float, ...] = (0.0, 1.0, 2.0, 3.0, 4.0)  # pixels; the smallest is compared with
    tasks: tuple[str, ...] = ()  # such as A_vs_B or A_vs_B+C; empty: those of the data set
    caliper: float = 0.1  # largest difference in sharpness of a pair, in standard deviations
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    blur: BlurConfig = BlurConfig(input_precision="8bit")  # its sigma is replaced by the others

    def __post_init__(self):
        if len(self.sigmas) < 2 or len(set(self.sigmas)) < len(self.sigmas):
            raise UserError(f"sigmas is {self.sigmas}: give at least two, each once")
        for sigma in self.sigmas:
            dataclasses.replace(self.blur, sigma=sigma)  # says what is wrong with it
        check_scoring(self.tasks, self.bootstrap_samples, self.caliper)
