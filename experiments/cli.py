"""What all entry points share: their flags, and one line for a user's mistake."""

import os
import re
import sys
import traceback
from collections.abc import Callable
from logging import INFO, LogRecord
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar, cast

from absl import app, flags, logging
from ml_collections import config_flags

from jxr.errors import UserError

if TYPE_CHECKING:
    from jxr.training.launch import Launch

ConfigT = TypeVar("ConfigT")
ROOT = Path(__file__).resolve().parents[1]
OURS = ("jxr", "experiments")
USER_ERROR = 2

CACHE = flags.DEFINE_string(
    "cache", "runs/cache", "Folder of decoded images and features, which runs share."
)
WORKDIR = flags.DEFINE_string(
    "workdir", None, "Run directory: checkpoints, metrics, results.", required=True
)


def config_flag() -> flags.FlagHolder:
    """Defines --config, for `--config=FILE.py:NAME --config.KEY=VALUE`."""
    return config_flags.DEFINE_config_file(
        "config", None, "Config file, with the name of a config after a colon."
    )


def launch_flags(*, hosts: bool = False) -> "Callable[[], Launch]":
    """Defines the flags of how trainings are launched; returns what reads them, once.

    With --distributed, that joins the other processes: nothing may ask JAX for devices before.

    Args:
        hosts: whether the command can train on several; otherwise it refuses to.
    """
    parallel = flags.DEFINE_enum(
        "parallel", "jit", ["jit", "pmap"], "How a train step is spread over the devices."
    )
    profile = flags.DEFINE_bool(
        "profile", False, "Write a trace of a few train steps to profile/ in the run directory."
    )
    tensorboard = flags.DEFINE_bool(
        "tensorboard", False, "Write metrics to tensorboard/ too; needs the extra 'tensorboard'."
    )

    distributed = flags.DEFINE_bool(
        "distributed",
        False,
        "Train as one of several processes, which all run this command. JAX asks Slurm, Open MPI or"
        " the TPU pod which; elsewhere give the next three too.",
    )
    coordinator = flags.DEFINE_string("coordinator", None, "HOST:PORT of process 0.")
    count = flags.DEFINE_integer("process_count", None, "How many processes there are.")
    number = flags.DEFINE_integer("process_id", None, "Which one this is, from 0 on.")

    def launch() -> "Launch":
        from jxr.training.launch import Launch

        if distributed.value:
            if not hosts:
                raise UserError("--distributed: this command runs on one host: leave it out")
            if parallel.value == "pmap":
                raise UserError("--distributed trains by --parallel=jit only: leave out pmap")
            _join(coordinator.value, count.value, number.value)
        elif coordinator.present or count.present or number.present:
            raise UserError("--coordinator, --process_count, --process_id: add --distributed")
        return Launch(cast(Any, parallel.value), profile.value, tensorboard.value)

    return launch


def part_flag() -> flags.FlagHolder:
    """Defines --part."""
    return flags.DEFINE_enum(
        "part",
        "validation",
        ["validation", "test"],
        "Which images; test is for recipes that are finished.",
    )


def say(text: str) -> None:
    """Prints a line, of several processes the first one only."""
    import jax

    if jax.process_index() == 0:
        print(text)


def changes_flag() -> flags.FlagHolder:
    """Defines --accept_changes, of the commands that train one model."""
    return flags.DEFINE_bool(
        "accept_changes",
        False,
        "Go on with a run under a config that has changed, for example by more epochs; the changes"
        " are logged. Other images or weights are refused all the same.",
    )


def run(main: Callable[[], None], *, workdir: bool = True) -> None:
    """Parses the flags and calls `main`; a user's mistake becomes one line and exit status 2.

    Args:
        main: what the command does.
        workdir: whether it works in one; otherwise there is no flag --workdir.
    """
    if not workdir:
        delattr(flags.FLAGS, WORKDIR.name)
    logging.set_verbosity(logging.INFO)
    logging.get_absl_handler().addFilter(_is_worth_a_line)
    app.run(lambda _: _guarded(main), flags_parser=_parse_flags)


def config_of(kind: type[ConfigT], flag: flags.FlagHolder) -> ConfigT:
    """Returns the config flag's value as the dataclass `kind`.

    Commands call this before they import what takes seconds to load: a mistake is told at once.
    """
    from jxr.config_dict import from_config_dict

    if flag.value is None:
        raise UserError("no config: give --config=FILE.py:NAME (see ml_collections_configs/)")
    try:
        return from_config_dict(kind, flag.value)
    except OSError as error:  # config_flags reports a missing file no sooner than at its first use
        raise UserError(str(error)) from error


def folders() -> tuple[Path, Path]:
    """Returns the run directory and the cache."""
    return path_of(WORKDIR), path_of(CACHE)


def path_of(flag: flags.FlagHolder) -> Path:
    """Returns the path that a flag names; UserError for an empty one, which would be `.`."""
    try:
        if flag.value:
            return Path(flag.value).expanduser()
    except RuntimeError as error:  # ~NAME of nobody here
        raise UserError(f"--{flag.name}={flag.value}: {error}") from error
    raise UserError(f"--{flag.name} is empty: give a path")


def measured_output(output: flags.FlagHolder, scale: flags.FlagHolder) -> Path:
    """Returns where measurements go: what is measured on a tiny scale, where the flag says only."""
    if scale.value != "full" and flags.FLAGS[output.name].using_default_value:
        raise UserError(
            f"--scale={scale.value} is to try the command: give --output, so that what was"
            " measured stays as it is"
        )
    return path_of(output)


def keep_compiled() -> None:
    """Has JAX keep what it compiles in the user's cache folder, unless its variables say otherwise.

    Called before JAX is loaded, which reads them then. A program is found again by what it
    computes, the versions and the processor, so that none is ever wrong.
    """
    import pooch

    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(pooch.os_cache("jxr") / "compiled"))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0.2")


def _join(coordinator: str | None, process_count: int | None, process_id: int | None) -> None:
    """Joins the other processes; only the first one goes on telling what it does."""
    import jax

    # JAX's own handler would swallow SIGTERM: the training loop has one, all else just ends.
    jax.config.update("jax_enable_preemption_service", False)
    # JAX ends by a fault of its own without a port.
    if coordinator is not None and not re.fullmatch(r".+:\d+", coordinator):
        raise UserError(f"--coordinator={coordinator}: give HOST:PORT")
    try:
        jax.distributed.initialize(
            coordinator, process_count, process_id, shutdown_timeout_seconds=60
        )
    except ValueError as error:
        raise UserError(
            f"--distributed: {error} Give --coordinator=HOST:PORT, --process_count and --process_id"
        ) from error
    if jax.process_index() > 0:
        logging.set_verbosity(logging.WARNING)


def _is_worth_a_line(record: LogRecord) -> bool:
    """Keeps the project's own lines, and of the libraries only warnings and worse."""
    path = Path(record.pathname)  # an environment may lie in the project's own folder
    return record.levelno > INFO or any(path.is_relative_to(ROOT / room) for room in OURS)


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    # The config file is run while flags are parsed, so what it raises arrives here as well.
    except (
        UserError,
        flags.Error,
        AttributeError,
        LookupError,
        TypeError,
        ValueError,
        OSError,
    ) as e:
        _fail(e)
    except Exception as error:  # what else is wrong with the config file's own code
        _fail(UserError(f"{_place(error)}: {type(error).__name__}: {error}"))
    if len(rest) > 1:
        _fail(UserError(f"unknown argument '{rest[1]}': flags begin with --"))
    return rest


def _guarded(main: Callable[[], None]) -> None:
    keep_compiled()
    from jxr.training.stopping import Stopped

    try:
        main()
    except UserError as error:
        _tell(error)
        if "distributed" in flags.FLAGS and flags.FLAGS.distributed:
            from jxr.training.processes import leave

            leave(USER_ERROR)
        sys.exit(USER_ERROR)
    except Stopped as stopped:
        logging.info("%s", stopped)
        sys.exit(128 + stopped.signum)  # what a shell reports for a process that a signal ended


def _place(error: Exception) -> str:
    place = traceback.extract_tb(error.__traceback__)[-1]
    return f"{place.filename}, line {place.lineno}"


def _fail(error: Exception) -> NoReturn:
    _tell(error)
    sys.exit(USER_ERROR)


def _tell(error: Exception) -> None:
    if isinstance(error, AttributeError) and error.args and isinstance(error.args[0], KeyError):
        error = error.args[0]  # ConfigDict's, of a key that is not there
    # A KeyError's own text is the repr of its message.
    message = " ".join(str(error.args[0] if isinstance(error, KeyError) else error).split())
    if isinstance(error, KeyError) and message.startswith("'"):  # ConfigDict's
        key, _, hint = message.partition(" ")
        message = f"unknown config key {key}: {hint or 'jxr/config has them all'}"
    elif isinstance(error, KeyError):
        message = f"{_place(error)}: there is no '{message}'"
    print(f"error: {message}", file=sys.stderr, flush=True)
