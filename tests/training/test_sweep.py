"""Sweeps: every member as it would be alone, one checkpoint for all, no member poisons others."""

import functools
import json
import logging as std_logging
from functools import partial

import jax
import numpy as np
import optax
import pytest

from jxr.config import BlurConfig, HeadConfig, ScheduleConfig, UNetConfig
from jxr.data import batches
from jxr.errors import UserError
from jxr.training.flop import count_flop
from jxr.training.launch import Launch
from jxr.training.loop import fit
from jxr.training.step import make_train_step
from jxr.training.stopping import Stopped
from jxr.training.sweep import best_mapping, fit_sweep, sweep_program, used_devices
from jxr.training.tasks import classifier_task, restorer_task
from tests.forked import run_script
from tests.training.test_loop import CASES, StopAt, assert_same_bits

STEPS = 6
MEMBERS = {"classifier": 3, "restorer": 2}
SEEDS = [3, 4, 3]
RATES = [1e-2, 3e-3, 1e-3]
SIGMAS = [0.0, 1.2, 0.5]
HEAD = HeadConfig(hidden=(6,))
UNET = UNetConfig(width=2, depth=1)
BLUR = BlurConfig(sigma=1.2, noise=0.05)
TASKS = {
    "classifier": lambda setting: classifier_task(HEAD, in_features=10),
    "restorer": lambda setting: restorer_task(UNET, BLUR, setting["sigma"]),
}


def schedule(rate=1e-2):
    return ScheduleConfig(
        epochs=1, batch_size=4, learning_rate=rate, decay="cosine", clip_norm=1.0, log_every=2,
        checkpoint_every=3,
    )  # fmt: skip


def sweep(case, folder, *, mapped="vmap", rates=RATES, stop_at=None, launch=Launch()):  # noqa: B008
    count = MEMBERS[case]
    seeds = SEEDS[:count]
    iterators = [batches(CASES[case][1], batch_size=4, seed=seed) for seed in seeds]
    if stop_at is not None:
        iterators[0] = StopAt(iterators[0], stop_at)
    return fit_sweep(
        TASKS[case],
        iterators,
        settings={
            "learning_rate": np.float32(rates[:count]),
            "sigma": np.float32(SIGMAS[:count]),
        },
        seeds=seeds,
        names=[f"member{number}" for number in range(count)],
        schedule=schedule(),
        steps=STEPS,
        directory=folder,
        launch=launch,
        mapped=mapped,
    )


def alone(case, number, folder):
    """The same member by `fit`, its blur a plain number with a kernel of its own size."""
    task = {
        "classifier": lambda: classifier_task(HEAD, in_features=10),
        "restorer": lambda: restorer_task(UNET, BlurConfig(sigma=SIGMAS[number], noise=0.05)),
    }[case]()
    return fit(
        task,
        batches(CASES[case][1], batch_size=4, seed=SEEDS[number]),
        schedule=schedule(RATES[number]),
        steps=STEPS,
        seed=SEEDS[number],
        directory=folder,
    )


def metrics(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def member(tree, number):
    return jax.tree.map(lambda leaf: leaf[number], tree)


def assert_close(left, right, apart=False):
    pairs = list(zip(jax.tree.leaves(left), jax.tree.leaves(right), strict=True))
    if apart:
        assert not all(np.allclose(a, b, rtol=1e-4, atol=1e-5) for a, b in pairs)
    else:
        for a, b in pairs:
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


@pytest.fixture(scope="module")
def sound(tmp_path_factory):
    """Gives the folder and the result of a sweep that nothing happened to; each is trained once."""
    root = tmp_path_factory.mktemp("sound")

    @functools.cache
    def of(case, mapped):
        folder = root / f"{case}-{mapped}"
        return folder, sweep(case, folder, mapped=mapped)

    return of


@pytest.fixture(scope="module")
def singles(tmp_path_factory):
    """Gives the folders and the results of the members, each trained alone once."""
    root = tmp_path_factory.mktemp("singles")

    @functools.cache
    def of(case):
        folders = [root / f"{case}{number}" for number in range(MEMBERS[case])]
        return folders, [alone(case, number, folder) for number, folder in enumerate(folders)]

    return of


@pytest.mark.parametrize("mapped", ["vmap", "loop"])
@pytest.mark.parametrize("case", TASKS)
def test_each_member_equals_its_run_alone(case, mapped, sound, singles):
    folder, found = sound(case, mapped)
    assert found.sound.all()
    folders, single = singles(case)
    for number, expected in enumerate(single):
        assert_close(member(found.params, number), expected)
        # They differ from each other by far more, so the tolerance means something.
        assert_close(member(found.params, number), single[number - 1], apart=True)
    rows = metrics(folder)
    for row in rows:
        assert row["examples_per_second"] == 4 * len(single) * row["steps_per_second"]
    for number, own_folder in enumerate(folders):
        for row, own in zip(rows, metrics(own_folder), strict=True):
            assert row["loss"][number] == pytest.approx(own["loss"], rel=1e-4)
            assert row["gradient_norm"][number] == pytest.approx(own["gradient_norm"], rel=1e-3)


@pytest.mark.resume
@pytest.mark.parametrize("mapped", ["vmap", "loop"])
def test_a_sweep_is_resumed_as_one_bit_for_bit(mapped, sound, tmp_path):
    train = partial(sweep, "classifier", tmp_path, mapped=mapped)
    with pytest.raises(Stopped):
        train(stop_at=3)
    assert_same_bits(sound("classifier", mapped)[1], train())


@pytest.mark.parametrize("mapped", ["vmap", "loop"])
def test_a_member_that_diverges_is_reported_and_poisons_none(mapped, sound, tmp_path, caplog):
    train = partial(sweep, "classifier", mapped=mapped)
    _, expected = sound("classifier", mapped)
    rates = [RATES[0], 1e30, *RATES[2:]]
    with caplog.at_level(std_logging.WARNING):
        found = train(tmp_path, rates=rates)
    said = [record.getMessage() for record in caplog.records if "diverged" in record.getMessage()]
    assert len(said) == 1
    assert "member1 diverged and learns no more: the loss is" in said[0]
    assert "at step 1" in said[0]
    assert found.sound.tolist() == [True, False, True]
    for number in (0, 2):
        assert_same_bits(member(found.params, number), member(expected.params, number))
    # What is kept of it is finite: the state before the first bad update.
    for leaf in jax.tree.leaves(member(found.params, 1)):
        assert np.isfinite(leaf).all()
    rows = metrics(tmp_path)
    assert [row["loss"][1] for row in rows] == [None] * len(rows)
    assert all(np.isfinite(row["loss"][0]) for row in rows)
    # Called again, it is known from the checkpoint.
    assert train(tmp_path, rates=rates).sound.tolist() == found.sound.tolist()


def test_when_every_member_diverges_it_ends(tmp_path):
    with pytest.raises(UserError, match=r"the last of the sweep, the loss is .* at step 2:"):
        sweep("classifier", tmp_path, rates=[1e30] * 3)


def test_pmap_is_refused(tmp_path):
    with pytest.raises(UserError, match="leave --parallel out"):
        sweep("classifier", tmp_path, launch=Launch("pmap"))


def test_members_are_spread_evenly_over_as_many_devices_as_can_be(monkeypatch):
    monkeypatch.setattr(jax, "device_count", lambda: 8)
    assert [used_devices(members) for members in (1, 2, 6, 8, 12, 11)] == [1, 2, 6, 8, 6, 1]


def test_looped_members_share_one_program_and_give_their_memory_back():
    width, members = 64, 3
    program = sweep_program(
        lambda _: classifier_task(HEAD, in_features=width),
        {"learning_rate": np.full(members, 1e-3, np.float32)},
        seeds=range(members),
        schedule=ScheduleConfig(),
        steps=1,
        mapped="loop",
    )
    batch = program.put_batch(
        {
            "features": np.ones((members, 8, width), np.float32),
            "label": np.ones((members, 8), np.int32),
            "example_id": np.zeros((members, 8), np.int32),
        }
    )
    states = program.put_state(jax.jit(program.init)())
    step = program.compile(states, batch, program.key)
    alone = jax.jit(make_train_step(classifier_task(HEAD, width), optax.adam(1e-3)))
    assert step.flop == members * count_flop(alone, states[0], batch[0], program.key[0]) > 0
    step.call(states, batch, program.key)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(states))


def test_members_are_looped_over_on_a_cpu(monkeypatch):
    for platform, expected in (("cpu", "loop"), ("gpu", "vmap"), ("tpu", "vmap")):
        monkeypatch.setattr(jax, "default_backend", lambda platform=platform: platform)
        assert best_mapping() == expected


# In a process of its own, for the number of devices is fixed when JAX starts.
SCRIPT = """
import sys
from pathlib import Path
import jax, numpy as np
from tests.training.test_sweep import sweep
assert jax.device_count() == 4
folder = Path(sys.argv[1])
found = sweep("classifier", folder)
np.savez(folder / "params.npz", *map(np.asarray, jax.tree.leaves(found.params)))
"""


@pytest.mark.devices
def test_a_sweep_over_several_devices_is_the_same(sound, tmp_path):
    """Three members over three of four devices, and over one."""
    run_script(SCRIPT, tmp_path, devices=4)
    spread = np.load(tmp_path / "params.npz")
    leaves = jax.tree.leaves(sound("classifier", "vmap")[1].params)
    for key, leaf in zip(spread.files, leaves, strict=True):
        np.testing.assert_allclose(spread[key], leaf, rtol=1e-4, atol=1e-5)
