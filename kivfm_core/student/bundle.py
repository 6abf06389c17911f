"""The bundle: a folder with a student and all decoders, as safetensors and JSON, not pickle."""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file
from torch import Tensor

from kivfm_core.composition.composition import Composition, stored_composition
from kivfm_core.errors import PluginError, UsageError, printable
from kivfm_core.files import new_folder
from kivfm_core.licenses.terms import inherited
from kivfm_core.registry.registry import get_registry
from kivfm_core.registry.requirements import pip_install, stored_requirements, unmet
from kivfm_core.registry.students import original_teachers
from kivfm_core.run_files import (
    BUNDLE,
    CONFIG,
    DECODERS,
    STUDENT_CARD,
    STUDENT_STATE,
    read_record,
    slug,
)
from kivfm_core.student.card import MODEL_CARD, TrainedOn, model_card
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders
from kivfm_core.weights.building import building
from kivfm_core.weights.loading import load_strict, read_own_state
from kivfm_core.weights.tokenizer import keep_tokenizers, with_kept


def save_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Writes tensors. Each is copied, since safetensors refuses tensors that share memory."""
    # The umask decides who may read the file; safetensors itself would let nobody else.
    path.touch()
    mode = path.stat().st_mode
    save_file({k: v.detach().cpu().contiguous().clone() for k, v in tensors.items()}, path)
    path.chmod(mode)


def write_bundle(
    student: Student, folder: Path, run: Path | None = None, data: TrainedOn | None = None
) -> None:
    """Writes a bundle to a temporary folder and renames that.

    Args:
        student: The student, with its decoders.
        folder: `RUN/student`; replaced if it exists.
        run: The run folder that the model card names, if `folder` will be moved there later.
        data: The images that it was distilled on, if they are known.
    """
    with new_folder(folder) as aside:
        (aside / DECODERS).mkdir()
        plan = student.composition
        save_tensors(student.state_dict(), aside / STUDENT_STATE)
        for name, decoders in student.decoders.items():
            save_tensors(decoders.state_dict(), aside / DECODERS / f"{slug(name)}.safetensors")
            keep_tokenizers(decoders.spec, aside / DECODERS / slug(name))
        card = {
            "schema": 1,
            "kivfm": version("kivfm"),
            **list_packages(plan),
            **({"data": data.model_dump()} if data else {}),
            "composition": plan.model_dump(mode="json"),
        }
        (aside / STUDENT_CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")
        (aside / "LICENSES.md").write_text(inherited(plan.origins).as_markdown(), encoding="utf-8")
        text = model_card(plan, card, {}, str(run or folder.parent))
        (aside / MODEL_CARD).write_text(text, encoding="utf-8")


def read_bundle(folder: Path) -> Student:
    """Loads a student with its decoders, in evaluation mode.

    Raises:
        UsageError: If the folder holds no bundle.
        PluginError: If the plugin of a teacher, or what it requires, is missing.
        WeightsError: If a file is damaged or does not fit.
    """
    file = folder / STUDENT_CARD
    if not file.is_file():
        raise UsageError(
            f"{folder.parent} holds no student", f"kivfm distill --resume {folder.parent}"
        )
    card = read_record(file)
    _check_installed(card, file)
    plan = stored_composition(card.get("composition"), file)
    path = folder / STUDENT_STATE
    state = read_own_state(path)
    with building(file, path):
        student = Student(plan)
    load_strict(student, state, "the student")
    for spec in plan.teachers:
        path = folder / DECODERS / f"{slug(spec.name)}.safetensors"
        state = read_own_state(path)
        with building(file, path):
            decoders = Decoders(with_kept(spec, folder / DECODERS / slug(spec.name)))
        load_strict(decoders, state, f"{spec.name}'s decoders")
        student.decoders[spec.name] = decoders.requires_grad_(False).eval()
    return student.eval()


def load_student(run: str | Path) -> Student:
    """Loads the student of a run folder, with the decoders of all its teachers.

    Raises:
        UsageError: If the folder holds no student.
        PluginError: If a teacher's plugin is missing.
    """
    return read_bundle(Path(run) / BUNDLE)


def load_trained(student: Student, checkpoint: Path) -> None:
    """Loads the trained part of a checkpoint into a student.

    Raises:
        UsageError: If the checkpoint does not fit the student.
    """
    state, own = read_own_state(checkpoint / STUDENT_STATE), student.state_dict()
    if not student.trained().keys() <= state.keys() <= own.keys():
        run = checkpoint.parents[1]
        raise UsageError(
            f"{checkpoint} is another student's checkpoint",
            f"kivfm distill --config {run / CONFIG} --out {run}-2",
        )
    load_strict(student, own | state, str(checkpoint))


def list_packages(plan: Composition) -> dict[str, Any]:
    """The `distributions` of encoders and decoders, with versions, and their `requirements`."""
    specs = (*original_teachers(plan.teachers), plan.trunk)
    entries = [entry for spec in specs if (entry := get_registry().origin(spec))]
    libraries = {entry.provider.distribution for entry in entries if entry.provider}
    required = {text for spec in specs for text in spec.requirements}
    return {
        "distributions": {entry.distribution: entry.version for entry in entries},
        "requirements": sorted(libraries | required),
    }


def _check_installed(card: Mapping[str, Any], file: Path) -> None:
    """Refuses a student whose plugins, or what they require, are missing here."""
    try:
        named = [card.get("distributions", {}), card.get("requirements", [])]
        needed = [text for values in named for text in stored_requirements(values)]
    except ValueError as error:
        raise UsageError(f"{printable(file)} is damaged: {printable(str(error))}") from error
    missing = unmet(needed)
    if missing:
        raise PluginError(
            f"the student needs {', '.join(missing)}, not installed here", pip_install(missing)
        )
