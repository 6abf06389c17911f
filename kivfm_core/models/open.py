"""Opens a model by what a user calls it."""

from __future__ import annotations

from pathlib import Path

from kivfm_core.composition.composition import stored_composition
from kivfm_core.errors import UsageError, printable
from kivfm_core.models.from_hub import fetch_student, may_be_on_hub
from kivfm_core.models.model import Model
from kivfm_core.models.student_model import RunModel, StudentModel
from kivfm_core.models.teacher_model import TeacherModel
from kivfm_core.registry.registry import get_registry
from kivfm_core.run_files import STUDENT_CARD, RunFiles, list_runs, read_record
from kivfm_core.runs.run import Run, open_run
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.on_device import find_device


def open_model(
    name: str | Path | Run | Model, accelerator: str = "auto", weights: str | Path | None = None
) -> Model:
    """Opens a model; its weights are loaded when they are first used.

    Args:
        name: A run's folder, a bundle's (a run's `student/`, wherever it was copied), a
            teacher's name, or `ORG/NAME[@REVISION]` of a student on the hub. What is both a folder
            and a teacher is the teacher; `./NAME` is the folder. An open run or model is taken,
            too.
        accelerator: Where encoders compute, as in `engine.accelerator`.
        weights: A file for a teacher's weights, in place of its own source; also as `NAME=FILE`,
            in which a distillation takes it.

    Raises:
        UsageError: If it is no model, or weights are given for a student.
        WeightsError: If the hub refuses it.
        PluginError: If its plugin is missing or broken.
    """
    if isinstance(name, Model):
        return name
    device = find_device(accelerator)
    if not isinstance(name, str | Path):
        return RunModel(str(name.path), name, device)
    folder = find_folder(name)
    if folder is None:
        spec = get_registry().resolve(str(name))
        return TeacherModel(str(name), spec, device, _weights_file(weights, str(name), spec))
    if weights is not None:
        raise UsageError(
            f"{printable(folder)} is a student: it has its weights", "leave out --weights"
        )
    if (card := folder / STUDENT_CARD).is_file():
        plan = stored_composition(read_record(card).get("composition"), card)
        return StudentModel(str(folder), folder, plan, device)
    return RunModel(str(folder), open_run(folder), device)


def _weights_file(given: str | Path | None, name: str, spec: TeacherSpec) -> Path | None:
    """The file that is given for a teacher, as `FILE` or as `NAME=FILE`."""
    whose, _, file = str(given or "").partition("=")
    if file and whose in (name, spec.name, *spec.aliases):
        return Path(file)
    return Path(given) if given else None


def find_folder(name: str | Path) -> Path | None:
    """The folder of a run or bundle that is meant by a name; None for a teacher's name.

    A student on the hub is fetched, if the name can be nothing else.

    Raises:
        UsageError: If it can only be a folder, and is no run and no bundle.
    """
    folder = Path(name).expanduser()
    is_model = RunFiles(folder).is_run or (folder / STUDENT_CARD).is_file()
    as_path = isinstance(name, Path) or str(name).startswith((".", "/", "~"))
    if not as_path and get_registry().knows(str(name)):
        return None
    if is_model:
        return folder
    if as_path or folder.exists():
        runs = [str(run.path) for run in list_runs(folder.parent)]
        hint = f"one of: {', '.join(runs)}" if runs else "kivfm distill --out RUN makes a run"
        raise UsageError(f"{printable(folder)} is no run folder and no bundle", hint)
    if may_be_on_hub(str(name)):
        return fetch_student(str(name))
    if "/" in str(name):
        raise UsageError(
            f"{printable(name)} is no run folder, no bundle, and no teacher", "kivfm teachers list"
        )
    return None
