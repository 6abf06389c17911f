"""`timm/<model[.tag]>`: every backbone of timm with pre-trained weights."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import References, TeacherProvider, TeacherSpec
from kivfm_teachers.timm.families import families


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider | TeacherSpec]:
    """The provider of timm's models, and its families of short names."""
    return [
        *families(),
        TeacherProvider(
            prefix="timm/",
            resolve="kivfm_teachers.timm.resolve:resolve",
            distribution="timm",
            summary="any timm backbone: timm/<model[.tag]>",
            references=References(
                encoder=("kivfm_teachers.timm.model:TimmEncoder",),
                decoder=("kivfm_teachers.classifier.model:linear",),
                split=("kivfm_teachers.timm.model:split",),
                fetch=("kivfm_teachers.fetch:from_url",),
            ),
        ),
    ]
