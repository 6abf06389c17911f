"""Checks of the spec: it is valid, its references lead to code, its numbers are right."""

from __future__ import annotations

from kivfm_core.errors import KivfmError, one_line
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.registry.requirements import pip_install, unmet
from kivfm_core.spec import TeacherSpec
from kivfm_core.task import LabelFormat, TaskRecord
from kivfm_core.teacher import LoadedTeacher
from kivfm_core.testing.outcome import Finding
from kivfm_core.testing.subject import Subject
from kivfm_core.weights.locate import locate


def schema(subject: Subject) -> None:
    """The spec is valid, its requirements are installed, and JSON keeps it unchanged."""
    spec = subject.spec
    try:
        stored = TeacherSpec.model_validate_json(spec.model_dump_json())
    except Exception as error:
        raise Finding(
            f"the spec is not valid: {one_line(error)}",
            "correct the field; docs/reference/spec.md has them all",
        ) from error
    if stored != spec:
        changed = [name for name, value in spec if getattr(stored, name) != value]
        raise Finding(
            f"{', '.join(changed)} changes when it is written as JSON and read again",
            "use lists, dicts, strings, numbers and booleans in config",
        )
    missing = unmet(spec.requirements)
    if missing:
        raise Finding(f"needs {', '.join(missing)}", pip_install(missing))


def references(subject: Subject) -> None:
    """Every reference names something that can be called, and every task is known."""
    spec = subject.spec
    optional = [spec.original, spec.weights.fetch]
    wanted = [spec.encoder, spec.weights.split, *(task.decoder for task in spec.tasks)]
    try:
        wanted += [name for task in spec.tasks for name in _references(find_task(task.task))]
    except KivfmError as error:
        raise Finding(error.message, error.hint) from error
    for reference in (*wanted, *filter(None, optional)):
        try:
            found = resolve_reference(reference)
        except KivfmError as error:
            fix = error.hint or f"repair the module, or the reference {reference!r}"
            raise Finding(error.message, fix) from error
        if not callable(found):
            raise Finding(f"{reference} cannot be called", "name a function or a class")


def _references(task: TaskRecord) -> list[str]:
    """The references of a task's record."""
    formats = [kind.read for kind in task.formats if isinstance(kind, LabelFormat)]
    optional = [task.check, task.prompt.build if task.prompt else None]
    return [task.prediction, task.meter, task.draw, *formats, *filter(None, optional)]


def packaged(subject: Subject) -> None:
    """Weights and tokenizers that the spec says are in a package are there."""
    spec = subject.spec
    sources = [spec.weights.source, *(task.tokenizer for task in spec.tasks if task.tokenizer)]
    for source in sources:
        if source.startswith("package:") and locate(source) is None:
            package, _, path = source.removeprefix("package:").partition("/")
            raise Finding(
                f"{source} is not in the installed package",
                f"put {path} into the folder {package}, and see that the wheel has it: "
                f"unzip -l dist/*.whl",
            )


def builds(subject: Subject) -> None:
    """Encoder and decoders can be built."""
    try:
        LoadedTeacher(subject.spec)
    except KivfmError as error:
        raise Finding(error.message, error.hint) from error
    except Exception as error:
        raise Finding(
            f"building it raises {one_line(error)}",
            "builders take the spec and return a torch.nn.Module",
        ) from error


def weights_fit(subject: Subject) -> None:
    """The weights file has every tensor of encoder and decoders, and no other."""
    file = subject.file
    try:
        subject.build()
    except KivfmError as error:
        raise Finding(error.message, error.hint) from error
    except Exception as error:
        raise Finding(
            f"loading {file} raises {one_line(error)}",
            "split(spec, state) returns a state for 'encoder' and for every part",
        ) from error


def parameters(subject: Subject) -> None:
    """The encoder has as many parameters as the spec says."""
    counted = sum(p.numel() for p in subject.teacher.encoder.parameters())
    if counted != subject.spec.parameters:
        raise Finding(
            f"the encoder has {counted} parameters, the spec says {subject.spec.parameters}",
            f"parameters={counted}",
        )
