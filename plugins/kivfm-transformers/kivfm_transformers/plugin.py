"""`transformers/<id or folder>`: the vision models of Hugging Face transformers."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import References, TeacherProvider
from kivfm_transformers.families import FAMILIES

HERE = "kivfm_transformers"


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider]:
    """The provider of transformers' models."""
    families = FAMILIES.values()
    return [
        TeacherProvider(
            prefix="transformers/",
            resolve="kivfm_transformers.resolve:resolve",
            distribution="transformers",
            cached=False,
            summary="CLIP, DINO, SAM, DETR, Depth Anything, ...: transformers/<hub id or folder>",
            references=References(
                encoder=tuple(f"{HERE}.{family.module}:Encoder" for family in families),
                decoder=tuple(
                    f"{HERE}.{family.module}:{decoder}"
                    for family in families
                    for _, decoder in family.decoders
                ),
                split=(f"{HERE}.model:split",),
                original=tuple(
                    f"{HERE}.{family.module}:{family.original}"
                    for family in families
                    if family.original
                ),
            ),
        )
    ]
