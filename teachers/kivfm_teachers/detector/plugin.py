"""`detector`: torchvision's Mask R-CNN, for boxes and instance masks.

Papers: He et al., Mask R-CNN, https://arxiv.org/abs/1703.06870; Li et al., Benchmarking Detection
Transfer Learning with Vision Transformers (v2), https://arxiv.org/abs/2111.11429.
"""

from __future__ import annotations

from typing import Any

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_teachers.torchvision.describe import MEAN, STD, detector

URL = "https://download.pytorch.org/models/maskrcnn_resnet50_fpn"
KEYS = {"p2": "0", "p3": "1", "p4": "2", "p5": "3"}


def _spec(name: str, model: str, **fields: Any) -> TeacherSpec:
    strides = (4, 8, 16, 32)
    return detector(
        name,
        model,
        keys=KEYS,
        pool=True,
        masks=True,
        levels=tuple(
            Level(name=key, kind="dense", channels=256, stride=stride, rounding="ceil")
            for key, stride in zip(KEYS, strides, strict=True)
        ),
        input=InputContract(
            policy="short-side",
            size=800,
            max_size=1333,
            multiple=32,
            pad_value=MEAN,  # zero after normalization
            antialias=False,
            mean=MEAN,
            std=STD,
        ),
        paper="https://arxiv.org/abs/1703.06870",
        **fields,
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The Mask R-CNN teachers; `detector` is the first."""
    return [
        _spec(
            "detector/maskrcnn-r50",
            "maskrcnn_resnet50_fpn",
            frozen_norm_eps=0.0,
            url=f"{URL}_coco-bf2d0c1e.pth",
            mebibytes=169.84,
            parameters=26_799_296,
            aliases=("detector",),
            summary="Mask R-CNN, ResNet-50-FPN, COCO",
        ),
        _spec(
            "detector/maskrcnn-r50-v2",
            "maskrcnn_resnet50_fpn_v2",
            url=f"{URL}_v2_coco-73cbd019.pth",
            mebibytes=177.219,
            parameters=26_854_464,
            summary="Mask R-CNN, ResNet-50-FPN, improved recipe, COCO",
        ),
    ]
