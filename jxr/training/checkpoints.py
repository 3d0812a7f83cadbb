"""Checkpoints by Orbax: parameters, optimiser and the data iterator's position, saved as one.

All of Orbax that the project uses stands in this file, but for a barrier in `processes.py`. Several
processes write one checkpoint, into a folder that they share. Beside the position lie a checksum of
each array and one of these: Orbax finds most damage by itself, but neither a changed digit of the
position nor all changed bytes of large arrays.
"""

import errno
import json
import os
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from absl import logging

from jxr.errors import UserError
from jxr.models import named_leaves
from jxr.training.step import Params, TrainState

T = TypeVar("T")
DISK = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EROFS, errno.EACCES, errno.EIO)


class Checkpoints:
    """The checkpoints of one run directory; a context manager that waits for pending saves."""

    def __init__(self, directory: Path, *, writes: bool = True):
        """Opens them.

        Args:
            directory: Of the checkpoints.
            writes: False leaves everything there as it is, also what a run is just saving.
        """
        self.directory = directory.absolute()
        self._writes = writes
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=2, cleanup_tmp_directories=writes, create=writes
            ),
            # Apart, so that who only needs the parameters reads only these.
            item_handlers={
                "params": ocp.StandardCheckpointHandler(),
                "optimizer": ocp.StandardCheckpointHandler(),
                "data": ocp.JsonCheckpointHandler(),
            },
        )

    def __enter__(self) -> "Checkpoints":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            with self._saving():
                self._manager.close()
        except UserError as failed:
            if error is None:
                raise
            logging.warning("%s", failed)  # what went wrong first says more

    def latest_step(self) -> int | None:
        """Returns the newest saved step, or None if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: TrainState, position: Any) -> None:
        """Saves in the background; `position` is the data iterator's JSON-able state.

        Raises:
            UserError: this save or the one before cannot be written; older ones are as they were.
        """
        if step == self.latest_step():
            return
        optimizer = {"step": state.step, "opt_state": state.opt_state}
        record = {
            "position": position,
            "params": _described(state.params),
            "optimizer": _described(optimizer),
        }
        with self._saving():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    params=ocp.args.StandardSave(state.params),
                    optimizer=ocp.args.StandardSave(optimizer),
                    data=ocp.args.JsonSave({"record": record, "crc32": _crc32_of(record)}),
                ),
            )

    def wait(self) -> None:
        """Waits until all is on disk.

        Raises:
            UserError: the last save cannot be written; older ones are as they were.
        """
        with self._saving():
            self._manager.wait_until_finished()

    @contextmanager
    def _saving(self) -> Iterator[None]:
        try:
            yield
        except (OSError, ValueError) as error:  # the latter from the library that writes arrays
            text = str(error)
            reason = next((os.strerror(code) for code in DISK if os.strerror(code) in text), text)
            raise UserError(
                f"{self.directory}: a checkpoint could not be saved ({reason}): make room, then run"
                " again to go on from the one before"
            ) from error

    def restore(self, template: TrainState) -> tuple[int, TrainState, Any]:
        """Returns the newest step, state and iterator position, placed as `template` is.

        Checkpoints that cannot be read are reported, and deleted once an older one was read.

        Args:
            template: A state of the wanted structure, shapes, dtypes and shardings.

        Raises:
            UserError: there is no checkpoint, none can be read, or it holds another model.
        """
        optimizer = {"step": template.step, "opt_state": template.opt_state}

        def read(step: int) -> tuple[int, TrainState, Any]:
            record = self._record(step)
            params = self._read(step, record, "params", template.params)
            rest = self._read(step, record, "optimizer", optimizer)
            return step, TrainState(rest["step"], params, rest["opt_state"]), record["position"]

        found = self._newest(read)
        if self._writes:
            for step in [step for step in self._manager.all_steps() if step > found[0]]:
                self._manager.delete(step)  # else its successor could not be saved
        return found

    def restore_params(self, template: Params) -> Params:
        """Returns the newest parameters, placed as `template` is.

        Args:
            template: Parameters of the wanted structure (arrays or ShapeDtypeStructs).

        Raises:
            UserError: there is no checkpoint, the newest cannot be read (older parameters are not
                what the run made), or it holds another model: the first array that differs is
                named.
        """

        def read(step: int) -> Params:
            return self._read(step, self._record(step), "params", template)

        return self._newest(read, older=False)

    def _newest(self, read: Callable[[int], T], *, older: bool = True) -> T:
        """Returns `read(step)` of the newest checkpoint.

        If it cannot be read, there is a warning and an `older` one is taken, or none.
        """
        steps = sorted(self._manager.all_steps(), reverse=True)
        if not steps:
            raise UserError(f"{self.directory}: no finished checkpoint: train first")
        for step in steps:
            try:
                return read(step)
            except (UserError, MemoryError, PermissionError, jax.errors.JaxRuntimeError):
                raise  # not the files' fault
            except Exception as error:  # Orbax has no type of its own for damaged files
                reason = " ".join(f"{type(error).__name__}: {error}".split())[:200]
                if not older and len(steps) > 1:
                    raise UserError(
                        f"{self.directory}: checkpoint of step {step} cannot be read ({reason}):"
                        " train again, which goes on from the one before, or put back a copy"
                    ) from error
                logging.warning(
                    "%s: checkpoint of step %d cannot be read, the one before is tried (%s)",
                    self.directory,
                    step,
                    reason,
                )
        raise UserError(
            f"{self.directory}: none of the checkpoints can be read (steps"
            f" {', '.join(map(str, steps))}): put back a copy, or delete the folder to train anew"
        )

    def _record(self, step: int) -> dict[str, Any]:
        """Returns the position and the arrays' shapes and checksums."""
        args = ocp.args.Composite(data=ocp.args.JsonRestore())
        saved = self._manager.restore(step, args=args).data
        if _crc32_of(saved["record"]) != saved["crc32"]:
            raise ValueError("data: bytes have changed since it was saved")
        return saved["record"]

    def _read(self, step: int, record: dict[str, Any], item: str, template: Any) -> Any:
        """Returns one item as it was saved, placed as `template` is."""
        saved = {name: tuple(shape) for name, (shape, _) in record[item].items()}
        wanted = {name: tuple(leaf.shape) for name, leaf in named_leaves(template).items()}
        for name in sorted(saved | wanted):
            if saved.get(name) != wanted.get(name):
                raise UserError(
                    f"{self.directory}: checkpoint of another model: array '{name}' is"
                    f" {saved.get(name, 'missing')} there and {wanted.get(name, 'missing')} in"
                    " this config; use the config it was made with, or another directory"
                )
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        args = ocp.args.Composite(**{item: ocp.args.StandardRestore(abstract)})
        restored = self._manager.restore(step, args=args)[item]
        for name, described in _described(restored).items():
            if described != record[item][name]:
                raise ValueError(f"{item}: bytes of '{name}' have changed since it was saved")
        return restored


def load_params(directory: Path, template: Params) -> Params:
    """Returns the parameters of the newest checkpoint under `directory`, on the default device.

    Args:
        directory: As `Checkpoints` wrote it.
        template: Parameters of the wanted structure (arrays or ShapeDtypeStructs).

    Raises:
        UserError: there is no checkpoint, the newest cannot be read, or it is of another model.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no checkpoints here: train first, or name another directory")
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    placed = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), template
    )
    with Checkpoints(directory, writes=False) as checkpoints:
        return checkpoints.restore_params(placed)


def latest_step(directory: Path) -> int | None:
    """Returns the newest saved step under `directory`, or None if there is none."""
    if not directory.is_dir():
        return None
    with Checkpoints(directory, writes=False) as checkpoints:
        return checkpoints.latest_step()


def _described(tree: Any) -> dict[str, list[Any]]:
    """Returns path -> [shape, checksum] of every array in `tree`."""
    return {
        name: [list(leaf.shape), zlib.crc32(np.asarray(leaf).tobytes())]
        for name, leaf in named_leaves(tree).items()
    }


def _crc32_of(record: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(record, sort_keys=True).encode())
