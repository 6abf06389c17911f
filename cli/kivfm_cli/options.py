"""The flags that commands share, and the configuration that a command line describes."""

from __future__ import annotations

from collections.abc import Callable, Collection
from contextlib import AbstractContextManager
from functools import wraps
from inspect import Parameter, Signature, signature
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kivfm_core.errors import UsageError

if TYPE_CHECKING:
    from kivfm_core.config import RunConfig
    from kivfm_core.processes.team import Team

Teachers = Annotated[
    str | None,
    typer.Option(
        metavar="A,B",
        help="Teachers by name, or by the folder of a run whose student is to teach, separated by "
        "commas, or `installed` for all with local weights.",
    ),
]
Variant = Annotated[
    str | None,
    typer.Option(
        metavar="V",
        help="Variant of all teachers that are named by family only, such as nano. "
        "Default: each family's own.",
    ),
]
Base = Annotated[
    str | None,
    typer.Option(
        metavar="A",
        help="Teacher whose frozen encoder becomes the student's trunk. "
        "Default: the first general teacher.",
    ),
]
Student = Annotated[
    str | None,
    typer.Option(
        metavar="timm/...",
        help="Backbone to train in full, instead of adapters on a frozen base.",
    ),
]
StudentWeights = Annotated[
    str | None,
    typer.Option(
        metavar="FILE",
        help="Weights file that the backbone of --student starts from, or none for random weights. "
        "Default: its published weights, if there are some.",
    ),
]
Recipe = Annotated[
    str | None, typer.Option(metavar="R", help="Recipe of the distillation. Default: kpu.")
]
Config = Annotated[
    Path | None, typer.Option("--config", metavar="FILE", help="Configuration file, in TOML.")
]
Sets = Annotated[
    list[str] | None,
    typer.Option(
        "--set",
        metavar="KEY=VALUE",
        help="Change one setting, such as optim.lr=1e-3. May be repeated.",
    ),
]
Data = Annotated[
    str | None,
    typer.Option(
        metavar="D",
        help="Folder of images or tar files, or one tar file, here or at a URL. "
        "Default: the demo scenes.",
    ),
]
Steps = Annotated[
    int | None, typer.Option(metavar="N", help="Number of optimizer steps. Default: 1000.")
]
BatchSize = Annotated[
    int | None, typer.Option(metavar="N", help="Number of views in a step. Default: 16.")
]
ImageSize = Annotated[
    str | None,
    typer.Option(
        metavar="N",
        help="Side of the student's square canvas in pixels, or several sides: N,N. "
        "Default: the teachers' own.",
    ),
]
Seed = Annotated[int | None, typer.Option(metavar="N", help="Random seed. Default: 0.")]
Weights = Annotated[
    list[str] | None,
    typer.Option("--weights", metavar="A=FILE", help="Weights file of teacher A. May be repeated."),
]
Devices = Annotated[
    str | None,
    typer.Option(metavar="N", help="Number of devices on each node, or auto. Default: 1."),
]
Nodes = Annotated[int | None, typer.Option(metavar="N", help="Number of nodes. Default: 1.")]
Precision = Annotated[
    str | None,
    typer.Option(
        metavar="P",
        help="Numeric precision: 32-true, bf16-mixed, 16-mixed or auto. Default: auto.",
    ),
]
Strategy = Annotated[
    str | None,
    typer.Option(
        metavar="S",
        help="How several devices share a step: auto, ddp or fsdp. Default: auto.",
    ),
]
Log = Annotated[
    str | None,
    typer.Option(
        metavar="T,T",
        help="Where to show losses: tensorboard, wandb, mlflow, trackio, or none. "
        "Default: tensorboard alone.",
    ),
]
ModelName = Annotated[
    str,
    typer.Argument(
        help="Run folder, bundle folder (RUN/student, or a copy), student on the hub (ORG/NAME), "
        "or teacher."
    ),
]
ModelWeights = Annotated[
    Path | None,
    typer.Option("--weights", metavar="FILE", help="Weights file, if MODEL is a teacher."),
]
Decoder = Annotated[
    str | None,
    typer.Option(
        "--teacher", metavar="A", help="Teacher whose decoder to use, if several solve the task."
    ),
]
ClassNames = Annotated[
    str | None,
    typer.Option(
        "--labels",
        metavar="A,B",
        help="Names, for tasks that take them (zero-shot).",
    ),
]
LabeledData = Annotated[
    list[str],
    typer.Option(
        "--data",
        metavar="[TASK=]D",
        help="Labeled data, for one task if it is named. May be repeated.",
    ),
]
Tasks = Annotated[
    str | None,
    typer.Option(
        "--tasks",
        metavar="T,...",
        help="Tasks to measure, separated by commas. Default: all that have data.",
    ),
]
Limit = Annotated[
    int | None,
    typer.Option(
        "--limit",
        metavar="N",
        min=1,
        help="Maximum number of images for each task. Default: all.",
    ),
]
Accelerator = Annotated[
    str, typer.Option(metavar="A", help="Device that the models run on, such as cpu or cuda.")
]


# Flags that stand for a key of the configuration: flag -> (key, its Typer annotation).
SETTINGS: dict[str, tuple[str, Any]] = {
    "teachers": ("teachers", Teachers),
    "variant": ("variant", Variant),
    "base": ("student.base", Base),
    "student": ("student.model", Student),
    "student_weights": ("student.weights", StudentWeights),
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
    "log": ("log", Log),
}


def configured(command: Callable[..., None], without: Collection[str] = ()) -> Callable[..., None]:
    """Gives a command all flags of a configuration, before its own.

    Typer reads flags from a function's signature. So the flags of `SETTINGS` are written into the
    command's signature here, and the command receives their values as one dictionary, `flags`,
    beside `config` and `sets`.

    Args:
        command: The command.
        without: Flags that would change nothing there.
    """
    settings = {name: hint for name, (_, hint) in SETTINGS.items() if name not in without}
    shared = settings | {"config": Config, "sets": Sets}

    @wraps(command)
    def run(**values: Any) -> None:
        command(flags={name: values.pop(name) for name in settings}, **values)

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
    """The configuration that a command line describes.

    Args:
        config: A TOML file.
        sets: `key=value` lines.
        flags: Flags by name; None means not given.
        command: The command, for the hint.

    Raises:
        UsageError: Naming everything that is wrong.
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


def start_team(
    devices: str | None, nodes: int | None, accelerator: str
) -> AbstractContextManager[Team]:
    """The processes that `--devices` and `--nodes` ask for; this one alone by default.

    Raises:
        UsageError: If it is no number of devices.
    """
    from kivfm_core.processes.team import start_team as work

    number = devices if devices in (None, "auto") else _whole(devices, "--devices 1")
    return work(1 if number is None else number, nodes or 1, accelerator)


def read_canvas(text: str | None, word: str, flag: str) -> Any:
    """A canvas's side in pixels, or the one word that a flag takes instead.

    Raises:
        UsageError: If it is neither.
    """
    if text is None or text == word:
        return text
    if not text.isdecimal() or int(text) == 0:
        raise UsageError(f"{flag} {text!r} is no number of pixels", f"{flag} 224")
    return int(text)


def listed(text: str | None) -> list[str]:
    """The words of a flag that are separated by commas.

    Example:
        >>> listed("a cat, a dog,"), listed(None)
        (['a cat', 'a dog'], [])
    """
    return [word.strip() for word in (text or "").split(",") if word.strip()]


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
