"""What saves memory: parts of a batch, activations computed again, states that are used up."""

import functools
import json

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from jxr.config import BlurConfig, UNetConfig
from jxr.training.parallel import data_parallel
from jxr.training.step import init_state, make_train_step
from jxr.training.tasks import restorer_task
from tests.forked import run_script
from tests.training.test_loop import CASES, assert_close, assert_same_bits, train

KEY = jax.random.key(1)
RNG = np.random.default_rng(0)
IMAGES = {
    "image": RNG.random((8, 32, 32, 1), np.float32),
    "example_id": np.arange(8, dtype=np.int32),
}

# In a process of its own, for the number of devices is fixed when JAX starts.
ON_TWO_DEVICES = """
import sys
from pathlib import Path
import jax, numpy as np, optax
from jxr.errors import UserError
from jxr.training.parallel import data_parallel
from tests.training.test_loop import CASES, train
from tests.training.test_memory import IMAGES
assert jax.device_count() == 2
folder = Path(sys.argv[1])
for parallel in "jit", "pmap":
    params = train("classifier", folder / parallel, batch_size=8, accumulate=2, parallel=parallel)
    np.savez(folder / f"{parallel}.npz", *map(np.asarray, jax.tree.leaves(params)))
program = data_parallel(CASES["restorer"][0], optax.adam(1e-2), 0, "jit", accumulate=2)
state = jax.jit(program.init, out_shardings=program.sharding)()
step = program.compile(state, program.put_batch(IMAGES), program.key).call
(folder / "step.txt").write_text(step.as_text())
try:
    train("classifier", folder / "refused", batch_size=8, accumulate=8)
except UserError as error:
    (folder / "refused.txt").write_text(str(error))
"""


@functools.cache
def compiled(parallel, accumulate):
    """The restorer's compiled step on `IMAGES`, and what it takes, which one test uses up."""
    program = data_parallel(CASES["restorer"][0], optax.adam(1e-2), 0, parallel, accumulate)
    state = program.put_state(jax.jit(program.init, out_shardings=program.sharding)())
    arguments = state, program.put_batch(IMAGES), program.key
    return program.compile(*arguments).call, arguments


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Of each case the folder and the result of a run whose batches are whole, by jit."""
    root = tmp_path_factory.mktemp("whole")
    return {case: (root / case, train(case, root / case, batch_size=8)) for case in CASES}


@pytest.mark.parametrize(
    ("case", "parallel"), [("classifier", "jit"), ("restorer", "jit"), ("classifier", "pmap")]
)
def test_a_batch_in_parts_trains_as_the_whole_one(case, parallel, whole, tmp_path):
    """With dropout, noise and crops: they follow the example. Adam sees one gradient a step."""
    folder, expected = whole[case]
    assert_close(train(case, tmp_path, batch_size=8, parallel=parallel, accumulate=4), expected)
    logs = [
        [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
        for run in (folder, tmp_path)
    ]
    for left, right in zip(*logs, strict=True):
        assert left["step"] == right["step"]
        for key in ("loss", "gradient_norm"):
            assert right[key] == pytest.approx(left[key], rel=1e-4)
    if case == "restorer":  # a head's optimiser, which counts more than once, is much of it
        flop = [log[0]["flop_per_step"] for log in logs]
        assert flop[1] == pytest.approx(flop[0], rel=0.1)


@pytest.mark.devices
def test_parts_on_two_devices_train_the_same_and_no_example_moves(whole, tmp_path):
    run_script(ON_TWO_DEVICES, tmp_path, devices=2)
    for parallel in ("jit", "pmap"):
        with np.load(tmp_path / f"{parallel}.npz") as saved:
            assert_close(list(saved.values()), jax.tree.leaves(whole["classifier"][1]))
    step = (tmp_path / "step.txt").read_text()
    assert "all-reduce" in step
    for motion in ("all-gather", "all-to-all", "collective-permute"):
        assert motion not in step
    assert (tmp_path / "refused.txt").read_text() == (
        "schedule.batch_size 8 does not divide by the 2 devices times schedule.accumulate 8: give a"
        " multiple"
    )


@pytest.mark.resume
def test_a_run_may_go_on_in_other_parts(whole, tmp_path):
    train("classifier", tmp_path, steps=4, batch_size=8, accumulate=4)
    assert_close(train("classifier", tmp_path, batch_size=8), whole["classifier"][1])


def test_parts_need_less_memory_and_one_part_is_no_loop():
    task, _ = CASES["restorer"]
    whole, parts = (compiled("jit", count)[0].memory_analysis() for count in (1, 4))
    assert parts.temp_size_in_bytes < whole.temp_size_in_bytes / 2
    optimizer = optax.adam(1e-2)
    state = jax.eval_shape(lambda: init_state(task, optimizer, jax.random.key(0)))
    loops = [
        str(jax.make_jaxpr(step)(state, IMAGES, jax.random.key(1))).count(" scan[")
        for step in (make_train_step(task, optimizer, accumulate=count) for count in (1, 4))
    ]
    assert loops == [0, 1]


def unet_tasks(**sizes):
    return (
        restorer_task(UNetConfig(**sizes, remat=remat), BlurConfig(sigma=1.0, noise=0.05))
        for remat in (False, True)
    )


def test_activations_computed_again_give_the_same_gradients():
    kept, again = unet_tasks(width=2, depth=1, residual=True)
    params = jax.jit(kept.init)(jax.random.key(0))
    assert_same_bits(params, jax.jit(again.init)(jax.random.key(0)))
    batch = jax.tree.map(jnp.asarray, IMAGES)
    # Nothing at zero, where the head of a residual network starts.
    params = jax.tree.map(lambda leaf: leaf + np.float32(0.01), jax.device_get(params))
    found, expected = (
        jax.jit(jax.value_and_grad(lambda p, task=task: task.losses(p, batch, KEY).mean()))(params)
        for task in (again, kept)
    )
    pairs = jax.device_get((jax.tree.leaves(found), jax.tree.leaves(expected)))
    for a, b in zip(*pairs, strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6 * np.abs(b).max())


def test_activations_computed_again_are_not_kept_between_the_passes():
    """What JAX keeps for the backward pass, whatever the compiler makes of it."""
    images = {
        "image": jax.ShapeDtypeStruct((4, 128, 128, 1), np.float32),
        "example_id": jax.ShapeDtypeStruct((4,), np.int32),
    }

    def kept(task):
        def residuals(params, batch):
            return jax.vjp(lambda p: task.losses(p, batch, KEY).mean(), params)[1]

        params = jax.eval_shape(task.init, KEY)
        leaves = jax.tree.leaves(jax.eval_shape(residuals, params, images))
        return sum(leaf.size * leaf.dtype.itemsize for leaf in leaves)

    plain, again = map(kept, unet_tasks(width=8, depth=3))
    # Of every level its output, and what the upward path adds: 2 maps of 14 at each resolution.
    assert again < plain / 4


@pytest.mark.skipif(
    jax.__version_info__ < (0, 12), reason="older compilers for CPUs merge the two forward passes"
)
def test_activations_computed_again_save_memory_when_compiled():
    images = {
        "image": jax.ShapeDtypeStruct((4, 128, 128, 1), np.float32),
        "example_id": jax.ShapeDtypeStruct((4,), np.int32),
    }
    programs = [
        data_parallel(task, optax.adam(1e-2), 0, "jit") for task in unet_tasks(width=8, depth=3)
    ]
    plain, again = (
        program.compile(jax.eval_shape(program.init), images, program.key).call
        for program in programs
    )
    sizes = [step.memory_analysis().temp_size_in_bytes for step in (plain, again)]
    assert sizes[1] < 0.9 * sizes[0]
    flop = [step.cost_analysis()["flops"] for step in (plain, again)]
    assert flop[1] > 1.2 * flop[0]  # a third forward and backward pass is the price


@pytest.mark.parametrize(("parallel", "accumulate"), [("jit", 1), ("jit", 4), ("pmap", 1)])
def test_a_step_uses_up_the_state_and_writes_the_next_one_in_its_place(parallel, accumulate):
    step, (state, batch, key) = compiled(parallel, accumulate)
    size = sum(leaf.nbytes for leaf in jax.tree.leaves(state))
    assert step.memory_analysis().alias_size_in_bytes >= size
    first, _ = step(state, batch, key)  # under pmap the first state came from the host
    second, _ = step(first, batch, key)
    assert all(leaf.is_deleted() for leaf in jax.tree.leaves(first))
    assert not any(leaf.is_deleted() for leaf in jax.tree.leaves(second))
