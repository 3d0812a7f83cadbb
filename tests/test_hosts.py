"""Two processes joined by `jax.distributed` over loopback train what one process trains."""

import dataclasses
import json
import signal
import socket
import time

import numpy as np
import pytest

from jxr.data import batches
from jxr.studies.classifiers import load_head
from jxr.studies.runs import train_classifier
from ml_collections_configs import classifier
from tests import forked
from tests.test_experiments import TINY
from tests.tiny import tiny
from tests.training.test_loop import CASES, STEPS, assert_close, train

CASE = "classifier"
MOST_SECONDS = 240  # a hang ends here

# What each of two processes does; all in one start of them, which takes long.
SCRIPT = """
import json, shutil, signal, sys, time
from pathlib import Path
import jax, numpy as np
index, folder = int(sys.argv[1]), Path(sys.argv[3])
jax.distributed.initialize(sys.argv[2], 2, index)
from jxr.errors import UserError
from jxr.training.stopping import Stopped
from jxr.training.processes import first_process_first
from tests.training.test_loop import CASES, train

assert (jax.process_count(), jax.local_device_count()) == (2, 2)
part = {"batch_size": 8, "part": (index, 2)}

def save(name, params):
    np.savez(folder / f"{name}-{index}.npz", *map(np.asarray, jax.tree.leaves(params)))

# Trains on rows that note which of them are read.
class Noted:
    def __init__(self, values):
        self.values, self.read = values, []
    def __len__(self):
        return len(self.values)
    def __getitem__(self, rows):
        self.read.append(rows.tolist())
        return self.values[rows]

task, arrays = CASES["classifier"]
noted = {name: Noted(values) for name, values in arrays.items()}
CASES["classifier"] = task, noted
save("straight", train("classifier", folder / "straight", **part))
for name, values in noted.items():
    (folder / f"{name}-{index}.json").write_text(json.dumps(values.read))
CASES["classifier"] = task, arrays

# A signal to one of them, a resume.
try:
    train("classifier", folder / "stopped", stop_at=4 if index == 1 else None, **part)
except Stopped as stopped:
    assert "stopped at step 6 of 9" in str(stopped), stopped  # the next line that is logged
    assert stopped.signum == signal.SIGTERM
else:
    raise AssertionError("it was not stopped")
with first_process_first():
    if index == 0:
        assert not (folder / "stopped copy").exists()
        shutil.copytree(folder / "stopped", folder / "stopped copy")
        time.sleep(1)
    assert (folder / "stopped copy" / "metrics.jsonl").exists()
save("resumed", train("classifier", folder / "stopped", **part))

# A failure.
try:
    train("classifier", folder / "diverged", learning_rate=1e38, **part)
except UserError as error:
    assert "the state before is in" in str(error), error
else:
    raise AssertionError("it did not diverge")
"""


def start_command(folder, experiment, *arguments, own=((), ())):
    """Starts a command in two processes; `own` are the arguments of each."""
    address = free_address()
    common = [*arguments, "--distributed", "--process_count=2", f"--coordinator={address}"]
    return [
        forked.start(
            forked.run_module,
            f"experiments.{experiment}",
            *common,
            f"--process_id={index}",
            *own[index],
            log=log_of(folder, index),
        )
        for index in range(2)
    ]


def finish(running, folder):
    """Returns exit statuses and what was said."""
    try:
        until = time.monotonic() + MOST_SECONDS
        for process in running:
            process.join(until - time.monotonic())
        statuses = [process.exitcode for process in running]
    finally:
        end(running)
        said = logs(folder)
        print(*said)  # pytest shows it if the test fails
    return statuses, said


def end(running):
    for process in running:
        process.kill()
        process.join()


def log_of(folder, index):
    return folder / f"log{index}"


def logs(folder):
    return [log_of(folder, index).read_text() for index in range(2)]


def errors(said):
    """The lines that users' mistakes leave; and nothing like a traceback."""
    assert "Traceback" not in said
    return [line for line in said.splitlines() if line.startswith("error: ")]


def free_address():
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of what two processes of two devices each have trained."""
    folder = tmp_path_factory.mktemp("two")
    address = free_address()
    running = [
        forked.start(
            forked.run_code,
            SCRIPT,
            str(index),
            address,
            str(folder),
            devices=2,
            log=log_of(folder, index),
        )
        for index in range(2)
    ]
    statuses, _ = finish(running, folder)
    assert statuses == [0, 0]
    return folder


@pytest.fixture(scope="module")
def reference(tmp_path_factory):
    """What this one process trains."""
    return train(CASE, tmp_path_factory.mktemp("one"), batch_size=8)


def saved(name, folder):
    for index in range(2):
        with np.load(folder / f"{name}-{index}.npz") as found:
            yield list(found.values())


@pytest.mark.hosts
def test_two_processes_train_as_one_and_each_reads_its_own_rows_only(trained, reference):
    for found in saved("straight", trained):
        assert_close(found, reference)
    arrays = CASES[CASE][1]
    iterator = batches(arrays, batch_size=8, seed=3)
    order = [next(iterator)["example_id"].tolist() for _ in range(STEPS)]
    for name in arrays:
        for index in range(2):
            read = json.loads((trained / f"{name}-{index}.json").read_text())
            assert {len(rows) for rows in read} == {4}
            # Some more were read ahead of the last step.
            assert read[:STEPS] == [rows[4 * index : 4 * index + 4] for rows in order]


@pytest.mark.hosts
@pytest.mark.resume
def test_a_signal_to_one_stops_both_and_two_or_one_go_on_from_their_checkpoint(trained, reference):
    for found in saved("resumed", trained):
        assert_close(found, reference)
    assert_close(train(CASE, trained / "stopped copy", batch_size=8), reference)
    # One process alone wrote.
    lines = (trained / "stopped" / "metrics.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [2, 4, 6, 8, 9]
    assert (trained / "diverged" / "debug").is_dir()


@pytest.mark.hosts
def test_a_command_in_two_processes_makes_one_run_with_features_computed_once(
    tiny_images, tmp_path
):
    name = "normal_vs_pneumonia-blurred"
    run = tiny(classifier.RUNS[name], tiny_images)
    train_classifier(run, tmp_path / "one", tmp_path / "cache")
    schedule = dataclasses.asdict(run.head.schedule)
    running = start_command(
        tmp_path,
        "train_classifier",
        f"--config=ml_collections_configs/classifier.py:{name}",
        f"--workdir={tmp_path / 'two'}",
        f"--cache={tmp_path / 'cold cache'}",
        f"--config.data.path={tiny_images}",
        f"--config.data.size={run.data.size}",
        f"--config.data.validation_fraction={run.data.validation_fraction}",
        "--config.weights.kind=random",
        f"--config.head.hidden={run.head.hidden}",
        *(f"--config.head.schedule.{key}={value}" for key, value in schedule.items()),
    )
    statuses, said = finish(running, tmp_path)
    assert statuses == [0, 0]
    assert_close(*(load_head(run.head, 512, tmp_path / place) for place in ("one", "two")))
    configs = [
        json.loads((tmp_path / place / "config.json").read_text()) for place in ("one", "two")
    ]
    assert configs[0] == configs[1]
    assert len(list((tmp_path / "cold cache").glob("features-*.npy"))) == 1
    assert ["trained; scores by" in text for text in said] == [True, False]
    assert ["step 2 of" in text for text in said] == [True, False]


def restorer_command(images, folder, *arguments, **own):
    return start_command(
        folder,
        "train_restorer",
        "--config=ml_collections_configs/restorer.py:cpu",
        f"--config.data.path={images}",
        f"--cache={folder / 'cache'}",
        *TINY,
        "--config.unet.depth=1",
        *arguments,
        **own,
    )


@pytest.mark.hosts
def test_sigterm_to_one_process_stops_both_with_its_status(tiny_images, tmp_path):
    more = ("--config.unet.schedule.epochs=10000", "--config.unet.schedule.log_every=2")
    running = restorer_command(tiny_images, tmp_path, f"--workdir={tmp_path / 'run'}", *more)
    until = time.monotonic() + MOST_SECONDS
    while not log_of(tmp_path, 0).exists() or "step 4 of" not in log_of(tmp_path, 0).read_text():
        if time.monotonic() > until or any(process.exitcode is not None for process in running):
            break
        time.sleep(0.1)
    running[1].terminate()  # by SIGTERM
    statuses, said = finish(running, tmp_path)
    assert statuses == [128 + signal.SIGTERM] * 2
    assert "saved; run again to go on" in said[0]
    (checkpoint,) = (path for path in (tmp_path / "run" / "checkpoints").iterdir() if path.is_dir())
    assert f"stopped at step {checkpoint.name} of" in said[0]


@pytest.mark.hosts
def test_a_run_directory_that_is_not_shared_ends_all_processes(tiny_images, tmp_path):
    own = [[f"--workdir={tmp_path / name}"] for name in ("here", "there")]
    running = restorer_command(tiny_images, tmp_path, own=own)
    try:
        running[1].join(MOST_SECONDS)
        assert running[1].exitcode == 2
    finally:
        end(running)
    (line,) = errors(logs(tmp_path)[1])
    assert f"{tmp_path / 'there'}: process 0's run is not here" in line


@pytest.mark.hosts
def test_a_mistake_that_all_processes_see_is_one_line_of_each(tmp_path):
    running = restorer_command(tmp_path / "none", tmp_path, f"--workdir={tmp_path / 'run'}")
    statuses, said = finish(running, tmp_path)
    assert statuses == [2, 2]
    for text in said:
        (line,) = errors(text)
        assert str(tmp_path / "none") in line


@pytest.mark.hosts
@pytest.mark.parametrize(
    ("command", "config", "arguments", "message"),
    [
        ("reproduce", "reproduce.py:demo", ["--distributed"], "runs on one host"),
        ("classification", "classification.py:kermany", ["--distributed"], "runs on one host"),
        ("train_restorer", "restorer.py:cpu", ["--distributed", "--parallel=pmap"], "jit only"),
        ("train_restorer", "restorer.py:cpu", ["--process_id=1"], "add --distributed"),
        (
            "train_restorer",
            "restorer.py:cpu",
            ["--distributed", "--coordinator=127.0.0.1:1"],
            "Give --coordinator",
        ),
        (
            "train_restorer",
            "restorer.py:cpu",
            ["--distributed", "--coordinator=localhost", "--process_count=1", "--process_id=0"],
            "--coordinator=localhost: give HOST:PORT",
        ),
    ],
)
def test_what_several_processes_cannot_do_is_one_line(
    command, config, arguments, message, tmp_path
):
    process = forked.start(
        forked.run_module,
        f"experiments.{command}",
        f"--config=ml_collections_configs/{config}",
        f"--workdir={tmp_path / 'run'}",
        f"--cache={tmp_path / 'cache'}",
        *arguments,
        log=tmp_path / "log",
    )
    process.join(MOST_SECONDS)
    assert process.exitcode == 2
    (line,) = errors((tmp_path / "log").read_text())
    assert message in line
    assert not (tmp_path / "run").exists()
