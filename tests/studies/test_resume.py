"""Every kind of training of the configs: stopped and resumed, the same bits as straight on."""

import dataclasses
import functools
import json
import os
import signal

import pytest

from jxr.studies.classification.recipes import Inputs, train_fine_tuned, train_heads
from jxr.studies.dataset import load_dataset
from jxr.studies.features import load_backbone
from jxr.studies.runs import train_classifier, train_restorer
from jxr.studies.wiener_nets import train_wiener_net
from jxr.training.launch import PLAIN
from jxr.training.metrics import MetricsLog
from jxr.training.stopping import Stopped
from ml_collections_configs import classification, classifier, reproduce, restorer, wiener_net
from tests.tiny import tiny

TASK = "normal_vs_pneumonia"
backbone_of = functools.cache(load_backbone)  # drawing 15 million kernels takes longer than a run


def train_one_recipe(train):
    def trained(config, folder, cache):
        dataset, backbone = load_dataset(config.data, cache), backbone_of(config.weights)
        train(Inputs(config, dataset, backbone, folder, cache), "blurred", PLAIN)

    return trained


def small(config, path):
    """Returns any run config with one tiny training of each kind.

    Of the last block on maps of images of 64 pixels, for convolutions of maps of two by two places
    are slow on CPUs; where all of VGG-16 learns, of 32 and for one epoch.
    """
    config = tiny(config, path)
    if not hasattr(config, "tuned"):
        return config
    whole = config.tuned.first_block == 1
    schedule = dataclasses.replace(
        config.tuned.schedule,
        epochs=1 if whole else 2,
        batch_size=8,
        learning_rate=1e-4,
        log_every=50,
        checkpoint_every=3,
    )
    tuned = dataclasses.replace(config.tuned, size=32 if whole else 64, schedule=schedule)
    return dataclasses.replace(config, tuned=tuned, tasks=(TASK,), seeds=(0,))


class Crash(Exception):
    pass


def crash():
    raise Crash


# After how many updates of a call, what happens, what the call ends with, and the newest checkpoint
# then. There are 7 updates in all, or 3 where all of VGG-16 learns, and a checkpoint every 3.
THRICE = (
    (5, crash, Crash, 3),
    (1, lambda: os.kill(os.getpid(), signal.SIGINT), Stopped, 4),
    (2, lambda: os.kill(os.getpid(), signal.SIGTERM), Stopped, 6),
)
TWICE = (THRICE[0], (3, *THRICE[2][1:]))
ONCE = ((2, lambda: os.kill(os.getpid(), signal.SIGTERM), Stopped, 2),)

# The fastest in every way, each other network by a crash and a signal; once what differs from
# another in what a step draws or reads, such as crops, views and precision, or in who calls it.
TRAININGS = {
    "classifier": (classifier.RUNS["normal_vs_pneumonia-blurred"], train_classifier, THRICE),
    "restorer of crops": (restorer.RUNS["cpu"], train_restorer, TWICE),
    "restorer of whole images": (restorer.RUNS["full"], train_restorer, ONCE),
    "wiener_net": (wiener_net.RUNS["kermany"], train_wiener_net, TWICE),
    "classification, heads": (
        classification.RUNS["kermany"],
        train_one_recipe(train_heads),
        ONCE,
    ),
    "classification, last block": (
        classification.RUNS["kermany"],
        train_one_recipe(train_fine_tuned),
        TWICE,
    ),
    "classification, all blocks": (
        classification.RUNS["kermany_whole"],
        train_one_recipe(train_fine_tuned),
        ONCE,
    ),
}


def newest(folder):
    """Returns where the newest checkpoint below a folder is."""
    (steps,) = folder.rglob("checkpoints")
    return max((path for path in steps.iterdir()), key=lambda path: int(path.name))


def saved(folder):
    """Returns shape and checksum of every array of the newest checkpoint, and the position."""
    record = json.loads((newest(folder) / "data" / "metadata").read_text())["record"]
    assert record["params"]
    assert record["optimizer"]
    assert record["position"]
    return record


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


def networks(config):
    """Returns what a config trains, at a size for tests."""
    config = small(config, "")
    kinds = ("head", "unet", "net", "tuned")
    found = {(kind, getattr(config, kind)) for kind in kinds if hasattr(config, kind)}
    return {(*one, config.blur) if one[0] == "unet" else one for one in found}


def test_every_config_trains_what_is_stopped_here():
    """All else in which configs differ are numbers: sizes, epochs, rates."""
    stopped = set().union(*(networks(config) for config, _, _ in TRAININGS.values()))
    for configs in (classifier, restorer, wiener_net, reproduce, classification):
        for name, config in configs.RUNS.items():
            assert networks(config) <= stopped, (configs.__name__, name)


@pytest.mark.resume
@pytest.mark.parametrize("name", TRAININGS)
def test_stopped_and_resumed_equals_straight_on(name, tiny_images, cache, tmp_path, monkeypatch):
    monkeypatch.setattr("jxr.studies.runs.load_backbone", backbone_of)
    config, train, stops = TRAININGS[name]
    config = small(config, tiny_images)
    train(config, tmp_path / "straight", cache)
    add = MetricsLog.add
    for after, stop, raised, step in stops:
        updates = []

        def counted(self, metrics, after=after, stop=stop, updates=updates):
            add(self, metrics)
            updates.append(1)
            if len(updates) == after:
                stop()

        monkeypatch.setattr(MetricsLog, "add", counted)
        with pytest.raises(raised):
            train(config, tmp_path / "stopped", cache)
        assert newest(tmp_path / "stopped").name == str(step)
    monkeypatch.setattr(MetricsLog, "add", add)
    train(config, tmp_path / "stopped", cache)
    assert newest(tmp_path / "stopped").name == newest(tmp_path / "straight").name
    assert int(newest(tmp_path / "straight").name) > stops[-1][-1]
    assert saved(tmp_path / "stopped") == saved(tmp_path / "straight")
