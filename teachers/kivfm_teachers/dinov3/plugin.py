"""`dinov3`: DINOv3, from timm's copies on the hub.

The weights have a license of their own, wherever they come from: commercial use is allowed, some
uses are not, and who passes them or what is derived from them on passes the license on. Meta's own
repositories ask for an agreement first; timm's do not.

Paper: Simeoni et al., DINOv3, https://arxiv.org/abs/2508.10104.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TeacherSpec
from kivfm_teachers.timm.describe import describe, vit_attachments

INPUT = InputContract(
    policy="short-side-crop",
    size=256,
    resize=256,
    multiple=16,
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)
PREFIX_TOKENS = 5  # the class token and four registers


def _spec(letter: str, size: str, channels: int, depth: int, parameters: int) -> TeacherSpec:
    return describe(
        f"dinov3/vit-{letter}-16",
        f"vit_{size}_patch16_dinov3.lvd1689m",
        levels=(
            Level(name="global", kind="global", channels=channels),
            Level(name="dense", kind="dense", channels=channels, stride=16),
        ),
        input=INPUT,
        parameters=parameters,
        kwargs={"dynamic_img_size": True},
        license="dinov3-license",
        weights={"bytes": 4 * parameters},  # float32 values; the header of some kilobytes aside
        aliases=("dinov3",) if letter == "b" else (),
        role="general",
        summary=f"DINOv3, ViT-{letter.upper()}/16; a license of its own",
        attachments=vit_attachments(depth, channels, stride=16, prefix_tokens=PREFIX_TOKENS),
        paper="https://arxiv.org/abs/2508.10104",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The DINOv3 teachers; `dinov3` is the first."""
    return [
        _spec("b", "base", 768, 12, 85_641_216),
        _spec("s", "small", 384, 12, 21_586_944),
        _spec("l", "large", 1024, 24, 303_079_424),
    ]
