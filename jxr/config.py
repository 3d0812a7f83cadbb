"""Typed configs: frozen dataclasses whose values are checked as they are made.

`jxr.config_dict` brings them to the command line and back.
"""

import dataclasses
import math
from typing import Literal

from jxr.errors import UserError


def check_seed(seed: int) -> None:
    """Raises UserError for a seed that the data pipeline could not take."""
    if not 0 <= seed < 2**32:
        raise UserError(f"seed is {seed}: give a number from 0 to 2^32 - 1")


@dataclasses.dataclass(frozen=True)
class PhantomConfig:
    """How many synthetic radiographs are made."""

    train: int = 600  # validation images come out of these
    test: int = 240
    seed: int = 0

    def __post_init__(self):
        check_seed(self.seed)


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
    """The kernels of VGG-16's convolutions."""

    kind: Literal["imagenet", "random"] = "imagenet"  # random: seeded, for runs without a download
    # VGG-16 of Keras (HDF5, with or without top) or of torchvision (.pth, .safetensors); empty:
    # fetched once, with a checksum.
    path: str = ""
    seed: int = 0  # of the random kernels


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


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long a run is and what it leaves behind on the way."""

    epochs: int = 10
    batch_size: int = 32  # over all devices
    learning_rate: float = 1e-3  # Adam's default in Keras and in the report
    decay: Literal["none", "cosine"] = "none"  # of the learning rate, to 0 at the last step
    clip_norm: float = 0.0  # longer gradients are shortened to this length; 0: never
    log_every: int = 50  # steps
    checkpoint_every: int = 500  # steps

    def __post_init__(self):
        for field in ("epochs", "batch_size", "log_every", "checkpoint_every"):
            if getattr(self, field) < 1:
                raise UserError(f"schedule.{field} is {getattr(self, field)}: give 1 or more")
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UserError(
                f"schedule.learning_rate is {self.learning_rate}: give a positive number"
            )
        if not (math.isfinite(self.clip_norm) and self.clip_norm >= 0):
            raise UserError(f"schedule.clip_norm is {self.clip_norm}: give 0 or a positive number")


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """The fully connected layers on VGG-16's frozen convolutions."""

    hidden: tuple[int, ...] = (256,)  # (4096, 4096) is VGG-16's own head
    dropout: float = 0.5
    schedule: ScheduleConfig = ScheduleConfig(epochs=10, batch_size=32, learning_rate=1e-4)

    def __post_init__(self):
        if any(width < 1 for width in self.hidden):
            raise UserError(f"head.hidden is {self.hidden}: give positive widths")
        if not 0 <= self.dropout < 1:
            raise UserError(f"head.dropout is {self.dropout}: give 0 <= dropout < 1")


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """The U-Net that restores blurred images."""

    width: int = 64  # channels of the first level
    depth: int = 4  # times that the resolution is halved
    channels: Literal[1, 3] = 1  # 3: three equal channels, as the report's images have
    residual: bool = False  # predict the difference to the input instead of the image
    crop: int = 0  # side of the training crops in pixels; 0: whole images
    schedule: ScheduleConfig = ScheduleConfig(epochs=30, batch_size=16)

    def __post_init__(self):
        if self.width < 1 or self.depth < 1:
            raise UserError(
                f"unet.width and unet.depth are {self.width}, {self.depth}: give 1 or more"
            )
        if self.crop < 0 or self.crop % 2**self.depth:
            raise UserError(
                f"unet.crop is {self.crop}: give a multiple of {2**self.depth} (2^depth), or 0"
            )


@dataclasses.dataclass(frozen=True)
class WienerNetConfig:
    """The restorer that sees Wiener estimates: one network for every blur and noise."""

    width: int = 64  # channels, at half the resolution
    blocks: int = 5  # of two convolutions
    crop: int = 112  # side of the training crops in pixels; 0: whole images
    schedule: ScheduleConfig = ScheduleConfig(
        epochs=16, batch_size=8, learning_rate=1e-3, decay="cosine", clip_norm=1.0
    )

    def __post_init__(self):
        if self.width < 1 or self.blocks < 0:
            raise UserError(
                f"net.width and net.blocks are {self.width}, {self.blocks}: give 1 or more, 0 or"
                " more"
            )
        if self.crop < 0:
            raise UserError(f"net.crop is {self.crop}: give a number of pixels, or 0")


@dataclasses.dataclass(frozen=True)
class DegradationRange:
    """Among which blurs and noises a restorer for all of them is trained."""

    max_sigma: float = 3.0  # pixels, standard deviation; from 0 on
    max_noise: float = 0.03  # standard deviation, image range 1
    width_error: float = 0.2  # the largest relative error of a sigma that is told wrongly

    def __post_init__(self):
        for field, most in (("max_sigma", 100), ("max_noise", 1), ("width_error", 0.9)):
            if not 1e-3 < getattr(self, field) <= most:
                raise UserError(
                    f"degradations.{field} is {getattr(self, field)}: give a number above 0.001, up"
                    f" to {most}"
                )


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
    bootstrap_samples: int = 2000
    data: DataConfig = DataConfig()
    weights: WeightsConfig = WeightsConfig()
    blur: BlurConfig = BlurConfig()  # of the classification; restored with the U-Net of its own
    head: HeadConfig = HeadConfig()
    unet: UNetConfig = UNetConfig()

    def __post_init__(self):
        if not self.seeds or len(set(self.seeds)) < len(self.seeds):
            raise UserError(f"seeds is {self.seeds}: give at least one, each once, such as (0, 1)")
        for seed in (*self.seeds, self.restorer_seed):
            check_seed(seed)
        if len(set(self.tasks)) < len(self.tasks):
            raise UserError(f"tasks is {self.tasks}: give each once")
        if self.bootstrap_samples < 100:
            raise UserError(f"bootstrap_samples is {self.bootstrap_samples}: give 100 or more")
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
        if len(set(self.tasks)) < len(self.tasks):
            raise UserError(f"tasks is {self.tasks}: give each once")
        if not (math.isfinite(self.caliper) and self.caliper > 0):
            raise UserError(f"caliper is {self.caliper}: give a positive number")
        if self.bootstrap_samples < 100:
            raise UserError(f"bootstrap_samples is {self.bootstrap_samples}: give 100 or more")


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
    exposures: tuple[str, ...] = ("incubator", "incubator_large")  # see jxr.studies.field_exposures
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
        if not self.noises or not all(math.isfinite(n) and n >= 0 for n in self.noises):
            raise UserError(f"noises is {self.noises}: give finite numbers, 0 or more")
        if not 0 < self.wanted_error < 1:
            raise UserError(f"wanted_error is {self.wanted_error}: give 0 < error < 1")
        for size in (*self.growth_sizes, *self.dense_sizes):
            if size < 64:
                raise UserError(f"growth_sizes or dense_sizes has {size}: give 64 pixels or more")
