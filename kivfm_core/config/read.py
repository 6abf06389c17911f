"""From a file, `--set` and flags to a configuration, and back to a file. Torch-free."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

import tomli_w
from pydantic import ValidationError

from kivfm_core.config.run import RunConfig
from kivfm_core.errors import UsageError, validation_lines


def load_config(path: Path) -> dict[str, Any]:
    """Reads a configuration file.

    Raises:
        UsageError: If it does not exist or is no TOML.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(
            f"cannot read {path}: {error.strerror}", "kivfm compose -o run.toml"
        ) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise UsageError(f"{path} is not valid TOML: {error}") from error


def build_config(
    file: Path | None, flags: Mapping[str, Any], sets: Sequence[str] = ()
) -> RunConfig:
    """Merges defaults, file, `--set` and flags.

    Args:
        file: A TOML file.
        flags: Dotted keys to values; None means not given.
        sets: `key=value` lines; values are TOML, or plain strings.

    Raises:
        UsageError: Naming every wrong key and value at once.
    """
    values = load_config(file) if file is not None else {}
    given = {key: value for key, value in flags.items() if value is not None}
    for line in sets:
        key, equals, text = line.partition("=")
        if not equals:
            raise UsageError(f"--set {line!r} is not key=value", "--set optim.lr=0.001")
        for flag in given:
            if key.strip().startswith(f"{flag}."):
                raise UsageError(
                    f"--set {line!r} has no effect: a flag gives all of {flag}",
                    f"without the flag, all of {flag} in one --set, or in a file: --config FILE",
                )
        _put(values, key.strip(), _parse(text.strip()))
    for key, value in given.items():
        _put(values, key, value)
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        text = "\n  ".join(("the configuration is wrong:", *validation_lines(error, _keys())))
        raise UsageError(text) from error


def _keys() -> list[str]:
    """All keys of a configuration, dotted."""
    keys: list[str] = []
    for name, field in RunConfig.model_fields.items():
        inside = getattr(field.annotation, "model_fields", None)  # of a table
        keys += [f"{name}.{key}" for key in inside] if inside else [name]
    return keys


def _put(values: dict[str, Any], key: str, value: Any) -> None:
    *path, last = key.split(".")
    for part in path:
        table: Any = values.setdefault(part, {})
        if not isinstance(table, dict):
            raise UsageError(f"{part} in {key} is no table", f"give all of it: --set {part}=...")
        values = cast(dict[str, Any], table)
    values[last] = value


def _parse(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def dump_config(config: RunConfig) -> str:
    """The configuration as TOML, as `distill --config` takes it."""
    return tomli_w.dumps(config.model_dump(mode="json", by_alias=True, exclude_none=True))
