"""kivfm: one vision foundation model out of the many pre-trained ones that already exist.

Importing this package is light; each name below is imported from its module when first used.
"""

import sys
from importlib import import_module
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kivfm_core.compose import compose
    from kivfm_core.distill import distill
    from kivfm_core.evaluate import evaluate
    from kivfm_core.registry import list_teachers
    from kivfm_core.student import load_student
    from kivfm_core.teacher import load_teacher

__version__ = "0.1.0"
__all__ = ["compose", "distill", "evaluate", "list_teachers", "load_student", "load_teacher"]

_HOME = {
    "compose": "kivfm_core.compose",
    "distill": "kivfm_core.distill",
    "evaluate": "kivfm_core.evaluate",
    "list_teachers": "kivfm_core.registry",
    "load_student": "kivfm_core.student",
    "load_teacher": "kivfm_core.teacher",
}


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module 'kivfm_core' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


class _CallableModule(ModuleType):
    """A module that is called as the function of its own name."""

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return getattr(self, self.__name__.rpartition(".")[2])(*args, **kwargs)


class _Package(ModuleType):
    """Keeps `kivfm_core.distill(...)` working once the import system binds the module there."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _HOME and isinstance(value, ModuleType):
            value.__class__ = _CallableModule
        super().__setattr__(name, value)


sys.modules[__name__].__class__ = _Package
