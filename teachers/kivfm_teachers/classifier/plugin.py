"""`classifier`: supervised ImageNet models of timm, with their own head.

Papers: Liu et al., A ConvNet for the 2020s, https://arxiv.org/abs/2201.03545; Steiner et al., How
to train your ViT?, https://arxiv.org/abs/2106.10270.
"""

from __future__ import annotations

from typing import Any

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_teachers.timm.describe import describe, vit_attachments

CONVNEXT_INPUT = InputContract(
    policy="short-side-crop",
    size=224,
    resize=256,
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
VIT_INPUT = InputContract(
    policy="short-side-crop",
    size=224,
    resize=248,
    multiple=16,
    interpolation="bicubic",
    mean=(0.5, 0.5, 0.5),
    std=(0.5, 0.5, 0.5),
)


def _levels(channels: int, stride: int) -> tuple[Level, ...]:
    return (
        Level(name="global", kind="global", channels=channels),
        Level(name="dense", kind="dense", channels=channels, stride=stride),
    )


def _spec(name: str, model: str, channels: int, parameters: int, **fields: Any) -> TeacherSpec:
    head = 1000 * (channels + 1)
    return describe(
        name,
        model,
        parameters=parameters,
        classes=1000,
        weights={"bytes": 4 * (parameters + head)},  # float32; the header aside
        **fields,
    )


def _convnext(size: str, channels: int, parameters: int) -> TeacherSpec:
    return _spec(
        f"classifier/convnext-{size}",
        f"convnext_{size}.fb_in22k_ft_in1k",
        channels,
        parameters,
        levels=_levels(channels, 32),
        input=CONVNEXT_INPUT,
        classifier="head.fc",
        aliases=("classifier",) if size == "base" else (),
        summary=f"ConvNeXt-{size}, ImageNet-22k then -1k",
        paper="https://arxiv.org/abs/2201.03545",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The supervised classifiers; `classifier` is the first."""
    return [
        _convnext("base", 1024, 87_566_464),
        _convnext("tiny", 768, 27_820_128),
        _spec(
            "classifier/vit-b-16",
            "vit_base_patch16_224.augreg2_in21k_ft_in1k",
            768,
            85_798_656,
            levels=_levels(768, 16),
            input=VIT_INPUT,
            kwargs={"dynamic_img_size": True},
            attachments=vit_attachments(12, 768, stride=16, prefix_tokens=1),
            summary="ViT-B/16, ImageNet-21k then -1k",
            paper="https://arxiv.org/abs/2106.10270",
        ),
    ]
