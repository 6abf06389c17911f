"""What an export says of itself, so that one can use it without asking. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version
from pathlib import Path
from typing import Any

from kivfm_core.data.label_spaces import label_names
from kivfm_core.geometry import Size
from kivfm_core.licenses.terms import Terms
from kivfm_core.run_files import BUNDLE
from kivfm_core.spec import InputContract, TeacherSpec

# The key of the card in a file's own metadata.
KEY = "kivfm"


def preprocessing(contract: InputContract, size: Size, dynamic: bool = False) -> dict[str, Any]:
    """How an image becomes the canvas that an export takes."""
    fields = {"policy", "size", "resize", "multiple", "pad_value", "interpolation", "antialias"}
    kept = contract.model_dump(mode="json", include=fields)
    return {
        "height": size[0],
        "width": size[1],
        "dynamic": dynamic,
        **kept,
        "range": "RGB, 0 to 1, [B, 3, height, width]",
        "normalization": {"inside": True, "mean": contract.mean, "std": contract.std},
    }


def public_name(name: str) -> str:
    """What a model is called elsewhere: a folder by its own name, a run's bundle by the run's."""
    path = Path(name)
    if not path.is_dir():
        return name
    path = path.absolute()
    return path.parent.name if path.name == BUNDLE else path.name


def make_card(
    name: str,
    specs: Iterable[TeacherSpec],
    terms: Terms,
    solved: tuple[TeacherSpec, str] | None,
    labels: Iterable[str] | None = None,
) -> dict[str, Any]:
    """Teachers, terms and classes of an export.

    Args:
        name: What the model is called.
        specs: The teachers.
        terms: The terms that it has.
        solved: The teacher whose task is exported, and the task; None for features.
        labels: The classes that a prompt brought.
    """
    card: dict[str, Any] = {
        "schema": 1,
        "kivfm": version("kivfm"),
        "model": name,
        "teachers": [spec.name for spec in specs],
        "licenses": terms.as_dict(),
        "task": None,
    }
    if solved is not None:
        spec, task = solved
        names = labels or label_names(spec.task(task).labels)
        card |= {"task": task, "teacher": spec.name, "labels": list(names) if names else None}
    return card
