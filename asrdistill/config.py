"""Options: one frozen dataclass per concept, read from YAML, overridable on the command line.

@dataclass(frozen=True)
class FbankOptions:
    bins: int = option(40, "number of mel filters")

add_options(parser, FbankOptions)      # --config FILE and --bins N
options = resolve(FbankOptions, args)  # defaults < YAML < command line
"""

import argparse
import dataclasses
import difflib
import types
import typing
from pathlib import Path
from typing import Any, TypeVar

from asrdistill.errors import UserError
from asrdistill.reader import conform, read_yaml

T = TypeVar("T")


def option(default: Any, help: str, choices: tuple[Any, ...] | None = None, since_version: str = "") -> Any:
    """A dataclass field with a default (a list is copied), a help text and, where there are few, the allowed values.

    `since_version`: version that added the option. Its default does not enter the hash, so older results stay valid.
    """
    value: dict[str, Any] = {"default_factory": default.copy} if isinstance(default, list) else {"default": default}
    return dataclasses.field(**value, metadata={"help": help, "choices": choices, "since_version": since_version})


def hash_fields(options: Any) -> dict[str, Any]:
    """The values that a stage hashes: all fields, except defaults of those that a later version added."""
    fields = {field.name: field for field in dataclasses.fields(options)}
    values = dataclasses.asdict(options)
    added = {key for key, field in fields.items() if field.metadata.get("since_version")}
    return {key: value for key, value in values.items() if key not in added or value != _default(fields[key])}


def add_options(parser: argparse.ArgumentParser, cls: type) -> None:
    """Add ``--config FILE`` and one flag for each field of the dataclass `cls`."""
    group = parser.add_argument_group("settings, here or in the file of --config")
    group.add_argument("--config", type=Path, metavar="YAML", help="file with lines 'key: value'; flags override it")
    hints = typing.get_type_hints(cls)
    for field in dataclasses.fields(cls):
        kind = _plain_type(hints[field.name])
        choices, default = field.metadata.get("choices"), _default(field)
        settings: dict[str, Any] = {"type": kind, "choices": choices}
        if kind is bool:
            settings, default = {"action": argparse.BooleanOptionalAction}, "on" if default else "off"
        elif kind is list:
            settings["type"] = kind = typing.get_args(hints[field.name])[0]
            settings["nargs"], default = "+", " ".join(map(str, default)) or "none"
        if "type" in settings and not choices:
            settings["metavar"] = {int: "N", float: "X"}.get(kind, "NAME")
        help = f"{field.metadata.get('help', '')} (default: {default})"
        group.add_argument("--" + field.name.replace("_", "-"), dest=field.name, default=None, help=help, **settings)


def _default(field: dataclasses.Field[Any]) -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def resolve(cls: type[T], args: argparse.Namespace) -> T:
    """Options from the defaults, the YAML file of ``--config`` and the flags, in rising order."""
    values = read_yaml(args.config) if getattr(args, "config", None) else {}
    source = str(getattr(args, "config", None) or "the command line")
    flags = {f.name: getattr(args, f.name, None) for f in dataclasses.fields(cls)}  # type: ignore[arg-type]
    return build(cls, values | {k: v for k, v in flags.items() if v is not None}, source)


def build(cls: type[T], values: dict[str, Any], source: str) -> T:
    """A dataclass from a mapping; unknown keys and wrong types are errors that name `source`."""
    hints = typing.get_type_hints(cls)
    known = {field.name: field for field in dataclasses.fields(cls)}  # type: ignore[arg-type]
    checked = {}
    for key, value in values.items():
        if key not in known:
            near = difflib.get_close_matches(str(key), known, 1)
            hint = f"did you mean '{near[0]}'?" if near else f"known keys: {', '.join(known)}"
            raise UserError(f"unknown configuration key '{key}' in {source}; {hint}")
        checked[key] = value = conform(value, hints[key], source, key)
        choices = known[key].metadata.get("choices") or ()
        if wrong := [one for one in (value if isinstance(value, list) else [value]) if choices and one not in choices]:
            raise UserError(f"'{key}' in {source} must be one of {', '.join(map(str, choices))}, not {wrong[0]!r}")
    return cls(**checked)


def _plain_type(hint: Any) -> type:
    """The type of ``int``, ``str | None``, ``list[int]``, …"""
    kinds = typing.get_args(hint) if isinstance(hint, types.UnionType) else [hint]
    return next(typing.get_origin(kind) or kind for kind in kinds if kind is not type(None))
