"""`transformers/<id or folder>`: the vision models of Hugging Face transformers."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import TeacherProvider


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider]:
    """The provider of transformers' models."""
    return [
        TeacherProvider(
            prefix="transformers/",
            resolve="kivfm_transformers.resolve:resolve",
            distribution="transformers",
            cached=False,
            summary="CLIP, DINO, SAM, DETR, SegFormer, ...: transformers/<hub id or folder>",
        )
    ]
