"""`transformers/<id or folder>`: the vision models of Hugging Face transformers."""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import References, TeacherProvider
from kivfm_transformers.families import FAMILIES

HERE = "kivfm_transformers"

# What a short name stands for; license and all else are read from the repository.
NAMES = {
    "depth": "depth-anything/Depth-Anything-V2-Small-hf",
    "detr": "facebook/detr-resnet-50",
    "mask2former": "facebook/mask2former-swin-tiny-coco-instance",
    "rtdetr": "PekingU/rtdetr_r50vd",
    "sam2": "facebook/sam2.1-hiera-base-plus",
}


@hookimpl
def kivfm_register_teachers() -> list[TeacherProvider]:
    """The provider of transformers' models."""
    families = FAMILIES.values()
    return [
        TeacherProvider(
            prefix="transformers/",
            resolve="kivfm_transformers.resolve:resolve",
            distribution="transformers",
            cached=False,
            names=NAMES,
            summary="CLIP, DINO, SAM, DETR, Depth Anything, ...: transformers/<hub id or folder>",
            references=References(
                encoder=tuple(f"{HERE}.{family.module}:Encoder" for family in families),
                decoder=tuple(
                    f"{HERE}.{family.module}:{decoder}"
                    for family in families
                    for _, decoder in family.decoders
                ),
                split=(f"{HERE}.model:split",),
                original=tuple(
                    f"{HERE}.{family.module}:{family.original}"
                    for family in families
                    if family.original
                ),
            ),
        )
    ]
