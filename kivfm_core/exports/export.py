"""Exports a model: written aside, run beside the model, and put in place if both agree."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Unpack

import torch

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.members import open_at
from kivfm_core.data.named_images import find_named
from kivfm_core.errors import UsageError, printable
from kivfm_core.exports.card import make_card, preprocessing, public_name
from kivfm_core.exports.cast import cast
from kivfm_core.exports.check import check, check_images, compare
from kivfm_core.exports.form import Form, Wishes, make_form
from kivfm_core.exports.formats import ExportFormat
from kivfm_core.exports.program import Program, features_program, task_program
from kivfm_core.exports.score import Scores, check_score, score
from kivfm_core.files import make_aside, write_text
from kivfm_core.geometry import Size
from kivfm_core.licenses.terms import inherited
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.prediction.predict import choose
from kivfm_core.prediction.prompts import check_names
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.task import spread

# Images that an export is checked with: fewer say little, and of more so many are taken.
FEWEST, MOST = 8, 64


@dataclass(frozen=True)
class Export:
    """A file that was written, and how far it is from its model.

    Attributes:
        file: The export.
        card: What one has to know to use it; also in `FILE.json`.
        errors: By output, the largest error as a part of its largest value.
        scores: What the task scores, if data was given.
    """

    file: Path
    card: dict[str, Any]
    errors: dict[str, float]
    scores: Scores | None = None


# As many parameters as the command has flags; most calls give three.
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
    **wishes: Unpack[Wishes],
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
        images: Files or folders to check it with: eight to 64 images; drawn scenes by default.
        wishes: `dtype`, `quantize`, `calibration`, `dynamic`, `data` and `keep`, as the command's
            flags of these names.

    Raises:
        UsageError: If format or task cannot be exported so, or `out` is there for another reason.
        PluginError: If a package is missing that the format needs.
        KivfmError: If what was written gives something else than the model, or keeps too little.
        DataError: If images or data cannot be used.
    """
    form = make_form(format, task, wishes)
    place = _place(Path(out), form.kind)
    opened = open_model(model, "cpu")
    program, card = _program(opened, form, task, teacher, labels, size)
    card |= {"format": form.kind.name, "precision": form.precision, "file": place.name}
    pixels = _pixels(images)
    aside = make_aside(place)
    try:
        made = _make(form, program, card, aside / place.name, pixels)
        _put(aside, place)
    finally:
        _remove(aside)
    write_text(_card_of(place), json.dumps(made.card, indent=1))
    return replace(made, file=place)


def _make(
    form: Form,
    program: Program,
    card: dict[str, Any],
    file: Path,
    pixels: Sequence[torch.Tensor],
) -> Export:
    """Writes a program and checks what was written."""
    _write(form, program, card, file)
    errors = _checked(form, program, file, pixels)
    scores = _scored(form, program, file, form.data) if form.data else None
    files = sorted(file.parent.iterdir())
    checked = {
        "images": len(pixels),
        "largest_error": errors,
        "bytes": sum(path.stat().st_size for path in files),
        "score": asdict(scores) if scores else None,
    }
    card |= {"files": [path.name for path in files], "checked": checked}
    return Export(file, card, errors, scores)


def _write(form: Form, program: Program, card: dict[str, Any], file: Path) -> None:
    write = resolve_reference(form.kind.write)
    try:
        write(cast(program, form.dtype), card, file)
    except Exception as error:
        if not form.dynamic:
            raise
        # Whatever torch.export stumbled over: it knows one size, and not every size.
        raise UsageError(
            f"{program.spec.name} cannot be written for canvases of every size",
            "one size: leave out --dynamic, or give --height and --width",
        ) from error
    if form.calibration is not None:
        resolve_reference(form.kind.quantize)(program, file, form.calibration)


def _checked(
    form: Form, program: Program, written: Path, pixels: Sequence[torch.Tensor]
) -> dict[str, float]:
    """The largest error of every output: of one image alone, and of the others in batches."""
    parts = [pixels[:1], pixels[1:4], pixels[4:]]
    sizes = program.sizes()
    batches = [program.canvases(p, sizes[i % len(sizes)]) for i, p in enumerate(parts)]
    prompts = [program.example(batch, 1 + i) for i, batch in enumerate(batches)]
    given = [{name: x.numpy() for name, x in prompt.items()} for prompt in prompts]
    found = resolve_reference(form.kind.run)(written, [x.numpy() for x in batches], given)
    errors = compare(program, batches, found, prompts)
    check(errors, form.precision)
    return errors


def _scored(form: Form, program: Program, written: Path, data: str) -> Scores:
    found = score(program, resolve_reference(form.kind.start)(written), data)
    check_score(found, form.precision, form.keep)
    return found


def _put(aside: Path, place: Path) -> None:
    """Puts what was written in its place: the file, and its weights first if they are apart."""
    weights = _weights_of(place)
    if (aside / weights.name).exists():
        (aside / weights.name).replace(weights)
    else:  # those of what was here before
        weights.unlink(missing_ok=True)
    (aside / place.name).replace(place)


def _card_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.json")


def _weights_of(file: Path) -> Path:
    """Where an ONNX file's weights are, if they are too large for it: the format ends at 2 GB."""
    return file.with_name(f"{file.name}.data")


def _place(out: Path, kind: ExportFormat) -> Path:
    if out.is_dir() or out.suffix != kind.suffix:
        name = out / "model" if out.is_dir() else out.with_suffix("")
        raise UsageError(
            f"{printable(out)} is no name for a file of {kind.name}", f"-o {name}{kind.suffix}"
        )
    for path in (out, _weights_of(out)):
        if path.exists() and not _card_of(out).exists():  # the student's own weights, say
            raise UsageError(
                f"{printable(path)} is there already, and was not exported",
                "give the file another name",
            )
    if not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {printable(out.parent)}", f"mkdir -p {out.parent}")
    return out


def _program(
    model: Model,
    form: Form,
    task: str | None,
    teacher: str | None,
    labels: Sequence[str] | None,
    size: Size | None,
) -> tuple[Program, dict[str, Any]]:
    """What is exported, and its card."""
    if form.dynamic and size:
        raise UsageError("a canvas has a size, or any size", "--dynamic, or --height and --width")
    if form.dynamic and isinstance(model, StudentModel):
        raise UsageError(
            f"{printable(model.name)} is a student: its base's canvas is rounded from the one that"
            " is given, which no graph does for canvases of every size",
            "one size: leave out --dynamic, or give --height and --width",
        )
    if task is None:
        if labels:
            raise UsageError("features take no labels", "--task zero-shot")
        program, solved = features_program(model, size, form.dynamic), None
    else:
        record = find_task(task)
        if not form.kind.tasks:
            raise UsageError(f"{form.kind.name} holds an encoder and no task", "leave out --task")
        check_names(labels or ())
        prompt = {"labels": list(labels)} if labels else {}
        if bool(labels) != ("labels" in (record.prompt.flags if record.prompt else ())):
            raise UsageError(
                f"{task} needs class names" if not labels else f"{task} takes no labels",
                '--labels "a cat,a dog"' if not labels else "leave out --labels",
            )
        spec = choose(model.specs, task, teacher)
        program = task_program(model, spec.name, record, prompt, size, form.dynamic)
        solved = spec, task
    # Where a student lies on one's own disk is nobody's business.
    name = public_name(model.name) if isinstance(model, StudentModel) else model.name
    card = make_card(name, model.specs, inherited(model.origins), solved, labels)
    card |= {
        "input": preprocessing(program.contract, program.size, form.dynamic),
        "outputs": program.shapes(),
    }
    example = program.example(torch.empty(1, 3, *program.size))
    card |= {"prompt": {name: [*"BPN", *x.shape[3:]] for name, x in example.items()} or None}
    return program, card | dict(program.facts)


def _pixels(images: Sequence[str | Path] | None) -> list[torch.Tensor]:
    if images is None:
        return check_images()
    found = find_named(images)
    if len(found.names) < FEWEST:
        count = len(found.names)
        raise UsageError(f"{count} images are too few to check with", f"give {FEWEST} or more")
    chosen = spread(len(found.names), MOST)
    pixels = [to_tensor(open_at(found.path(found.names[index]))) for index in chosen]
    different = len({sha256(image.numpy().tobytes()).digest() for image in pixels})
    if different < FEWEST:  # of copies, an export that does not look would say the same, rightly
        raise UsageError(
            f"{different} different images are too few to check with", f"give {FEWEST} that differ"
        )
    return pixels


def _remove(folder: Path) -> None:
    for path in folder.iterdir():
        path.unlink()
    folder.rmdir()
