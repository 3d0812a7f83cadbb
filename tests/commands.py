"""The project's commands as users call them, each in a process of its own, or in this one."""

import os
import subprocess
import sys
import warnings
from pathlib import Path

from absl import flags
from ml_collections import config_flags

from experiments import cli
from jxr.config import RestorerRun
from jxr.studies.runs import train_restorer

ROOT = Path(__file__).resolve().parents[1]
RESTORER = "ml_collections_configs/restorer.py:cpu"
TINY = (
    "--config.data.size=32",
    "--config.data.validation_fraction=0.2",
    "--config.unet.width=2",
    "--config.unet.depth=2",
    "--config.unet.crop=16",
    "--config.unet.schedule.epochs=1",
    "--config.unet.schedule.batch_size=8",
)


def process(*arguments):
    return {
        "args": [sys.executable, *map(str, arguments)],
        "cwd": ROOT,
        "env": {**os.environ, "JAX_PLATFORMS": "cpu"},
        "text": True,
    }


def python(*arguments):
    """Python once it has ended."""
    return subprocess.run(**process(*arguments), capture_output=True, check=False)


def call(experiment, *arguments):
    """The command once it has ended."""
    return python("-m", f"experiments.{experiment}", *arguments)


def start(experiment, *arguments):
    """The command while it runs."""
    arguments = "-m", f"experiments.{experiment}", *arguments
    return subprocess.Popen(**process(*arguments), stderr=subprocess.PIPE)


def the_error(finished):
    """The one line that a user's mistake leaves, and nothing like a traceback."""
    assert finished.returncode == 2, finished.stderr
    assert "Traceback" not in finished.stderr
    (line,) = [line for line in finished.stderr.splitlines() if line.startswith("error: ")]
    return line


def restorer_flags(workdir):
    return (f"--config={RESTORER}", f"--workdir={workdir / 'run'}", f"--cache={workdir / 'cache'}")


def restorer_call(workdir, *arguments):
    return call("train_restorer", *restorer_flags(workdir), *arguments)


def configured(kind, *arguments):
    """The run that these flags ask of a command, read in this process: another costs seconds."""
    values = flags.FlagValues()
    given = ["command", *map(str, arguments)]
    flag = config_flags.DEFINE_config_file("config", flag_values=values, sys_argv=given)
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):  # its own
        values(given)
    return cli.config_of(kind, flag)


def train_by_flags(workdir, *arguments, accept_changes=False):
    """What `restorer_call` does, in this process; a user's mistake is raised."""
    run = configured(RestorerRun, f"--config={ROOT}/{RESTORER}", *arguments)
    train_restorer(run, workdir / "run", workdir / "cache", accept_changes=accept_changes)
