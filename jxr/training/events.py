"""The numbers of `metrics.jsonl` once more, as event files for TensorBoard."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from jxr.errors import UserError


def event_writer(folder: Path, start: int) -> Any:
    """Returns a writer of TensorBoard's event files, without TensorFlow, from a step on.

    What an earlier call wrote past that step is not shown any more.

    Raises:
        UserError: tensorboardX is not installed.
    """
    try:
        from tensorboardX import SummaryWriter
    except ImportError as error:
        raise UserError(
            "--tensorboard needs tensorboardX: pip install 'jxr[tensorboard]', or leave it out"
        ) from error
    # Without the suffix, calls within one second would overwrite each other's file.
    return SummaryWriter(str(folder), purge_step=start + 1, filename_suffix=f".{start}")


def write_events(events: Any, row: dict[str, Any], members: Sequence[str]) -> None:
    """Writes one line of metrics as scalars; of a sweep one a member."""
    for name, value in row.items():
        values = dict(zip(members, value, strict=True)) if isinstance(value, list) else {"": value}
        for member, number in values.items():
            if number is not None and name != "step":
                tag = f"{name}/{member}" if member else name
                events.add_scalar(tag, number, row["step"])
