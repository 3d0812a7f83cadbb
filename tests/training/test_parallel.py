"""jit and pmap, on one device or many: the same training."""

import jax
import numpy as np
import pytest

from jxr.training.stopping import Stopped
from tests.processes import run_script
from tests.training.test_loop import CASES, assert_same_bits, train
from tests.training.test_metrics import rows_of

# In a process of its own, for the number of devices is fixed when JAX starts.
SCRIPT = """
import sys
from pathlib import Path
import jax, numpy as np
from tests.training.test_loop import CASES, train
assert jax.device_count() == int(sys.argv[1])
for case in CASES:
    for parallel in ("jit", "pmap"):
        folder = Path(sys.argv[2]) / f"{case}-{parallel}"
        params = train(case, folder, batch_size=8, parallel=parallel)
        np.savez(folder / "params.npz", *map(np.asarray, jax.tree.leaves(params)))
"""


@pytest.mark.devices
def test_one_two_and_eight_devices_train_the_same_by_jit_and_by_pmap(tmp_path):
    found = {}
    for count in (1, 2, 8):
        run_script(SCRIPT, count, tmp_path / str(count), devices=count)
        for case in CASES:
            for parallel in ("jit", "pmap"):
                file = tmp_path / str(count) / f"{case}-{parallel}" / "params.npz"
                found[case, count, parallel] = np.load(file)
    for (case, _, _), params in found.items():
        reference = found[case, 1, "jit"]
        for name in reference.files:
            np.testing.assert_allclose(params[name], reference[name], rtol=1e-4, atol=1e-5)
    # Two trainings that differ in their seed are far apart, so the tolerance means something.
    other = jax.tree.leaves(train("classifier", tmp_path / "other", batch_size=8, seed=4))
    reference = found["classifier", 1, "jit"]
    assert not any(
        np.allclose(leaf, reference[name], rtol=1e-4, atol=1e-5)
        for leaf, name in zip(other, reference.files, strict=True)
    )


@pytest.mark.resume
@pytest.mark.parametrize("case", CASES)
def test_pmap_resumes_bit_for_bit_and_from_a_checkpoint_of_jit(case, tmp_path):
    straight = train(case, tmp_path / "straight", parallel="pmap")
    with pytest.raises(Stopped):
        train(case, tmp_path / "stopped", parallel="pmap", stop_at=5)
    resumed = train(case, tmp_path / "stopped", parallel="pmap")
    assert_same_bits(resumed, straight)
    with pytest.raises(Stopped):
        train(case, tmp_path / "crossed", parallel="jit", stop_at=5)
    crossed = train(case, tmp_path / "crossed", parallel="pmap")
    for a, b in zip(jax.tree.leaves(crossed), jax.tree.leaves(straight), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


# Stops or goes on where another number of devices stopped.
RESUMING = """
import sys
from pathlib import Path
import jax, numpy as np
from jxr.training.stopping import Stopped
from tests.training.test_loop import CASES, train
assert jax.device_count() == int(sys.argv[1])
for folder, stop_at in (argument.split(":") for argument in sys.argv[2:]):
    for case in CASES:
        try:
            stop = int(stop_at) if stop_at else None
            params = train(case, Path(folder) / case, batch_size=8, stop_at=stop)
            np.savez(Path(folder) / case / "params.npz", *map(np.asarray, jax.tree.leaves(params)))
        except Stopped:
            pass
"""


@pytest.mark.devices
@pytest.mark.resume
def test_a_run_goes_on_with_another_number_of_devices(tmp_path):
    # (devices, (run, batches until it stops)...): 1 to 8 to 2, and 8 to 1.
    for count, runs in (
        (1, {"straight": "", "up": 1}),
        (8, {"up": 2, "down": 4}),
        (2, {"up": ""}),
        (1, {"down": ""}),
    ):
        arguments = [f"{tmp_path / name}:{stop_at}" for name, stop_at in runs.items()]
        run_script(RESUMING, count, *arguments, devices=count)
    for case in CASES:
        found = {
            name: np.load(tmp_path / name / case / "params.npz")
            for name in ("straight", "up", "down")
        }
        for name in ("up", "down"):
            for leaf in found["straight"].files:
                np.testing.assert_allclose(
                    found[name][leaf], found["straight"][leaf], rtol=1e-4, atol=1e-5
                )
        # Each went on where the other number of devices had stopped, and did not begin anew.
        steps = {name: [row["step"] for row in rows_of(tmp_path / name / case)] for name in found}
        assert steps == {
            "straight": [2, 4, 6, 8, 9],
            "up": [2, 4, 5, 6, 8, 9],
            "down": [2, 4, 5, 6, 8, 9],
        }
