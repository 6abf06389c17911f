"""The bundle: a student in a folder, with every decoder, as safetensors and JSON; no pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, packages_distributions, version
from pathlib import Path

from safetensors.torch import load_file, save_file
from torch import Tensor

from kivfm_core.composition import Composition
from kivfm_core.errors import PluginError, UsageError
from kivfm_core.files import make_aside, put_in_place
from kivfm_core.licenses import inherited
from kivfm_core.student import Student
from kivfm_core.teacher import Decoders
from kivfm_core.weights import load_strict, read_state

UNTRAINED = "step-000000"
CARD = """# A kivfm student

Distilled from {teachers}. Base: {base}.

{trainable:,} trained parameters of {total:,}. License terms: see LICENSES.md.

```python
from kivfm_core import load_student

student = load_student("{run}")
detector = student.stand_in("{example}")
```
"""


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes tensors; each on its own, since a view would be written with its whole storage."""
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, path)


def slug(teacher: str) -> str:
    """A teacher's name as a file name."""
    return teacher.replace("/", "--")


def write_bundle(student: Student, folder: Path) -> None:
    """Writes a bundle aside and renames it into place.

    Args:
        student: With its decoders.
        folder: `RUN/student`; replaced if it exists.
    """
    aside = make_aside(folder)
    (aside / "decoders").mkdir()
    plan = student.composition
    save_tensors(student.state_dict(), aside / "student.safetensors")
    for name, decoders in student.decoders.items():
        save_tensors(decoders.state_dict(), aside / "decoders" / f"{slug(name)}.safetensors")
    card = {
        "schema": 1,
        "kivfm": version("kivfm"),
        "distributions": _distributions(plan),
        "composition": plan.model_dump(mode="json"),
    }
    (aside / "student.json").write_text(json.dumps(card, indent=1), encoding="utf-8")
    (aside / "LICENSES.md").write_text(inherited(plan.teachers).as_markdown(), encoding="utf-8")
    text = CARD.format(
        teachers=", ".join(spec.name for spec in plan.teachers),
        base=plan.base or "none",
        trainable=plan.trainable,
        total=plan.total,
        run=folder.parent,
        example=plan.teachers[-1].name,
    )
    (aside / "README.md").write_text(text, encoding="utf-8")
    put_in_place(aside, folder)


def read_bundle(folder: Path) -> Student:
    """Loads a student with its decoders, in evaluation mode.

    Raises:
        UsageError: If the folder holds no bundle.
        PluginError: If the plugin of a teacher is missing.
        WeightsError: If a file is damaged or does not fit.
    """
    file = folder / "student.json"
    if not file.is_file():
        raise UsageError(
            f"{folder.parent} holds no student", f"kivfm distill --resume {folder.parent}"
        )
    card = json.loads(file.read_text(encoding="utf-8"))
    _check_installed(card.get("distributions", {}))
    plan = Composition.model_validate(card["composition"])
    student = Student(plan)
    load_strict(student, read_state(folder / "student.safetensors"), "the student")
    for spec in plan.teachers:
        decoders = Decoders(spec)
        path = folder / "decoders" / f"{slug(spec.name)}.safetensors"
        load_strict(decoders, read_state(path), f"{spec.name}'s decoders")
        student.decoders[spec.name] = decoders.requires_grad_(False).eval()
    return student.eval()


def load_trained(student: Student, checkpoint: Path) -> None:
    """Loads a checkpoint's trained part into a student."""
    state = load_file(checkpoint / "student.safetensors")
    left = student.load_state_dict(state, strict=False)
    missing = set(left.missing_keys) & student.trained().keys()
    if left.unexpected_keys or missing:
        raise UsageError(f"{checkpoint} is another student's checkpoint")


def _distributions(plan: Composition) -> dict[str, str]:
    """The distributions, and their versions, that the decoders and the base come from."""
    modules = {spec.encoder.split(".")[0].split(":")[0] for spec in plan.teachers}
    providers = packages_distributions()
    names = {name for module in modules for name in providers.get(module, [])}
    return {name: version(name) for name in sorted(names)}


def _check_installed(distributions: Mapping[str, str]) -> None:
    for name, wanted in distributions.items():
        try:
            version(name)
        except PackageNotFoundError as error:
            raise PluginError(
                f"the student needs {name} ({wanted} made it), which is not installed",
                f"pip install {name}",
            ) from error
