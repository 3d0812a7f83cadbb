"""Run directories: the config they were made with, and results written whole or not at all."""

import dataclasses
import json
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import jax
from absl import logging
from flax.traverse_util import flatten_dict

from jxr.config_dict import completed
from jxr.errors import UserError
from jxr.files import read_json, training_lock, write_json, write_whole
from jxr.provenance import git_commit, provenance
from jxr.training.checkpoints import latest_step
from jxr.training.processes import first_process_first

# Ends of the keys that may change between calls of a run: where things lie, how memory is saved.
FREE = (".path", ".accumulate", ".remat")
# What a run learnt from: other images, or others of them held back, would make its scores untrue.
LEARNT_FROM = ("data.", "fingerprints.")
# A study's results, by the part of the data that they are of.
FILES = {"validation": "validation.json", "test": "results.json"}


def check_finished(workdir: Path, steps: int, command: str) -> None:
    """Raises UserError if the single run there, of so many steps, was stopped before the last."""
    step = latest_step(workdir / "checkpoints")
    if step is not None and step != steps:
        raise UserError(
            f"{workdir}: trained to step {step} of {steps}: run experiments.{command} again to go"
            " on"
        )


@first_process_first()
def claim(
    workdir: Path, config: Any, accept_changes: bool = False, /, **fingerprints: str
) -> bytes | None:
    """Makes the run directory and notes its config and data, or checks that they are as before.

    Where the images and weights lie may change between calls, what they are may not; nor may
    anything else but what changes no result (`FREE`). Keys that the file lacks, since it is older
    than they are, count as their defaults.

    Args:
        workdir: The run directory.
        config: A run's config dataclass.
        accept_changes: Whether the config may differ but for `data` and the fingerprints; the
            changes are logged, and the new config is noted.
        **fingerprints: For example `data` and `weights`.

    Returns:
        What was noted before, if changes were accepted.

    Raises:
        UserError: the directory belongs to another config or other data (the keys are named) or to
            another command, or cannot be written, or is not the one of process 0, which alone
            writes.
    """
    wanted = in_json({**dataclasses.asdict(config), "fingerprints": fingerprints})
    path = workdir / "config.json"
    differing, before = [], b""
    try:
        if path.exists():
            before = path.read_bytes()
            noted = completed(type(config), read_run(workdir))
            if noted.keys() != wanted.keys():  # whatever changes are accepted
                raise UserError(
                    f"{workdir} holds another command's run, or one of another version: give"
                    " another --workdir"
                )
            old, new = (flatten_dict(values, sep=".") for values in (in_json(noted), wanted))
            differing = [
                key
                for key in sorted(old | new)
                if old.get(key) != new.get(key) and not key.endswith(FREE)
            ]
            fixed = [key for key in differing if key.startswith(LEARNT_FROM)]
            if differing and (fixed or not accept_changes):
                kept = f"; {', '.join(fixed)} cannot be changed" if accept_changes else ""
                raise UserError(
                    f"{workdir} was made with other values of {', '.join(differing)}: use those,"
                    f" or give another --workdir{kept}"
                )
        if jax.process_index() > 0:
            if not path.exists():
                raise UserError(
                    f"{workdir}: process 0's run is not here: give a --workdir that all processes"
                    " share"
                )
            return None
        for key in differing:
            logging.warning("%s: %s is %r now, was %r", workdir, key, new.get(key), old.get(key))
        # Not while a run is training there by the old config.
        with training_lock(workdir) if differing else nullcontext():
            write_json(path, wanted)
    except OSError as error:
        raise UserError(f"{workdir}: cannot write here ({error.strerror})") from error
    return before if differing else None


@contextmanager
def claimed(
    workdir: Path, config: Any, accept_changes: bool, /, **fingerprints: str
) -> Iterator[None]:
    """Claims a run directory for the training inside; for the arguments and errors see `claim`.

    Before the first checkpoint there is nothing that a change could make untrue, so it is accepted:
    what a first call died of, such as a learning rate, can be corrected by the next. If nothing was
    saved under changes that were accepted, such as of the optimiser or to fewer steps, the old
    config is noted again: it is that of the checkpoints.
    """

    def saved() -> set[tuple[str, int]]:
        folders = (workdir / "checkpoints").glob("*")
        return {(one.name, one.stat().st_mtime_ns) for one in folders if one.name.isdigit()}

    old = saved()
    before = claim(workdir, config, accept_changes or not old, **fingerprints)
    try:
        yield
    finally:
        if before is not None and old and saved() == old:
            logging.warning("%s: nothing was trained, the old config stays noted", workdir)
            write_whole(workdir / "config.json", before)


def read_run(workdir: Path) -> dict[str, Any]:
    """Returns the config that `claim` noted, its fingerprints included.

    Raises:
        UserError: there is no run in the directory, or the file is damaged.
    """
    path = workdir / "config.json"
    if not path.exists():
        raise UserError(f"{workdir}: no run here (config.json is missing): train first")
    values = read_json(path)
    if not isinstance(values.get("fingerprints"), dict):
        raise UserError(f"{path}: damaged: put back a copy, or give another --workdir")
    return values


def in_json(values: Any) -> Any:
    """Returns what comes back of values that are written as JSON: tuples as lists."""
    return json.loads(json.dumps(values))


SECONDS = "seconds.json"


class Stages:
    """The stages of a long study: each leaves a JSON result and its time, and is done once."""

    def __init__(self, folder: Path):
        self._folder = folder

    def run(self, name: str, work: Callable[[], Any]) -> Any:
        """Returns what `work` returned, from disk if this stage was finished before."""
        path = self._folder / f"{name}.json"
        if path.exists():
            logging.info("stage %s: done before", name)
            return read_json(path)["result"]
        logging.info("stage %s", name)
        with self.timed(name):
            result = work()
        write_json(path, {"result": result, "commit": git_commit()})
        return result

    @contextmanager
    def kept(self, name: str) -> Iterator[None]:
        """A stage whose results are files that the work inside writes, or finds written.

        Noted is the commit that finished it first.
        """
        with self.timed(name):
            yield
        path = self._folder / f"{name}.json"
        if not path.exists():
            write_json(path, {"commit": git_commit()})

    def commits(self) -> dict[str, str | None]:
        """Returns the commit of the source that finished each stage."""
        paths = sorted(self._folder.rglob("*.json"))
        return {
            path.relative_to(self._folder).with_suffix("").as_posix(): read_json(path)["commit"]
            for path in paths
            if path.name != SECONDS
        }

    @contextmanager
    def timed(self, name: str) -> Iterator[None]:
        """Adds the time spent inside to the stage, also if it is interrupted, and says it."""
        began = time.monotonic()
        try:
            yield
        finally:
            spent = time.monotonic() - began
            seconds = self.seconds()
            seconds[name] = round(seconds.get(name, 0.0) + spent, 1)
            write_json(self._folder / SECONDS, seconds)
            logging.info("%s: %.1f s", name, spent)

    def seconds(self) -> dict[str, float]:
        """Returns the wall-clock time of each stage so far."""
        path = self._folder / SECONDS
        return read_json(path) if path.exists() else {}


class Study(Stages):
    """The stages of a study in its run directory, which it claims; for the errors see `claim`."""

    def __init__(self, workdir: Path, config: Any, /, **fingerprints: str):
        claim(workdir, config, **fingerprints)
        super().__init__(workdir / "stages")
        self._config, self._fingerprints = config, fingerprints

    def provenance(self, notes: Sequence[str]) -> dict[str, Any]:
        """Returns the `provenance` of the results: origin, notes on the images, stages."""
        return {
            **provenance(self._config, **self._fingerprints),
            "notes": list(notes),
            "stage_seconds": self.seconds(),
            "stage_commits": self.commits(),
        }
