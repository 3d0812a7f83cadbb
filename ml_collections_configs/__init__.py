"""Configs of the experiments, one file a family of runs."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from jxr.config_dict import to_config_dict
from jxr.errors import UserError


def getter(runs: Mapping[str, Any], file: str) -> Callable[..., ConfigDict]:
    """Returns the `get_config` of a config file: name -> config; without a name, the first."""

    def get_config(name: str = next(iter(runs))) -> ConfigDict:
        if name not in runs:
            given = ", ".join(runs)
            raise UserError(f"no config '{name}' in {Path(file).name}: give one of {given}")
        return to_config_dict(runs[name])

    return get_config
