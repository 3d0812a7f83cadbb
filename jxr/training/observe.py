"""What can be seen of a running step: its compilation, its trace, why memory ran out."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import jax
from absl import logging

from jxr.errors import UserError
from jxr.training.flop import count_flop

TRACED_AFTER, TRACED_STEPS = 2, 5
# On a CPU, XLA's YNN library does the reductions of a step and nothing else. By XLA's own choice a
# U-Net's step takes 1.2 times as long with jaxlib 0.10, the restorer's 1.4 times; with 0.12 as long
# where the cores have nothing else to do (else 1.4 and 1.6 times), and that of a head as long.
CPU_OPTIONS = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_REDUCE"}


class Compiled(NamedTuple):
    """A compiled step.

    Attributes:
        call: The step itself.
        seconds: What compiling took, or reading it from the compilation cache.
        flop: Floating-point operations of one step, see `count_flop`.
    """

    call: Any
    seconds: float
    flop: int


def compile_step(step: Any, *arguments: Any) -> Compiled:
    """Compiles a jitted or pmapped step for these arguments."""
    began = time.monotonic()
    options = CPU_OPTIONS if jax.default_backend() == "cpu" else {}
    compiled = step.lower(*arguments).compile(compiler_options=options)
    return Compiled(compiled, time.monotonic() - began, count_flop(step, *arguments))


class Trace:
    """Writes a trace of a few steps for XProf, TensorBoard or Perfetto; a context manager."""

    def __init__(self, folder: Path | None, start: int):
        self._folder = folder
        self._first = start + TRACED_AFTER
        self._running = self._seen = False

    def __enter__(self) -> "Trace":
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder and not self._seen:
            logging.warning("no trace: the run ended before step %d", self._first)
        self._stop()

    def at(self, step: int, state: Any) -> None:
        """Starts or stops before this step, when all before it is done."""
        if self._folder and step == self._first:
            jax.block_until_ready(state)
            jax.profiler.start_trace(self._folder)
            self._running = self._seen = True
        elif self._running and step == self._first + TRACED_STEPS:
            jax.block_until_ready(state)
            self._stop()

    def _stop(self) -> None:
        if self._running:
            self._running = False
            jax.profiler.stop_trace()
            logging.info("trace of up to %d steps: %s", TRACED_STEPS, self._folder)


@contextmanager
def memory_explained(title: str) -> Iterator[None]:
    """Turns the device's "out of memory" into a line that says what to change."""
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        text = str(error).lower()
        # The second where the step had been dispatched already: the code is then "internal".
        if "resource_exhausted" not in text and "out of memory" not in text:
            raise
        raise UserError(
            f"{title}: out of device memory: raise schedule.accumulate, set unet.remat if it is a"
            " U-Net, lower schedule.batch_size, or train a narrower network"
            f" ({str(error).splitlines()[0]})"
        ) from error
