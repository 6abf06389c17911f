"""`torchvision/<model>`: classifiers, segmentation models and detectors of torchvision."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import References, TeacherProvider

HERE = "kivfm_teachers.torchvision"


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider]:
    """The provider of torchvision's models."""
    return [
        TeacherProvider(
            prefix="torchvision/",
            resolve="kivfm_teachers.torchvision.resolve:resolve",
            distribution="torchvision",
            summary="any torchvision classifier, segmentation model or detector",
            references=References(
                encoder=(f"{HERE}.model:Backbone", f"{HERE}.classification.model:Trunk"),
                decoder=(
                    f"{HERE}.detection.model:Detector",
                    f"{HERE}.segmentation.model:Segmenter",
                    f"{HERE}.classification.model:ConvClassifier",
                    "kivfm_teachers.classifier.model:linear",
                ),
                split=(f"{HERE}.model:split", f"{HERE}.classification.model:split"),
                fetch=("kivfm_teachers.fetch:from_url",),
            ),
        )
    ]
