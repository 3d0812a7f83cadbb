"""Checkpoints by Orbax: parameters, optimiser and the data iterator's position, saved as one.

All of Orbax that the project uses stands in this file, but for a barrier in `processes.py`. Several
processes write one checkpoint, into a folder that they share.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from jxr.errors import UserError
from jxr.models import named_leaves
from jxr.training.step import Params, TrainState


class Checkpoints:
    """The checkpoints of one run directory; a context manager that waits for pending saves."""

    def __init__(self, directory: Path):
        self.directory = directory.absolute()
        self._manager = ocp.CheckpointManager(
            self.directory,
            options=ocp.CheckpointManagerOptions(max_to_keep=2, cleanup_tmp_directories=True),
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
        self._manager.close()

    def latest_step(self) -> int | None:
        """Returns the newest saved step, or None if there is none."""
        return self._manager.latest_step()

    def save(self, step: int, state: TrainState, position: Any) -> None:
        """Saves in the background; `position` is the data iterator's JSON-able state."""
        if step == self.latest_step():
            return
        optimizer = {"step": state.step, "opt_state": state.opt_state}
        self._manager.save(
            step,
            args=ocp.args.Composite(
                params=ocp.args.StandardSave(state.params),
                optimizer=ocp.args.StandardSave(optimizer),
                data=ocp.args.JsonSave(position),
            ),
        )

    def restore(self, template: TrainState) -> tuple[int, TrainState, Any]:
        """Returns the newest step, state and iterator position, placed as `template` is.

        Args:
            template: A state of the wanted structure, shapes, dtypes and shardings.

        Raises:
            UserError: there is no checkpoint, or it holds another model.
        """
        step, params = self._restore_params(template.params)
        optimizer = {"step": template.step, "opt_state": template.opt_state}
        saved = self._manager.restore(
            step,
            args=ocp.args.Composite(
                optimizer=ocp.args.StandardRestore(_abstract(optimizer)),
                data=ocp.args.JsonRestore(),
            ),
        )
        state = TrainState(saved.optimizer["step"], params, saved.optimizer["opt_state"])
        return step, state, saved.data

    def restore_params(self, template: Params) -> Params:
        """Returns the newest parameters, placed as `template` is.

        Args:
            template: Parameters of the wanted structure (arrays or ShapeDtypeStructs).

        Raises:
            UserError: there is no checkpoint, or it holds another model: the first array that
                differs is named.
        """
        return self._restore_params(template)[1]

    def _restore_params(self, template: Params) -> tuple[int, Params]:
        step = self.latest_step()
        if step is None:
            raise UserError(f"{self.directory}: no finished checkpoint: train first")
        saved = _shapes(self._manager.item_metadata(step).params)
        wanted = _shapes(template)
        for name in sorted(saved | wanted):
            if saved.get(name) != wanted.get(name):
                raise UserError(
                    f"{self.directory}: checkpoint of another model: array '{name}' is"
                    f" {saved.get(name, 'missing')} there and {wanted.get(name, 'missing')} in"
                    " this config; use the config it was made with, or another directory"
                )
        restore = ocp.args.StandardRestore(_abstract(template))
        return step, self._manager.restore(step, args=ocp.args.Composite(params=restore)).params


def load_params(directory: Path, template: Params) -> Params:
    """Returns the parameters of the newest checkpoint under `directory`, on the default device.

    Args:
        directory: As `Checkpoints` wrote it.
        template: Parameters of the wanted structure (arrays or ShapeDtypeStructs).

    Raises:
        UserError: there is no checkpoint, or it is of another model.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no checkpoints here: train first, or name another directory")
    here = jax.sharding.SingleDeviceSharding(jax.local_devices()[0])
    placed = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=here), template
    )
    with Checkpoints(directory) as checkpoints:
        return checkpoints.restore_params(placed)


def _abstract(tree: Any) -> Any:
    return jax.tree.map(ocp.utils.to_shape_dtype_struct, tree)


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Returns path -> shape of every array in `tree`."""
    return {name: tuple(leaf.shape) for name, leaf in named_leaves(tree).items()}
