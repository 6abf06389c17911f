"""Registers the YOLOv8 detectors and instance segmenters: data only, torch-free.

Sizes are those of the published description, https://arxiv.org/abs/2408.15857; input and thresholds
are those that upstream's published figures are measured with, https://docs.ultralytics.com.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights


class Size(NamedTuple):
    """What differs between the sizes of YOLOv8.

    Attributes:
        widths: Channels at strides 2, 4, 8, 16 and 32.
        depth: Bottlenecks of the shortest stages.
        hidden: Channels on the way to the prototypes of masks.
        parameters: The encoder's.
    """

    widths: tuple[int, int, int, int, int]
    depth: int
    hidden: int
    parameters: int


SIZES = {
    "n": Size((16, 32, 64, 128, 256), 1, 64, 2_255_104),
    "s": Size((32, 64, 128, 256, 512), 1, 128, 9_010_688),
    "m": Size((48, 96, 192, 384, 576), 2, 192, 22_065_600),
    "l": Size((64, 128, 256, 512, 512), 3, 256, 38_025_728),
    "x": Size((80, 160, 320, 640, 640), 3, 320, 59_408_000),
}
LEVELS = ("p3", "p4", "p5")
TASKS = ("detection", "instance-segmentation")


def spec(name: str, size: Size, masks: bool) -> TeacherSpec:
    """The spec of one detector, or of one segmenter, which detects, too."""
    levels = tuple(
        Level(name=level, kind="dense", channels=channels, stride=stride)
        for level, channels, stride in zip(LEVELS, size.widths[2:], (8, 16, 32), strict=True)
    )
    builder = "build_segmenter" if masks else "build_detector"
    tasks = tuple(
        TaskSpec(
            task=task,
            levels=LEVELS,
            decoder=f"kivfm_yolov8.head:{builder}",
            part="head",
            labels="coco-80",
        )
        for task in (TASKS if masks else TASKS[:1])
    )
    return TeacherSpec(
        name=f"yolov8/{name}-seg" if masks else f"yolov8/{name}",
        aliases=("yolov8",) if name == "n" and not masks else (),
        summary=f"YOLOv8{name}: {'boxes and masks' if masks else 'boxes'}, COCO's 80 classes",
        encoder="kivfm_yolov8.model:build_encoder",
        config=_config(size),
        levels=levels,
        input=InputContract(
            policy="letterbox-center",
            size=640,
            train_sizes=(640, 416, 320),
            multiple=32,
            pad_value=(114 / 255,) * 3,
            antialias=False,
            rounding="nearest",
        ),
        tasks=tasks,
        weights=Weights(
            source=f"torch:yolov8{name}{'-seg' if masks else ''}.pth",
            split="kivfm_yolov8.checkpoint:split",
            license="AGPL-3.0",
            commercial_use="yes",
        ),
        code_license="Apache-2.0",
        parameters=size.parameters,
        paper="What is YOLOv8: An In-Depth Exploration of the Internal Features of the "
        "Next-Generation Object Detector, arXiv:2408.15857",
    )


def _config(size: Size) -> dict[str, Any]:
    return {
        "widths": list(size.widths),
        "depth": size.depth,
        "hidden": size.hidden,
        "classes": 80,
        "confidence": 0.001,
        "nms": 0.7,
        "most": 300,
    }


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """Five sizes, each with and without masks."""
    return [spec(name, size, masks) for masks in (False, True) for name, size in SIZES.items()]
