"""The flags that commands share, and the configuration that `compose` and `distill` make."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from inspect import Parameter, Signature, signature
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
    str | None, typer.Option(metavar="R", help="How to distill: kpu (default), or a rival of it.")
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="A configuration, as TOML.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Any setting, such as optim.lr=1e-3."),
]
Data = Annotated[
    str | None,
    typer.Option(metavar="D", help="A folder of pictures or tars, or a tar; else the demo scenes."),
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
Nodes = Annotated[int | None, typer.Option(metavar="N", help="Number of nodes.")]
Precision = Annotated[
    str | None, typer.Option(metavar="P", help="32-true, bf16-mixed, 16-mixed, auto.")
]
Strategy = Annotated[
    str | None, typer.Option(metavar="S", help="How several devices share a step: auto, ddp, fsdp.")
]
Accelerator = Annotated[
    str, typer.Option(metavar="A", help="Where encoders compute, such as cpu or cuda.")
]


SETTINGS: dict[str, tuple[str, Any]] = {
    "teachers": ("teachers", Teachers),
    "variant": ("variant", Variant),
    "base": ("student.base", Base),
    "student": ("student.model", Student),
    "recipe": ("recipe", Recipe),
    "data": ("data.path", Data),
    "steps": ("optim.steps", Steps),
    "batch_size": ("optim.batch_size", BatchSize),
    "image_size": ("data.image_size", ImageSize),
    "seed": ("seed", Seed),
    "weights": ("weights", Weights),
    "devices": ("engine.devices", Devices),
    "nodes": ("engine.nodes", Nodes),
    "precision": ("engine.precision", Precision),
    "strategy": ("engine.strategy", Strategy),
}
"""Flags that stand for a key of the configuration."""


def configured(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command all flags of a configuration, before its own.

    The command gets `flags`, the settings by flag, beside `config` and `sets`.
    """
    shared = {name: hint for name, (_, hint) in SETTINGS.items()} | {"config": Config, "sets": Sets}

    @wraps(command)
    def run(**values: Any) -> None:
        command(flags={name: values.pop(name) for name in SETTINGS}, **values)

    own = signature(command, eval_str=True).parameters.values()
    parameters = [
        Parameter(name, Parameter.KEYWORD_ONLY, default=None, annotation=hint)
        for name, hint in shared.items()
    ]
    parameters += [p for p in own if p.name not in ("flags", *shared)]
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    run.__dict__["__signature__"] = Signature(parameters)
    return run


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

    given = {SETTINGS[name][0]: value for name, value in flags.items() if value is not None}
    if "weights" in given:
        given["weights"] = dict(_pair(item) for item in given["weights"])
    if "data.image_size" in given:
        sides = given["data.image_size"].split(",")
        given["data.image_size"] = [_whole(side, "--image-size 224") for side in sides]
    if given.get("engine.devices", "auto") != "auto":
        given["engine.devices"] = _whole(given["engine.devices"], "--devices 1")
    chosen = config is not None or any(line.startswith("teachers") for line in sets or ())
    if "teachers" not in given and not chosen:
        raise UsageError("no teachers are selected", f"kivfm {command} --teachers clip,dino,sam")
    return build_config(config, given, sets or [])


def _pair(text: str) -> tuple[str, str]:
    name, equals, file = text.partition("=")
    if not (name and equals and file):
        raise UsageError(f"--weights {text!r} is not NAME=FILE", "--weights clip=clip.safetensors")
    return name, file


def _whole(text: str, hint: str) -> int:
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"{text!r} is not a whole number", hint) from None
