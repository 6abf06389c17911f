"""`segmenter`: torchvision's DeepLabv3, for PASCAL VOC's 21 classes.

Paper: Chen et al., Rethinking Atrous Convolution for Semantic Image Segmentation,
https://arxiv.org/abs/1706.05587.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_teachers.torchvision.describe import MEAN, STD, segmenter

URL = "https://download.pytorch.org/models/deeplabv3_"


def _spec(
    name: str,
    model: str,
    channels: int,
    stride: int,
    parameters: int,
    file: str,
    mebibytes: float,
    summary: str,
    aliases: tuple[str, ...] = (),
) -> TeacherSpec:
    return segmenter(
        name,
        model,
        keys={"out": "out"},
        levels=(
            Level(name="out", kind="dense", channels=channels, stride=stride, rounding="ceil"),
        ),
        input=InputContract(policy="short-side", size=520, mean=MEAN, std=STD),
        url=URL + file,
        mebibytes=mebibytes,
        parameters=parameters,
        aliases=aliases,
        summary=summary,
        paper="https://arxiv.org/abs/1706.05587",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The DeepLabv3 teachers; `segmenter` is the first."""
    return [
        _spec(
            "segmenter/deeplabv3-r50",
            "deeplabv3_resnet50",
            2048,
            8,
            23_508_032,
            "resnet50_coco-cd0a2569.pth",
            160.515,
            "DeepLabv3, ResNet-50, COCO with VOC's classes",
            aliases=("segmenter",),
        ),
        _spec(
            "segmenter/deeplabv3-mnv3",
            "deeplabv3_mobilenet_v3_large",
            960,
            16,
            2_971_952,
            "mobilenet_v3_large-fc3c493d.pth",
            42.301,
            "DeepLabv3, MobileNetV3-Large, COCO with VOC's classes",
        ),
    ]
