"""Strict conversion between typed configs and the command line's ConfigDict.

A config file builds a dataclass and hands it out as a `ConfigDict` (`to_config_dict`), so that absl
flags can change single keys; `from_config_dict` turns it back once, at the start, and refuses
unknown keys, wrong types and impossible values. Beyond that point nothing reads a loose mapping.
"""

import dataclasses
import difflib
import types
import typing
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from ml_collections import ConfigDict

from jxr.errors import UserError

ConfigT = TypeVar("ConfigT")


def to_config_dict(config: Any) -> ConfigDict:
    """Returns the dataclass as a ConfigDict, for absl flags to change."""
    return ConfigDict(dataclasses.asdict(config))


def from_config_dict(kind: type[ConfigT], values: Any, where: str = "") -> ConfigT:
    """Returns the frozen dataclass `kind` built from `values`, a ConfigDict or dict of such.

    Raises:
        UserError: there are no keys; or one is unknown (a near right one is named), missing or
            of a wrong type.
    """
    if isinstance(values, ConfigDict):
        values = values.to_dict()
    if not hasattr(values, "keys"):  # of a file that is not there, asking raises an OSError
        what = f"config key '{where[:-1]}'" if where else "what the config file returns"
        raise UserError(
            f"{what} is of type {type(values).__name__}: give the keys of {kind.__name__}, as"
            " to_config_dict does"
        )
    hints = get_type_hints(kind)
    for key in values:
        if key not in hints:
            near = difflib.get_close_matches(key, hints, n=1)
            if not near:
                raise UserError(
                    f"unknown config key '{where}{key}': give one of {', '.join(hints)}; or is it"
                    " another command's config?"
                )
            raise UserError(f"unknown config key '{where}{key}': did you mean '{where}{near[0]}'?")
    arguments: dict[str, Any] = {}
    for key, hint in hints.items():
        if key not in values:
            raise UserError(f"config key '{where}{key}' is missing: add it to the config file")
        if dataclasses.is_dataclass(hint):
            arguments[key] = from_config_dict(
                typing.cast(type, hint), values[key], f"{where}{key}."
            )
        else:
            arguments[key] = _checked(values[key], hint, f"{where}{key}")
    return kind(**arguments)


def completed(kind: type, values: dict[str, Any]) -> dict[str, Any]:
    """Returns a config that was written down before, with the keys that came since.

    They get the default of their dataclass, which has to mean what was done before there was the
    key. Sections are not added: what lacks one is another kind of config.
    """
    result = dict(values)
    hints = get_type_hints(kind)
    for field in dataclasses.fields(kind):
        hint = hints[field.name]
        if dataclasses.is_dataclass(hint):
            if field.name in values:
                result[field.name] = completed(typing.cast(type, hint), values[field.name])
        elif field.default is not dataclasses.MISSING:
            result.setdefault(field.name, field.default)
    return result


def _checked(value: Any, hint: Any, where: str) -> Any:
    """Returns `value`, as a float or a tuple where a whole number or a list stands for one."""
    origin = get_origin(hint)
    if origin is Literal:
        if any(type(value) is type(choice) and value == choice for choice in get_args(hint)):
            return value
        allowed = ", ".join(str(choice) for choice in get_args(hint))
        raise UserError(f"config key '{where}' is '{value}': give one of {allowed}")
    if origin is tuple:
        if isinstance(value, list | tuple):
            return tuple(_checked(item, get_args(hint)[0], where) for item in value)
    elif hint is float:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return float(value)
    elif isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    wanted = str(hint) if isinstance(hint, types.GenericAlias) else hint.__name__
    raise UserError(f"config key '{where}' is {value!r}: give a value of type {wanted}")
