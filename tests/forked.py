"""Python processes forked from one that has imported what they need and done nothing else.

Imports take five seconds, more than most of what is tested in processes of their own. How many CPU
devices there are is fixed when JAX starts, which it does after the fork.
"""

import atexit
import multiprocessing
import os
import runpy
import sys
from multiprocessing.process import BaseProcess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    ["jxr.studies.runs", "experiments.cli", "tests.training.kill_target"]
)
Pipe = _context.Pipe


def start(target, *arguments, devices: int = 1, log: Path | None = None) -> BaseProcess:
    """Starts a function of a module, with so many devices; what it says goes to a file."""
    process = _context.Process(target=_run, args=(target, arguments, devices, log))
    process.start()
    return process


def run_module(name: str, *arguments: str) -> None:
    """What `python -m` does."""
    sys.argv = [name, *arguments]
    runpy.run_module(name, run_name="__main__", alter_sys=True)


def run_code(code: str, *arguments: str) -> None:
    """What `python -c` does."""
    sys.argv = ["-c", *arguments]
    exec(code, {"__name__": "__main__"})


def run_script(script: str, *arguments: object, devices: int) -> None:
    """Runs a script to its end, which has to be a good one."""
    process = start(run_code, script, *map(str, arguments), devices=devices)
    process.join()
    assert process.exitcode == 0


def _run(target, arguments, devices, log):
    import jax

    if log:
        with log.open("w") as file:
            for said in (1, 2):
                os.dup2(file.fileno(), said)
    os.chdir(ROOT)
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count={devices}"
    os.environ["XLA_FLAGS"] = flags
    jax.config.update("jax_platforms", "cpu")
    try:
        target(*arguments)
    finally:
        atexit._run_exitfuncs()  # which processes of multiprocessing leave out
