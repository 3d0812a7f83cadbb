"""Checkpoints by Orbax: the train state and the data iterator's position, saved as one.

All of Orbax that the project uses stands in this file.
"""

from pathlib import Path
from types import TracebackType
from typing import Any

import jax
import orbax.checkpoint as ocp

from jxr.errors import UserError
from jxr.training.step import TrainState


class Checkpoints:
    """The checkpoints of one run directory; a context manager that waits for pending saves."""

    def __init__(self, directory: Path, *, keep: int = 2):
        self.directory = directory.absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=keep, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(
            self.directory, options=options, item_names=("state", "data")
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

    def save(self, step: int, state: TrainState, position: dict[str, Any]) -> None:
        """Saves in the background; `position` is the data iterator's JSON-able state."""
        if step != self.latest_step():
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state._asdict()), data=ocp.args.JsonSave(position)
                ),
            )

    def restore(self, template: TrainState) -> tuple[TrainState, dict[str, Any]]:
        """Returns the newest state and iterator position, placed as `template` is.

        Args:
            template: A state of the wanted structure, shapes, dtypes and shardings.

        Raises:
            UserError: the checkpoint holds another model: the first array that differs is named.
        """
        step = self._manager.latest_step()
        wanted = jax.tree.map(ocp.utils.to_shape_dtype_struct, template._asdict())
        self._require_same_arrays(step, wanted)
        saved = self._manager.restore(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(wanted), data=ocp.args.JsonRestore()
            ),
        )
        return TrainState(**saved.state), saved.data

    def _require_same_arrays(self, step: int | None, wanted: Any) -> None:
        saved = _shapes(self._manager.item_metadata(step).state)
        for name, shape in _shapes(wanted).items():
            if saved.get(name) != shape:
                found = f"has shape {saved[name]}" if name in saved else "is missing"
                raise UserError(
                    f"{self.directory}: checkpoint of another model: array '{name}' {found}, the"
                    f" config wants {shape}; use the config it was made with, or another directory"
                )


def load_params(directory: Path, template: Any) -> Any:
    """Returns the parameters of the newest checkpoint under `directory`.

    Args:
        template: Parameters of the wanted structure (arrays or ShapeDtypeStructs).

    Raises:
        UserError: there is no checkpoint, or it is of another model.
    """
    if not directory.is_dir():
        raise UserError(f"{directory}: no checkpoints here: train first, or name another directory")
    with Checkpoints(directory) as checkpoints:
        step = checkpoints.latest_step()
        if step is None:
            raise UserError(f"{directory}: no finished checkpoint: train first")
        wanted = {"params": jax.tree.map(ocp.utils.to_shape_dtype_struct, template)}
        checkpoints._require_same_arrays(step, wanted)
    handler = ocp.PyTreeCheckpointHandler()
    with ocp.Checkpointer(handler) as reader:
        restored = reader.restore(
            directory.absolute() / str(step) / "state",
            args=ocp.args.PyTreeRestore(wanted, partial_restore=True),
        )
    return restored["params"]


def _shapes(tree: Any) -> dict[str, tuple[int, ...]]:
    """Returns path -> shape of every array in `tree`."""
    leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
    return {
        jax.tree_util.keystr(path, simple=True, separator="/"): tuple(leaf.shape)
        for path, leaf in leaves
    }
