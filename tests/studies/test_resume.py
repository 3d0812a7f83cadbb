"""Every training of every config: stopped three ways and resumed, the same bits as straight on."""

import dataclasses
import functools
import json
import os
import signal

import pytest

from jxr.config import RestorerRun
from jxr.studies.binary_tasks import binary_task, examples
from jxr.studies.classifiers import train_head
from jxr.studies.dataset import load_dataset
from jxr.studies.features import dataset_features, load_backbone
from jxr.studies.recipes import Inputs, train_fine_tuned, train_heads
from jxr.studies.restorers import train_unet
from jxr.studies.runs import train_classifier, train_restorer
from jxr.studies.wiener_nets import train_wiener_net
from jxr.training.launch import PLAIN
from jxr.training.metrics import MetricsLog
from jxr.training.stopping import Stopped
from ml_collections_configs import classification, classifier, reproduce, restorer, wiener_net
from tests.tiny import tiny

TASK = "normal_vs_pneumonia"
backbone_of = functools.cache(load_backbone)  # drawing 15 million kernels takes longer than a run


def train_report_unet(config, folder, cache):
    run = RestorerRun(config.restorer_seed, config.data, config.blur, config.unet)
    train_unet(run, load_dataset(config.data, cache), folder, "unet")


def train_report_head(config, folder, cache):
    dataset = load_dataset(config.data, cache)
    backbone = backbone_of(config.weights)
    chosen = examples(binary_task(TASK, dataset.records), dataset.records, dataset.train)
    features = dataset_features(backbone, dataset, cache, resize="bicubic", blur=None, seed=0)
    train_head(config.head, features, chosen, seed=config.seeds[0], directory=folder, title="head")


def train_one_recipe(train):
    def trained(config, folder, cache):
        dataset, backbone = load_dataset(config.data, cache), backbone_of(config.weights)
        train(Inputs(config, dataset, backbone, folder, cache), "blurred", PLAIN)

    return trained


def small(config):
    """Returns a config of the classification study with one tiny training a recipe."""
    data = dataclasses.replace(config.data, size=64)
    tuned = dataclasses.replace(
        config.tuned,
        size=32,
        views=0,
        schedule=dataclasses.replace(
            config.tuned.schedule, epochs=2, batch_size=8, checkpoint_every=3
        ),
    )
    return dataclasses.replace(config, data=data, tuned=tuned, tasks=(TASK,), seeds=(0,))


TRAININGS = {
    **{f"classifier:{name}": (run, train_classifier) for name, run in classifier.RUNS.items()},
    **{f"restorer:{name}": (run, train_restorer) for name, run in restorer.RUNS.items()},
    **{f"wiener_net:{name}": (run, train_wiener_net) for name, run in wiener_net.RUNS.items()},
    **{
        f"reproduce:{name}, U-Net": (run, train_report_unet) for name, run in reproduce.RUNS.items()
    },
    **{f"reproduce:{name}, head": (run, train_report_head) for name, run in reproduce.RUNS.items()},
    **{
        f"classification:{name}, head": (run, train_one_recipe(train_heads))
        for name, run in classification.RUNS.items()
    },
    **{
        f"classification:{name}, fine-tuned": (run, train_one_recipe(train_fine_tuned))
        for name, run in classification.RUNS.items()
    },
}


class Crash(Exception):
    pass


def crash():
    raise Crash


# After how many updates of a call, what happens, and what the call ends with. There are 7 updates
# in all, and a checkpoint every 3.
STOPS = (
    (5, crash, Crash, 3),
    (1, lambda: os.kill(os.getpid(), signal.SIGINT), Stopped, 4),
    (2, lambda: os.kill(os.getpid(), signal.SIGTERM), Stopped, 6),
)


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


@pytest.mark.resume
@pytest.mark.parametrize("name", TRAININGS)
def test_stopped_thrice_and_resumed_equals_straight_on(
    name, tiny_images, cache, tmp_path, monkeypatch
):
    monkeypatch.setattr("jxr.studies.runs.load_backbone", backbone_of)
    config, train = TRAININGS[name]
    config = tiny(config, tiny_images)
    if "bacterial" in name:  # fewer images: as many steps by more epochs
        schedule = dataclasses.replace(config.head.schedule, epochs=3)
        config = dataclasses.replace(
            config, head=dataclasses.replace(config.head, schedule=schedule)
        )
    if hasattr(config, "tuned"):
        config = small(config)
    train(config, tmp_path / "straight", cache)
    add = MetricsLog.add
    for after, stop, raised, step in STOPS:
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
    assert int(newest(tmp_path / "straight").name) > STOPS[-1][-1]
    assert saved(tmp_path / "stopped") == saved(tmp_path / "straight")
