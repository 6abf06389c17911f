"""`kivfm teachers new`: writes a working teacher package to start from."""

from __future__ import annotations

import re
from enum import StrEnum
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from kivfm_core.errors import UsageError

# A distribution in which the name `acme` is replaced: `common/`, and a folder for each task.
TEMPLATES = Path(__file__).parents[2] / "templates"
NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
MAX_LENGTH = 40


class Task(StrEnum):
    """What a new teacher solves; `features` stands for none."""

    SEGMENTATION = "semantic-segmentation"
    CLASSIFICATION = "classification"
    DETECTION = "detection"
    FEATURES = "features"


def new(
    name: Annotated[str, typer.Argument(help="Name of the new family, such as my-net.")],
    task: Annotated[
        Task,
        typer.Option(
            metavar="TASK",
            help="What it solves: classification, detection, semantic-segmentation, "
            "or features (levels alone).",
        ),
    ] = Task.SEGMENTATION,
    out: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Folder to write. Default: kivfm-NAME.")
    ] = None,
) -> None:
    """Write a working teacher package, with passing tests, as a start for your own.

    An existing folder is never overwritten.
    """
    check_name(name)
    folder = out or Path(f"kivfm-{name}")
    if folder.exists():
        raise UsageError(f"{folder} exists already", f"kivfm teachers new {name} --out {folder}-2")
    write_package(name, folder, task)
    print(f"written: {folder}; edit plugin.py and model.py in {folder / module_of(name)}")
    print(f"next: pip install -e '{folder}[test]'; pytest {folder}; kivfm teachers check {name}")


def module_of(name: str) -> str:
    """The package's import name."""
    return f"kivfm_{name.replace('-', '_')}"


def check_name(name: str) -> None:
    """Refuses a name that is taken, or cannot name a family, a distribution and a module.

    Raises:
        UsageError: With a valid name as the hint.
    """
    if not NAME.fullmatch(name) or name.startswith("kivfm") or len(name) > MAX_LENGTH:
        raise UsageError(
            f"{name!r} is no name for a family: use lower-case letters, digits and single "
            f"hyphens, begin with a letter, at most {MAX_LENGTH} in all, not with kivfm",
            f"kivfm teachers new {_free(suggest(name))}",
        )
    if _is_taken(name):
        raise UsageError(f"the name {name} is taken", f"kivfm teachers new {suggest('my-' + name)}")


def suggest(name: str) -> str:
    """The nearest valid name."""
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower().removeprefix("kivfm")).strip("-")
    if not slug[:1].isalpha() or slug.startswith("kivfm"):
        slug = f"my-{slug}"
    return slug[:MAX_LENGTH].strip("-")


def _free(name: str) -> str:
    return suggest(f"my-{name}") if _is_taken(name) else name


def _is_taken(name: str) -> bool:
    return find_spec(module_of(name)) is not None or name in _families()


def _families() -> set[str]:
    from kivfm_core.registry.registry import list_teachers

    entries = list_teachers()
    taken = {entry.bare.partition("/")[0] for entry in entries}
    return taken | {alias for entry in entries if entry.spec for alias in entry.spec.aliases}


def write_package(name: str, folder: Path, task: Task = Task.SEGMENTATION) -> None:
    """Writes the template under another name.

    Args:
        name: A valid name.
        folder: Where to; it appears complete, or not at all.
        task: What the teacher solves.
    """
    from kivfm_core.files import make_aside, put_in_place

    def renamed(text: str) -> str:
        return re.sub("(kivfm_)?acme", lambda m: module_of(name) if m[1] else name, text)

    aside = make_aside(folder)
    for path, file in _files(task).items():
        target = aside.joinpath(*map(renamed, path.parts))
        target.parent.mkdir(parents=True, exist_ok=True)
        data = file.read_bytes()
        if file.suffix != ".safetensors":
            data = renamed(data.decode()).encode()
        target.write_bytes(data)
    put_in_place(aside, folder)


def _files(task: Task) -> dict[Path, Path]:
    """The files of a task's template, by where they lie in the package."""
    return {
        file.relative_to(root): file
        for root in (TEMPLATES / "common", TEMPLATES / task.value)
        for file in sorted(root.rglob("*"))
        if file.is_file() and "__pycache__" not in file.parts
    }
