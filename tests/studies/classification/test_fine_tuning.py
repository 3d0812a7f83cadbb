"""Fine-tuning's inputs and answers: which views, whose labels, what is kept under which name."""

import dataclasses
import json
from itertools import islice

import jax
import numpy as np
import pytest

from jxr.config import AugmentationConfig, FineTuningConfig, ScheduleConfig
from jxr.models.vgg16 import graphdef
from jxr.models.vgg16_weights import random_weights
from jxr.studies.classification import fine_tuning as module
from jxr.studies.classification.fine_tuning import Answers, frozen_maps, predict_tuned, train_tuned
from jxr.studies.features import Backbone

CONFIG = FineTuningConfig(size=64, schedule=ScheduleConfig(epochs=3, batch_size=5))


@pytest.fixture(scope="module")
def backbone():
    """Of shapes only, for no number of it is asked."""
    params = jax.eval_shape(random_weights, jax.random.key(0))
    return Backbone(graphdef(), params, "none", "caffe")


def test_every_view_is_learnt_with_the_answers_of_its_image(backbone, monkeypatch, tmp_path):
    given = {}

    def fit(_, batches, *, steps, **__):
        given.update(steps=steps, batches=list(islice(batches, 3)))

    monkeypatch.setattr(module, "fit", fit)
    maps = [(np.arange(5.0) + 10 * view)[:, None].astype(np.float16) for view in range(3)]
    wanted = Answers(*np.random.default_rng(0).random((2, 5, 2), np.float32))
    train_tuned(CONFIG, backbone, maps, wanted, seed=0, directory=tmp_path, title="t")
    batch = {
        name: np.concatenate([one[name] for one in given["batches"]])
        for name in ("features", "labels", "weights")
    }
    values = batch["features"][:, 0].astype(int)
    assert sorted(values) == sorted(10 * view + image for view in range(3) for image in range(5))
    np.testing.assert_array_equal(batch["labels"], wanted.labels[values % 10])
    np.testing.assert_array_equal(batch["weights"], wanted.weights[values % 10])
    assert given["steps"] == 3  # an epoch is five examples, as many as images


def test_predictions_are_means_over_the_maps_of_each_image(backbone, monkeypatch):
    monkeypatch.setattr(module, "_log_odds", lambda graphdef, side, params, features: features)
    maps = list(np.random.default_rng(0).normal(size=(3, 20, 2)).astype(np.float32))
    found = predict_tuned(CONFIG, backbone, {"log_odds": {"bias": np.zeros(2)}}, maps)
    np.testing.assert_allclose(found, np.mean(maps, axis=0, dtype=float), rtol=1e-12)


def test_maps_are_kept_by_whatever_they_depend_on(backbone, monkeypatch, tmp_path):
    kept = []

    def keep(backbone, images, cache, *, source, half, **_):
        kept.append(json.dumps([source, backbone.last_block, half], sort_keys=True))
        return np.zeros((len(images), 1), np.float16)

    monkeypatch.setattr(module, "cached_features", keep)
    turned = dataclasses.replace(CONFIG, augmentation=AugmentationConfig(rotation=1.0))
    images = np.zeros((2, 64, 64, 1), np.float32)
    for config, how in (
        (CONFIG, {}),
        (dataclasses.replace(CONFIG, size=32), {}),
        (dataclasses.replace(CONFIG, first_block=4), {}),
        (CONFIG, {"mirrored": True}),
        (CONFIG, {"view": 0}),
        (CONFIG, {"view": 1}),
        (turned, {"view": 1}),
        (CONFIG, {"source": {"images": "others"}}),
    ):
        frozen_maps(config, backbone, images, tmp_path, title="t", **{"source": {}} | how)
    assert len(set(kept)) == 8
    # What random views are like decides nothing where there is none.
    frozen_maps(turned, backbone, images, tmp_path, title="t", source={})
    assert kept[-1] == kept[0]
