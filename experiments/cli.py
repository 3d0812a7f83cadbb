"""What all entry points share: their flags, and one line for a user's mistake."""

import sys
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


def launch_flags() -> "Callable[[], Launch]":
    """Defines --parallel, --profile and --tensorboard; returns what reads them."""
    parallel = flags.DEFINE_enum(
        "parallel", "jit", ["jit", "pmap"], "How a train step is spread over the devices."
    )
    profile = flags.DEFINE_bool(
        "profile", False, "Write a trace of a few train steps to profile/ in the run directory."
    )
    tensorboard = flags.DEFINE_bool(
        "tensorboard", False, "Write metrics to tensorboard/ too; needs the extra 'tensorboard'."
    )

    def launch() -> "Launch":
        from jxr.training.launch import Launch

        return Launch(cast(Any, parallel.value), profile.value, tensorboard.value)

    return launch


def changes_flag() -> flags.FlagHolder:
    """Defines --accept_changes, of the commands that train one model."""
    return flags.DEFINE_bool(
        "accept_changes",
        False,
        "Go on with a run under a config that has changed, for example by more epochs; the changes"
        " are logged. Other images or kernels are refused all the same.",
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
    """Returns the config flag's value as the dataclass `kind`."""
    from jxr.config_dict import from_config_dict

    if flag.value is None:
        raise UserError("no config: give --config=FILE.py:NAME (see ml_collections_configs/)")
    try:
        return from_config_dict(kind, flag.value)
    except OSError as error:  # config_flags reports a missing file no sooner than at its first use
        raise UserError(str(error)) from error


def folders() -> tuple[Path, Path]:
    """Returns the run directory and the cache."""
    return Path(WORKDIR.value).expanduser(), Path(CACHE.value).expanduser()


def _is_worth_a_line(record: LogRecord) -> bool:
    """Keeps the project's own lines, and of the libraries only warnings and worse."""
    path = Path(record.pathname)  # an environment may lie in the project's own folder
    return record.levelno > INFO or any(path.is_relative_to(ROOT / room) for room in OURS)


def _parse_flags(arguments: list[str]) -> list[str]:
    try:
        rest = flags.FLAGS(arguments)
    # The config file is run while flags are parsed, so what it raises arrives here as well.
    except (UserError, flags.Error, AttributeError, KeyError, TypeError, ValueError, OSError) as e:
        _fail(e)
    if len(rest) > 1:
        _fail(UserError(f"unknown argument '{rest[1]}': flags begin with --"))
    return rest


def _guarded(main: Callable[[], None]) -> None:
    from jxr.training.loop import Stopped

    try:
        main()
    except UserError as error:
        _fail(error)
    except Stopped as stopped:
        logging.info("%s", stopped)
        sys.exit(128 + stopped.signum)  # what a shell reports for a process that a signal ended


def _fail(error: Exception) -> NoReturn:
    # A KeyError's own text is the repr of its message.
    text = error.args[0] if isinstance(error, KeyError) else error
    message = " ".join(str(text).split())
    print(f"error: {message}", file=sys.stderr)
    sys.exit(USER_ERROR)
