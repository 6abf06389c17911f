"""Exports a model: written aside, run beside the model, and put in place if both agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.errors import PluginError, UsageError, printable
from kivfm_core.exports.card import make_card, preprocessing
from kivfm_core.exports.check import check, check_images, compare
from kivfm_core.exports.formats import FORMATS, ExportFormat
from kivfm_core.exports.program import Program, features_program, task_program
from kivfm_core.files import make_aside, write_text
from kivfm_core.geometry import Size
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.prediction.predict import choose
from kivfm_core.prediction.prompts import check_names
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task

# Images that an export is checked with: fewer say little.
FEWEST = 8


@dataclass(frozen=True)
class Export:
    """A file that was written, and how far it is from its model.

    Attributes:
        file: The export.
        card: What one has to know to use it; also in `FILE.json`.
        errors: By output, the largest error as a part of its largest value.
    """

    file: Path
    card: dict[str, Any]
    errors: dict[str, float]


# Eight parameters, as the command has flags; most calls give three.
def export(
    model: str | Path | Model,
    format: str,
    out: str | Path,
    *,
    task: str | None = None,
    teacher: str | None = None,
    labels: Sequence[str] | None = None,
    size: Size | None = None,
    images: Sequence[str | Path] | None = None,
) -> Export:
    """Writes a model's features, or one of its tasks, as a file that runs without kivfm.

    The file is run on at least eight images and compared with the model; beyond tolerance nothing
    is left behind.

    Args:
        model: A run, a bundle, or a teacher's name.
        format: `onnx`, `torch-export`, `timm` or `safetensors`.
        out: The file.
        task: Which task; the features by default.
        teacher: Whose decoder, where several solve the task.
        labels: Class names, for `zero-shot`; they become part of the file.
        size: Height and width of its canvases, in pixels; the model's own by default.
        images: Files to check it with, at least eight; drawn scenes by default.

    Raises:
        UsageError: If the format is unknown, does not fit, or the task cannot be exported; or if
            `out` is there, and was not exported.
        PluginError: If a package is missing that the format needs.
        KivfmError: If what was written gives something else than the model.
    """
    kind = _format(format)
    place = _place(Path(out), kind)
    opened = open_model(model, "cpu")
    program, card = _program(opened, kind, task, teacher, labels, size)
    pixels = _pixels(images)
    aside = make_aside(place)
    written = aside / place.name
    try:
        resolve_reference(kind.write)(program, card, written)
        errors = _checked(kind, program, written, pixels)
        checked = {"images": len(pixels), "largest_error": errors, "bytes": written.stat().st_size}
        card |= {"format": kind.name, "file": place.name, "checked": checked}
        written.replace(place)
    finally:
        _remove(aside)
    write_text(_card_of(place), json.dumps(card, indent=1))
    return Export(place, card, errors)


def _checked(
    kind: ExportFormat, program: Program, written: Path, pixels: Sequence[torch.Tensor]
) -> dict[str, float]:
    """The largest error of every output: of one image alone, and of the others in a batch."""
    batches = [program.canvases(pixels[:1]), program.canvases(pixels[1:])]
    found = resolve_reference(kind.run)(written, [batch.numpy() for batch in batches])
    errors = compare(program, batches, found)
    check(errors, "fp32")
    return errors


def _format(name: str) -> ExportFormat:
    if name not in FORMATS:
        raise UsageError(f"unknown format {printable(name)}", f"one of: {', '.join(FORMATS)}")
    kind = FORMATS[name]
    missing = [package for package in kind.needs if find_spec(package) is None]
    if missing:
        raise PluginError(
            f"{name} needs {', '.join(missing)}", f"pip install 'kivfm[{kind.extra}]'"
        )
    return kind


def _card_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _place(out: Path, kind: ExportFormat) -> Path:
    if out.is_dir() or out.suffix != kind.suffix:
        name = out / "model" if out.is_dir() else out.with_suffix("")
        raise UsageError(
            f"{printable(out)} is no name for a file of {kind.name}", f"-o {name}{kind.suffix}"
        )
    if out.exists() and not _card_of(out).exists():  # the student's own weights, say
        raise UsageError(
            f"{printable(out)} is there already, and was not exported", "give the file another name"
        )
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {printable(out.parent)}", f"mkdir -p {out.parent}")
    return out


def _program(
    model: Model,
    kind: ExportFormat,
    task: str | None,
    teacher: str | None,
    labels: Sequence[str] | None,
    size: Size | None,
) -> tuple[Program, dict[str, Any]]:
    """What is exported, and its card."""
    if task is None:
        if labels:
            raise UsageError("features take no labels", "--task zero-shot")
        program, solved = features_program(model, size), None
    else:
        record = find_task(task)
        if not kind.tasks:
            raise UsageError(f"{kind.name} holds an encoder and no task", "leave --task away")
        check_names(labels or ())
        prompt = {"labels": list(labels)} if labels else {}
        if bool(labels) != ("labels" in (record.prompt.flags if record.prompt else ())):
            raise UsageError(
                f"{task} needs class names" if not labels else f"{task} takes no labels",
                '--labels "a cat,a dog"' if not labels else "leave --labels away",
            )
        spec = choose(model.specs, task, teacher)
        program, solved = task_program(model, spec.name, record, prompt, size), (spec, task)
    card = make_card(model.name, model.specs, solved, labels)
    card |= {"input": preprocessing(program.contract, program.size), "outputs": program.shapes()}
    return program, card | dict(program.facts)


def _pixels(images: Sequence[str | Path] | None) -> list[torch.Tensor]:
    if images is None:
        return check_images()
    if len(images) < FEWEST:
        raise UsageError(f"{len(images)} images are too few to check with", f"give {FEWEST}")
    return [to_tensor(open_image(Path(image))) for image in images]


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
