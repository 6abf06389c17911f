"""`open_clip/<model>/<tag>`: every contrastive model of open_clip with pre-trained weights."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import References, TeacherProvider, TeacherSpec
from kivfm_teachers.open_clip.families import families


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider | TeacherSpec]:
    """The provider of open_clip's models, and its families of short names."""
    return [
        *families(),
        TeacherProvider(
            prefix="open_clip/",
            resolve="kivfm_teachers.open_clip.resolve:resolve",
            distribution="open_clip_torch",
            summary="any open_clip model: open_clip/<model>/<tag>",
            references=References(
                encoder=("kivfm_teachers.open_clip.model:VisualTower",),
                decoder=("kivfm_teachers.open_clip.model:TextTower",),
                split=("kivfm_teachers.open_clip.model:split",),
                fetch=("kivfm_teachers.fetch:from_url",),
            ),
        ),
    ]
