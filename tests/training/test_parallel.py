"""jit and pmap, on one device or many: the same training."""

import json

import jax
import numpy as np
import pytest

from jxr.training.stopping import Stopped
from tests.forked import run_script
from tests.training.test_loop import CASES, assert_close, assert_same_bits, train
from tests.training.test_metrics import rows_of

# In a process of its own, for the number of devices is fixed when JAX starts.
SCRIPT = """
import json, sys
from pathlib import Path
import jax, numpy as np
from jxr.training.stopping import Stopped
from tests.training.test_loop import train
assert jax.device_count() == int(sys.argv[1])
for folder, case, options in json.loads(sys.argv[2]):
    try:
        params = train(case, Path(folder), batch_size=8, **options)
        np.savez(Path(folder) / "params.npz", *map(np.asarray, jax.tree.leaves(params)))
    except Stopped:
        pass
"""


def train_on(devices, *runs):
    script_runs = json.dumps([(str(folder), case, options) for folder, case, options in runs])
    run_script(SCRIPT, devices, script_runs, devices=devices)


def saved(folder):
    with np.load(folder / "params.npz") as found:
        return list(found.values())


@pytest.fixture(scope="module")
def one_device(tmp_path_factory):
    """Of each case the parameters after a whole run on the one device of this process."""
    root = tmp_path_factory.mktemp("one")
    return {case: train(case, root / case, batch_size=8) for case in CASES}


@pytest.fixture(scope="module")
def many_devices(tmp_path_factory):
    """A folder of runs in processes of 8 and of 2 devices.

    `up` goes on with another number of devices twice, from 1 to 8 to 2; `down` from 8 to 1.
    """
    root = tmp_path_factory.mktemp("many")
    jit, pmap = {"parallel": "jit"}, {"parallel": "pmap"}
    with pytest.raises(Stopped):
        train("classifier", root / "up", batch_size=8, stop_at=1)
    train_on(
        8,
        (root / "8-jit-classifier", "classifier", jit),
        (root / "8-pmap-classifier", "classifier", pmap),
        (root / "up", "classifier", jit | {"stop_at": 2}),
        (root / "down", "restorer", jit | {"stop_at": 4}),
    )
    train_on(
        2,
        (root / "2-jit-classifier", "classifier", jit),
        (root / "2-pmap-restorer", "restorer", pmap),
        (root / "up", "classifier", jit),
    )
    return root


@pytest.mark.devices
def test_one_two_and_eight_devices_train_the_same_by_jit_and_by_pmap(
    one_device, many_devices, tmp_path
):
    runs = sorted(many_devices.glob("[0-9]-*"))
    assert len(runs) == 4
    for run in runs:
        assert_close(saved(run), one_device[run.name.split("-")[-1]])
    assert_close(
        train("classifier", tmp_path / "pmap", batch_size=8, parallel="pmap"),
        one_device["classifier"],
    )
    # Two trainings that differ in their seed are far apart, so the tolerance means something.
    other = jax.tree.leaves(train("classifier", tmp_path / "other", batch_size=8, seed=4))
    assert not any(
        np.allclose(leaf, expected, rtol=1e-4, atol=1e-5)
        for leaf, expected in zip(other, jax.tree.leaves(one_device["classifier"]), strict=True)
    )


@pytest.mark.devices
@pytest.mark.resume
def test_a_run_goes_on_with_another_number_of_devices(one_device, many_devices):
    assert_close(saved(many_devices / "up"), one_device["classifier"])
    found = train("restorer", many_devices / "down", batch_size=8)
    assert_close(found, one_device["restorer"])
    # Each went on where the other number of devices had stopped, and did not begin anew.
    for name in ("up", "down"):
        assert [row["step"] for row in rows_of(many_devices / name)] == [2, 4, 5, 6, 8, 9]


@pytest.mark.resume
def test_pmap_resumes_bit_for_bit_and_from_a_checkpoint_of_jit(tmp_path):
    straight = train("classifier", tmp_path / "straight", parallel="pmap")
    with pytest.raises(Stopped):
        train("classifier", tmp_path / "stopped", parallel="pmap", stop_at=5)
    assert_same_bits(train("classifier", tmp_path / "stopped", parallel="pmap"), straight)
    with pytest.raises(Stopped):
        train("classifier", tmp_path / "crossed", parallel="jit", stop_at=5)
    assert_close(train("classifier", tmp_path / "crossed", parallel="pmap"), straight)
