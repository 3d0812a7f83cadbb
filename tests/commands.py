"""The project's commands as users call them, each in a process of its own."""

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


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
