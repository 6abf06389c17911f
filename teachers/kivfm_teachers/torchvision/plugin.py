"""`torchvision/<model>`: classifiers, segmentation models and detectors of torchvision."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import TeacherProvider


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider]:
    """The provider of torchvision's models."""
    return [
        TeacherProvider(
            prefix="torchvision/",
            resolve="kivfm_teachers.torchvision.resolve:resolve",
            distribution="torchvision",
            summary="any torchvision classifier, segmentation model or detector",
        )
    ]
