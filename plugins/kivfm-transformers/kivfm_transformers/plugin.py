"""`transformers/<id or folder>`: the vision models of Hugging Face transformers."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import TeacherProvider
from kivfm_core.task import TaskRecord
from kivfm_transformers.depth.task import DEPTH


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider]:
    """The provider of transformers' models."""
    return [
        TeacherProvider(
            prefix="transformers/",
            resolve="kivfm_transformers.resolve:resolve",
            distribution="transformers",
            cached=False,
            summary="CLIP, DINO, SAM, DETR, Depth Anything, ...: transformers/<hub id or folder>",
        )
    ]


@hookimpl
def kivfm_register_tasks() -> list[TaskRecord]:
    """The tasks that kivfm itself does not have."""
    return [DEPTH]
