"""kivfm: one vision foundation model out of the many pre-trained ones that already exist.

Importing this package is light; each function below is imported from its module at first use.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kivfm_core.distillation.engine import distill
    from kivfm_core.embedding.embed import embed
    from kivfm_core.embedding.nearest import nearest
    from kivfm_core.evaluation.evaluate import evaluate
    from kivfm_core.exports.export import export
    from kivfm_core.loaded.load import load
    from kivfm_core.planner.preview import compose
    from kivfm_core.prediction.all_tasks import predict_all
    from kivfm_core.prediction.folder import predict_folder
    from kivfm_core.prediction.predict import predict
    from kivfm_core.probing.probe import probe
    from kivfm_core.registry.registry import list_teachers
    from kivfm_core.sharing.push import push
    from kivfm_core.student.bundle import load_student
    from kivfm_core.teacher import load_teacher

__version__ = "0.1.0"
__all__ = [
    "compose",
    "distill",
    "embed",
    "evaluate",
    "export",
    "list_teachers",
    "load",
    "load_student",
    "load_teacher",
    "nearest",
    "predict",
    "predict_all",
    "predict_folder",
    "probe",
    "push",
]

# No function shares its name with a module or folder here: importing that would hide the function.
_HOME = {
    "compose": "kivfm_core.planner.preview",
    "distill": "kivfm_core.distillation.engine",
    "embed": "kivfm_core.embedding.embed",
    "evaluate": "kivfm_core.evaluation.evaluate",
    "export": "kivfm_core.exports.export",
    "list_teachers": "kivfm_core.registry.registry",
    "load": "kivfm_core.loaded.load",
    "load_student": "kivfm_core.student.bundle",
    "load_teacher": "kivfm_core.teacher",
    "nearest": "kivfm_core.embedding.nearest",
    "predict": "kivfm_core.prediction.predict",
    "predict_all": "kivfm_core.prediction.all_tasks",
    "predict_folder": "kivfm_core.prediction.folder",
    "probe": "kivfm_core.probing.probe",
    "push": "kivfm_core.sharing.push",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
