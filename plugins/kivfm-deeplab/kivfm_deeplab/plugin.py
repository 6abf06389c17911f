"""Registers DeepLab on MobileNetV2: data only, torch-free."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights

MNV2_VOC = TeacherSpec(
    name="deeplab/mnv2-voc",
    aliases=("deeplab",),
    summary="DeepLabv3 on MobileNetV2 at stride 16: PASCAL VOC's 21 classes",
    encoder="kivfm_deeplab.model:build_encoder",
    config={"backbone": "mobilenetv2_100", "classes": 21},
    levels=(Level(name="dense", kind="dense", channels=320, stride=16, rounding="ceil"),),
    input=InputContract(
        policy="letterbox",
        size=513,
        train_sizes=(513, 321),
        pad_value=(0.5, 0.5, 0.5),
        antialias=False,
        mean=(0.5, 0.5, 0.5),
        std=(0.5, 0.5, 0.5),
    ),
    tasks=(
        TaskSpec(
            task="semantic-segmentation",
            levels=("dense",),
            decoder="kivfm_deeplab.model:build_decoder",
            labels="voc-21",
        ),
    ),
    weights=Weights(
        source="torch:deeplabv3_mnv2.voc21.pth",
        split="kivfm_deeplab.model:split",
        license="Apache-2.0",
        commercial_use="yes",
    ),
    code_license="Apache-2.0",
    parameters=1_811_712,
    paper="Rethinking Atrous Convolution for Semantic Image Segmentation, arXiv:1706.05587; "
    "MobileNetV2, arXiv:1801.04381",
)


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """One segmenter."""
    return [MNV2_VOC]
