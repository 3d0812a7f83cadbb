"""What is trained, and how long."""

import dataclasses
import math
from typing import Literal

from jxr.errors import UserError

WIDEST = 100_000  # of a layer: from some width on JAX cannot even say that memory runs out


@dataclasses.dataclass(frozen=True)
class ScheduleConfig:
    """How long a run is and what it leaves behind on the way."""

    epochs: int = 10
    batch_size: int = 32  # over all devices
    learning_rate: float = 1e-3  # Adam's default in Keras and in the report
    decay: Literal["none", "cosine"] = "none"  # of the learning rate, to 0 at the last step
    clip_norm: float = 0.0  # longer gradients are shortened to this length; 0: never
    accumulate: int = 1  # equal parts of the batch, one after another: less memory, same result
    # In which the network computes in training; all else, and what is trained, stays float32.
    precision: Literal["float32", "bfloat16"] = "float32"
    log_every: int = 50  # steps
    checkpoint_every: int = 500  # steps

    def __post_init__(self):
        for field in ("epochs", "batch_size", "accumulate", "log_every", "checkpoint_every"):
            if getattr(self, field) < 1:
                raise UserError(f"schedule.{field} is {getattr(self, field)}: give 1 or more")
        if self.batch_size % self.accumulate:
            raise UserError(
                f"schedule.batch_size {self.batch_size} does not divide by schedule.accumulate"
                f" {self.accumulate}: give a multiple"
            )
        if not (math.isfinite(self.learning_rate) and self.learning_rate > 0):
            raise UserError(
                f"schedule.learning_rate is {self.learning_rate}: give a positive number"
            )
        if not (math.isfinite(self.clip_norm) and self.clip_norm >= 0):
            raise UserError(f"schedule.clip_norm is {self.clip_norm}: give 0 or a positive number")

    def steps(self, examples: int) -> int:
        """Returns how many whole batches there are in all epochs of so many examples."""
        return self.epochs * examples // self.batch_size


@dataclasses.dataclass(frozen=True)
class HeadConfig:
    """The fully connected layers on VGG-16's frozen convolutions."""

    hidden: tuple[int, ...] = (256,)  # (4096, 4096) is VGG-16's own head
    dropout: float = 0.5
    schedule: ScheduleConfig = ScheduleConfig(epochs=10, batch_size=32, learning_rate=1e-4)

    def __post_init__(self):
        if not all(1 <= width <= WIDEST for width in self.hidden):
            raise UserError(f"head.hidden is {self.hidden}: give widths from 1 to {WIDEST}")
        if not 0 <= self.dropout < 1:
            raise UserError(f"head.dropout is {self.dropout}: give 0 <= dropout < 1")


@dataclasses.dataclass(frozen=True)
class UNetConfig:
    """The U-Net that restores blurred images."""

    width: int = 64  # channels of the first level
    depth: int = 4  # times that the resolution is halved
    channels: Literal[1, 3] = 1  # 3: three equal channels, as the report's images have
    residual: bool = True  # predict the difference to the input instead of the image
    crop: int = 0  # side of the training crops in pixels; 0: whole images
    remat: bool = False  # compute activations again in the backward pass: less memory, same result
    # With 1e-3 all the way and gradients as they come, one of 64 channels broke down on its way:
    # experiments/results/h200.
    schedule: ScheduleConfig = ScheduleConfig(
        epochs=30, batch_size=16, learning_rate=3e-4, decay="cosine", clip_norm=1.0
    )

    def __post_init__(self):
        if not 1 <= self.width <= WIDEST or self.depth < 1:
            raise UserError(
                f"unet.width and unet.depth are {self.width}, {self.depth}: give 1 or more, of the"
                f" width at most {WIDEST}"
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
        if not 1 <= self.width <= WIDEST or self.blocks < 0:
            raise UserError(
                f"net.width and net.blocks are {self.width}, {self.blocks}: give 1 to {WIDEST}, and"
                " 0 or more"
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
class AugmentationConfig:
    """How far random views of a training image may go from it."""

    blurred: float = 0.3  # share of the views that are blurred
    max_sigma: float = 2.0  # pixels, of their blur
    rotation: float = 7.0  # degrees, either way
    frame: tuple[float, float] = (0.85, 1.05)  # smallest and largest side, of the image's
    stretch: float = 0.05  # logarithm of the ratio of height to width, half of it, either way
    shift: float = 0.05  # of the image's side, either way
    mirrored: float = 0.5  # share of the views that are mirrored
    gamma: float = 0.2  # logarithm, either way
    contrast: float = 0.2  # logarithm, either way
    brightness: float = 0.05  # of an image range of 1, either way

    def __post_init__(self):
        for field in ("blurred", "mirrored"):
            if not 0 <= getattr(self, field) <= 1:
                raise UserError(f"augmentation.{field} is {getattr(self, field)}: give a share")
        for field in (
            "max_sigma",
            "rotation",
            "stretch",
            "shift",
            "gamma",
            "contrast",
            "brightness",
        ):
            value = getattr(self, field)
            if not (math.isfinite(value) and value >= 0):
                raise UserError(f"augmentation.{field} is {value}: give a finite number, 0 or more")
        if len(self.frame) != 2 or not 0 < self.frame[0] <= self.frame[1] < math.inf:
            raise UserError(
                f"augmentation.frame is {self.frame}: give the smallest and the largest side"
            )


@dataclasses.dataclass(frozen=True)
class FineTuningConfig:
    """VGG-16's last blocks, or all, and a small classifier, trained on what the others give."""

    size: int = 128  # pixels that images are shrunk to; a multiple of 32
    first_block: Literal[1, 2, 3, 4, 5] = 5  # of those that learn
    # Random views of each training image, besides the image itself, of which feature maps are kept.
    # If all blocks learn, none is kept: each step sees another view.
    views: int = 1
    augmentation: AugmentationConfig = AugmentationConfig()
    dropout: float = 0.5
    label_smoothing: float = 0.1  # share of a label that is spread evenly over both answers
    schedule: ScheduleConfig = ScheduleConfig(
        epochs=4, batch_size=32, learning_rate=1e-4, decay="cosine", clip_norm=1.0
    )

    def __post_init__(self):
        if self.size < 32 or self.size % 32:
            raise UserError(f"tuned.size is {self.size}: give a positive multiple of 32")
        if self.views < 0:
            raise UserError(f"tuned.views is {self.views}: give 0 or more")
        if self.first_block == 1 and self.views:
            raise UserError(
                f"tuned.views is {self.views}, but with tuned.first_block 1 there are no feature"
                " maps to keep: give 0, each step sees another view"
            )
        # Views are no smaller than this, and a kernel reaches four standard deviations.
        if self.augmentation.max_sigma > self.size / 4:
            raise UserError(
                f"tuned.augmentation.max_sigma is {self.augmentation.max_sigma}: give a number of"
                f" pixels up to {self.size // 4}, a quarter of tuned.size"
            )
        for field in ("dropout", "label_smoothing"):
            if not 0 <= getattr(self, field) < 1:
                raise UserError(f"tuned.{field} is {getattr(self, field)}: give 0 or more, below 1")
