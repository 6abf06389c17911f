"""The flags that `compose` and `distill` share, and the configuration that they make."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kivfm_core.errors import UsageError

if TYPE_CHECKING:
    from kivfm_core.config import RunConfig

Teachers = Annotated[
    str | None,
    typer.Option(metavar="A,B", help="Teachers by name, separated by commas, or `installed`."),
]
Variant = Annotated[
    str | None, typer.Option(metavar="V", help="Variant of every bare family, such as nano.")
]
Base = Annotated[
    str | None, typer.Option(metavar="A", help="Whose encoder is the trunk; the first general one.")
]
Student = Annotated[
    str | None, typer.Option(metavar="timm/...", help="A backbone to train in full, not a base.")
]
Recipe = Annotated[
    str | None, typer.Option(metavar="R", help="How to distill: kpu (default), levels.")
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A configuration, as TOML.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as optim.lr=1e-3."),
]
Data = Annotated[
    str | None, typer.Option(metavar="D", help="A folder of pictures; else the demo scenes.")
]
Steps = Annotated[int | None, typer.Option(metavar="N", help="Optimizer steps.")]
BatchSize = Annotated[int | None, typer.Option(metavar="N", help="Views a step.")]
ImageSize = Annotated[
    str | None, typer.Option(metavar="N", help="Side of the student's canvas, or several: N,N.")
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="What all randomness follows from.")]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="A=FILE", help="A teacher's weights, from a file."),
]
Devices = Annotated[str | None, typer.Option(metavar="N", help="Number of devices, or auto.")]
Precision = Annotated[
    str | None, typer.Option(metavar="P", help="32-true, bf16-mixed, 16-mixed, ...")
]


def make_config(
    config: Path | None, sets: list[str] | None, flags: dict[str, Any], command: str
) -> RunConfig:
    """The configuration that a command line means.

    Args:
        config: A TOML file.
        sets: `key=value` lines.
        flags: Flags by name; None means not given.
        command: The command, for the hint.

    Raises:
        UsageError: Naming all that is wrong.
    """
    from kivfm_core.config import build_config

    given = {KEYS[name]: value for name, value in flags.items() if value is not None}
    if "weights" in given:
        given["weights"] = dict(_pair(item) for item in given["weights"])
    if "data.image_size" in given:
        given["data.image_size"] = [_whole(side) for side in given["data.image_size"].split(",")]
    if given.get("engine.devices", "auto") != "auto":
        given["engine.devices"] = _whole(given["engine.devices"])
    chosen = config is not None or any(line.startswith("teachers") for line in sets or ())
    if "teachers" not in given and not chosen:
        raise UsageError("no teachers are selected", f"kivfm {command} --teachers clip,dino,sam")
    return build_config(config, given, sets or [])


KEYS = {
    "teachers": "teachers",
    "variant": "variant",
    "base": "student.base",
    "student": "student.model",
    "recipe": "recipe",
    "data": "data.path",
    "steps": "optim.steps",
    "batch_size": "optim.batch_size",
    "image_size": "data.image_size",
    "seed": "seed",
    "weights": "weights",
    "devices": "engine.devices",
    "precision": "engine.precision",
}


def _pair(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise UsageError(f"--weights {text!r} is not NAME=FILE", "--weights clip=clip.safetensors")
    return name, file


def _whole(text: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a whole number") from None
