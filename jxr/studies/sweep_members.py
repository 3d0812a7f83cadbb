"""The members of a sweep over sigma, and their training as one stack."""

import dataclasses
from collections.abc import Callable, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from jxr.config import HeadConfig, RestorerSweepConfig, SigmaSweepConfig
from jxr.data import batches
from jxr.studies.binary_tasks import Examples
from jxr.studies.dataset import Dataset
from jxr.training.launch import Launch
from jxr.training.sweep import Trained, best_mapping, fit_sweep
from jxr.training.tasks import classifier_task, restorer_task


class Member(NamedTuple):
    """One model of a sweep."""

    sigma: float  # of the training images, in pixels
    learning_rate: float
    seed: int

    @property
    def name(self) -> str:
        """Returns a name for logs and tables."""
        return f"sigma{self.sigma:g}-rate{self.learning_rate:g}-seed{self.seed}"


def members_of(config: SigmaSweepConfig | RestorerSweepConfig) -> list[Member]:
    """Returns every member; those that differ in nothing but the seed are neighbours."""
    kinds = config.train_sigmas, config.learning_rates, config.seeds
    return [Member(*values) for values in product(*kinds)]


def member_settings(members: Sequence[Member]) -> dict[str, Float[np.ndarray, " members"]]:
    """Returns what differs between members as arrays."""
    return {
        name: np.array([getattr(member, name) for member in members], np.float32)
        for name in ("sigma", "learning_rate")
    }


def train_head_stack(
    config: HeadConfig,
    members: Sequence[Member],
    features: Callable[[float], Float[np.ndarray, "n features"]],
    chosen: Examples,
    *,
    directory: Path,
    title: str,
    launch: Launch,
) -> Trained:
    """Trains one head a member, or goes on with them; each equals `train_head` of its own.

    Args:
        config: Of every head, but for the learning rate.
        members: What differs.
        features: sigma -> the cached features of all images.
        chosen: Rows and labels of the training images.
        directory: Gets checkpoints and metrics.
        title: For the progress display.
        launch: See `fit`.
    """
    schedule = config.schedule
    by_sigma = {sigma: features(sigma) for sigma in sorted({member.sigma for member in members})}
    (length, width), *_ = (one.shape for one in by_sigma.values())
    labels = np.full(length, -1, np.int32)
    labels[chosen.rows] = chosen.labels
    return fit_sweep(
        lambda setting: classifier_task(config, width),
        [
            batches(
                {"features": by_sigma[member.sigma], "label": labels},
                rows=chosen.rows,
                batch_size=schedule.batch_size,
                seed=member.seed,
            )
            for member in members
        ],
        settings=member_settings(members),
        seeds=[member.seed for member in members],
        names=[member.name for member in members],
        schedule=schedule,
        steps=schedule.epochs * len(chosen.rows) // schedule.batch_size,
        directory=directory,
        title=title,
        launch=launch,
        mapped=best_mapping(convolutional=False),
    )


def train_unet_stack(
    config: RestorerSweepConfig,
    members: Sequence[Member],
    dataset: Dataset,
    directory: Path,
    launch: Launch,
) -> Trained:
    """Trains one U-Net a member, or goes on with them; each equals `train_unet` of its own."""
    schedule = config.unet.schedule
    widest = dataclasses.replace(config.blur, sigma=max(config.train_sigmas))
    return fit_sweep(
        lambda setting: restorer_task(config.unet, widest, setting["sigma"]),
        [
            batches(
                {"image": dataset.images},
                rows=dataset.train,
                batch_size=schedule.batch_size,
                seed=member.seed,
            )
            for member in members
        ],
        settings=member_settings(members),
        seeds=[member.seed for member in members],
        names=[member.name for member in members],
        schedule=schedule,
        steps=schedule.epochs * len(dataset.train) // schedule.batch_size,
        directory=directory,
        title="unets",
        launch=launch,
        mapped=best_mapping(convolutional=True),
    )
