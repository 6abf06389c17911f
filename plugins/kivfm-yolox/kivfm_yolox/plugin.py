"""Registers the YOLOX detectors: data only, torch-free.

Sizes, input and thresholds are those of the upstream evaluation:
https://github.com/Megvii-BaseDetection/YOLOX, `exps/default` and `yolox/exp/yolox_base.py`.
"""

from __future__ import annotations

from typing import NamedTuple

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_yolox.coco import COCO_80


class Size(NamedTuple):
    """What differs between the sizes of YOLOX; `parameters` are the encoder's."""

    depth: float
    width: float
    depthwise: bool
    canvas: int
    parameters: int


SIZES = {
    "nano": Size(0.33, 0.25, True, 416, 801_424),
    "tiny": Size(0.33, 0.375, False, 416, 3_961_176),
    "s": Size(0.33, 0.50, False, 640, 7_037_728),
    "m": Size(0.67, 0.75, False, 640, 21_013_392),
    "l": Size(1.00, 1.00, False, 640, 46_568_256),
    "x": Size(1.33, 1.25, False, 640, 87_158_320),
}
LEVELS = ("p3", "p4", "p5")


def spec(name: str, size: Size) -> TeacherSpec:
    """The spec of one detector."""
    levels = tuple(
        Level(name=level, kind="dense", channels=int(channels * size.width), stride=stride)
        for level, channels, stride in zip(LEVELS, (256, 512, 1024), (8, 16, 32), strict=True)
    )
    return TeacherSpec(
        name=f"yolox/{name}",
        aliases=("yolox",) if name == "nano" else (),
        summary=f"YOLOX-{name}: anchor-free detector, COCO's 80 classes",
        encoder="kivfm_yolox.model:build_encoder",
        config={
            "depth": size.depth,
            "width": size.width,
            "depthwise": size.depthwise,
            "confidence": 0.001,
            "nms": 0.65,
        },
        levels=levels,
        input=InputContract(
            policy="letterbox",
            size=size.canvas,
            train_sizes=(size.canvas, 320),
            multiple=32,
            pad_value=(114 / 255,) * 3,
            antialias=False,
            channel_order="BGR",
            scale=255.0,
        ),
        tasks=(
            TaskSpec(
                task="detection",
                levels=LEVELS,
                decoder="kivfm_yolox.head:build_head",
                part="head",
                labels=COCO_80,
            ),
        ),
        weights=Weights(
            source=f"torch:yolox_{name}.pth",
            split="kivfm_yolox.checkpoint:split",
            fetch="kivfm_yolox.checkpoint:fetch",
            license="Apache-2.0",
            commercial_use="yes",
        ),
        code_license="Apache-2.0",
        parameters=size.parameters,
        paper="YOLOX: Exceeding YOLO Series in 2021, arXiv:2107.08430",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """Six sizes of one architecture."""
    return [spec(name, size) for name, size in SIZES.items()]
