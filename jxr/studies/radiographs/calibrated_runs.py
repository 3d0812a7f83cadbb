"""Finished runs as classifiers: heads and weights loaded, log-odds calibrated."""

import dataclasses
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from absl import logging
from jaxtyping import Array, Float

from jxr.config import ClassifierRun, ReproduceConfig
from jxr.config_dict import completed, from_config_dict
from jxr.errors import UserError
from jxr.evaluation import Scaling
from jxr.models import abstract, apply
from jxr.models.functional import params_fingerprint
from jxr.models.gradcam import features_of, grad_cam, last_maps
from jxr.models.vgg16 import Convention
from jxr.studies.features import Backbone, feature_count, load_backbone
from jxr.studies.radiographs.run_calibration import (
    FILE,
    Config,
    calibrate,
    load_heads,
    read_calibration,
)
from jxr.studies.workdir import read_run
from jxr.training.checkpoints import latest_step
from jxr.training.tasks import build_head


class Question(NamedTuple):
    """A task, and the heads whose mean log-odds, scaled, answer it."""

    task: str
    heads: tuple[Any, ...]  # parameters, one a seed
    scaling: Scaling

    @property
    def classes(self) -> tuple[str, str]:
        """Returns the names of the negative and of the positive class."""
        negative, positive = self.task.split("_vs_")
        return negative, positive


class CalibratedRun(NamedTuple):
    """A finished run, ready to classify images.

    Attributes:
        config: of the run.
        fingerprints: of its images and weights.
        backbone: VGG-16.
        questions: one or more.
        calibration: what calibration.json holds.
    """

    config: Config
    fingerprints: dict[str, str]
    backbone: Backbone
    questions: tuple[Question, ...]
    calibration: dict[str, Any]

    def answers(
        self, images: Float[Array, "batch size size 1"], *, gradcam: bool
    ) -> tuple[Float[Array, "questions batch"], Float[Array, "questions batch _ _"] | None]:
        """Returns the log-odds of yes to each question, before scaling, and Grad-CAM's maps.

        Args:
            images: in [0, 1], of the run's size.
            gradcam: whether the maps are wanted; otherwise they are None.
        """
        head, _ = abstract(build_head(self.config.head, feature_count(self.config.data.size)))
        heads = [question.heads for question in self.questions]
        static = self.backbone.graphdef, head, self.backbone.convention, gradcam
        return _answers(*static, self.backbone.params, heads, images)


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _answers(
    backbone: Any,
    head: Any,
    convention: Convention,
    gradcam: bool,
    params: Any,
    heads: list[tuple[Any, ...]],
    images: Array,
) -> tuple[Array, Array | None]:
    maps = last_maps(backbone, params, images, convention)

    def log_odds(members: tuple[Any, ...], maps: Array) -> Array:
        features = features_of(maps)
        pairs = jnp.stack([apply(head, one, features) for one in members])
        return (pairs[..., 1] - pairs[..., 0]).mean(axis=0)

    if not gradcam:
        return jnp.stack([log_odds(members, maps) for members in heads]), None
    found = [grad_cam(partial(log_odds, members), maps) for members in heads]
    scores, cams = zip(*found, strict=True)
    return jnp.stack(scores), jnp.stack(cams)


def open_run(
    workdir: Path, cache: Path, *, data_path: str | None = None, weights_path: str | None = None
) -> CalibratedRun:
    """Opens a run of train_classifier or reproduce, and calibrates it unless that was done before.

    A calibration of heads that have been trained on since is fitted anew.

    Args:
        workdir: The run directory.
        cache: Folder of decoded images and features; needed for the calibration only.
        data_path: Where the run's images lie now, if not where they were; likewise.
        weights_path: Where the run's weights lie now, if not where they were.

    Raises:
        UserError: no run, an unfinished one or one of another kind; weights that are not the run's;
            see `calibrate`.
    """
    config, fingerprints = read_config(workdir)
    if data_path is not None:
        config = dataclasses.replace(config, data=dataclasses.replace(config.data, path=data_path))
    if weights_path is not None:
        weights = dataclasses.replace(config.weights, path=weights_path)
        config = dataclasses.replace(config, weights=weights)
    backbone = load_backbone(config.weights)
    if backbone.fingerprint != fingerprints["weights"]:
        raise UserError(
            f"{workdir}: was made with other weights of VGG-16: name their file by --weights_path"
        )
    kept = read_calibration(workdir)
    if kept is not None:
        run = CalibratedRun(config, fingerprints, backbone, questions(workdir, config, kept), kept)
        found = [[params_fingerprint(head) for head in one.heads] for one in run.questions]
        if found == [task["heads"] for task in kept["tasks"]]:
            return run
        logging.warning("%s: of heads that have been trained on since", workdir / FILE)
    kept = calibrate(workdir, config, fingerprints, backbone, cache)
    return CalibratedRun(config, fingerprints, backbone, questions(workdir, config, kept), kept)


def read_config(workdir: Path) -> tuple[Config, dict[str, str]]:
    """Returns the config of a run that can classify, and its fingerprints.

    Raises:
        UserError: there is no run, nothing trained, or it is of another kind.
    """
    values = read_run(workdir)
    fingerprints = values.pop("fingerprints")
    if "restorer_seed" in values:
        if not (workdir / "stages" / "classification.json").exists():
            raise UserError(f"{workdir}: not finished: run experiments.reproduce again to go on")
        report = from_config_dict(ReproduceConfig, completed(ReproduceConfig, values))
        return report, fingerprints
    if "task" not in values or "train_on" not in values:
        raise UserError(
            f"{workdir}: holds no classifier of this kind: give a run of"
            " experiments.train_classifier or experiments.reproduce"
        )
    if latest_step(workdir / "checkpoints") is None:
        raise UserError(f"{workdir}: no checkpoint yet: run experiments.train_classifier again")
    return from_config_dict(ClassifierRun, completed(ClassifierRun, values)), fingerprints


def questions(workdir: Path, config: Config, calibration: dict[str, Any]) -> tuple[Question, ...]:
    """Returns the questions that a run was calibrated for."""
    return tuple(
        Question(
            task["task"],
            load_heads(workdir, config, task["task"]),
            Scaling(slope=task["slope"], threshold=task["threshold"]),
        )
        for task in calibration["tasks"]
    )
