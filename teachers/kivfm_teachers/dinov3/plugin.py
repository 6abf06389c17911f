"""`dinov3`: DINOv3, vision transformers and ConvNeXt, from timm's copies on the hub.

The weights have a license of their own, wherever they come from: commercial use is allowed, some
uses are not, and who passes them or what is derived from them on passes the license on. Meta's own
repositories ask for an agreement first; timm's do not.

Paper: Simeoni et al., DINOv3, https://arxiv.org/abs/2508.10104.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_teachers.timm.describe import describe_convnext, describe_vit

INPUT = InputContract(
    policy="short-side-crop",
    size=256,
    resize=256,
    multiple=16,
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
LICENSE = "dinov3-license"
PAPER = "https://arxiv.org/abs/2508.10104"


def _spec(letter: str, size: str, channels: int, depth: int, parameters: int) -> TeacherSpec:
    return describe_vit(
        f"dinov3/vit-{letter}-16",
        f"vit_{size}_patch16_dinov3.lvd1689m",
        channels,
        depth,
        INPUT,
        parameters=parameters,
        license=LICENSE,
        aliases=("dinov3",) if letter == "b" else (),
        summary=f"DINOv3, ViT-{letter.upper()}/16; a license of its own",
        paper=PAPER,
    )


def _convnext(size: str, width: int, parameters: int) -> TeacherSpec:
    return describe_convnext(
        f"dinov3/convnext-{size}",
        f"convnext_{size}.dinov3_lvd1689m",
        width,
        INPUT.model_copy(update={"size": 224, "resize": 224, "multiple": 1}),
        parameters=parameters,
        license=LICENSE,
        summary=f"DINOv3, ConvNeXt {size.capitalize()}; a license of its own",
        paper=PAPER,
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The DINOv3 teachers; `dinov3` is the first."""
    return [
        _spec("b", "base", 768, 12, 85_641_216),
        _spec("s", "small", 384, 12, 21_586_944),
        _spec("l", "large", 1024, 24, 303_079_424),
        _convnext("tiny", 96, 27_820_128),
        _convnext("small", 96, 49_454_688),
        _convnext("base", 128, 87_566_464),
        _convnext("large", 192, 196_230_336),
    ]
