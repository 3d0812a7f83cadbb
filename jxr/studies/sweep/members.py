"""The members of a sweep over sigma, and their training as one stack."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from jxr.config import HeadConfig, RestorerSweepConfig, ScheduleConfig, SigmaSweepConfig
from jxr.data import batches
from jxr.studies.binary_tasks import Examples
from jxr.studies.classifiers import label_column
from jxr.studies.dataset import Dataset
from jxr.training.launch import Launch
from jxr.training.step import Task
from jxr.training.sweep import Settings, Trained, fit_sweep
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


def diverged(members: Sequence[Member], trained: Trained) -> list[str]:
    """Returns a note on each member that has no place in the results."""
    return [
        f"{member.name} diverged and is left out"
        for member, sound in zip(members, trained.sound, strict=True)
        if not sound
    ]


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
    by_sigma = {sigma: features(sigma) for sigma in sorted({member.sigma for member in members})}
    (length, width), *_ = (one.shape for one in by_sigma.values())
    labels = label_column(chosen, length)
    return _train_stack(
        lambda setting: classifier_task(config, width),
        members,
        lambda member: {"features": by_sigma[member.sigma], "label": labels},
        chosen.rows,
        config.schedule,
        directory=directory,
        title=title,
        launch=launch,
    )


def train_unet_stack(
    config: RestorerSweepConfig,
    members: Sequence[Member],
    dataset: Dataset,
    directory: Path,
    launch: Launch,
) -> Trained:
    """Trains one U-Net a member, or goes on with them; each equals `train_unet` of its own."""
    widest = dataclasses.replace(config.blur, sigma=max(config.train_sigmas))
    return _train_stack(
        lambda setting: restorer_task(config.unet, widest, setting["sigma"]),
        members,
        lambda member: {"image": dataset.images},
        dataset.train,
        config.unet.schedule,
        directory=directory,
        title="unets",
        launch=launch,
    )


def _train_stack(
    task_of: Callable[[Settings], Task],
    members: Sequence[Member],
    arrays: Callable[[Member], Mapping[str, np.ndarray]],
    rows: Int[np.ndarray, " n"],
    schedule: ScheduleConfig,
    **options: Any,
) -> Trained:
    """Trains all members on these rows of their arrays; for the options see `fit_sweep`."""
    return fit_sweep(
        task_of,
        [
            batches(arrays(member), rows=rows, batch_size=schedule.batch_size, seed=member.seed)
            for member in members
        ],
        settings=member_settings(members),
        seeds=[member.seed for member in members],
        names=[member.name for member in members],
        schedule=schedule,
        steps=schedule.steps(len(rows)),
        **options,
    )
