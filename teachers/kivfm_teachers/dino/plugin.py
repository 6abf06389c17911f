"""`dino`: DINOv2 with registers, the general teacher that a student is built on.

Papers: Oquab et al., DINOv2, https://arxiv.org/abs/2304.07193; Darcet et al., Vision Transformers
Need Registers, https://arxiv.org/abs/2309.16588.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_teachers.timm.describe import describe_vit

# 224 after a short side of 256 is how the paper evaluates the class token; 518 is only the size
# of its last training phase, at more than five times the cost. Any multiple of 14 works.
INPUT = InputContract(
    policy="short-side-crop",
    size=224,
    resize=256,
    multiple=14,
    interpolation="bicubic",
    mean=(0.485, 0.456, 0.406),
    std=(0.229, 0.224, 0.225),
)


def _spec(letter: str, size: str, channels: int, depth: int, parameters: int) -> TeacherSpec:
    return describe_vit(
        f"dino/vit-{letter}-14",
        f"vit_{size}_patch14_reg4_dinov2.lvd142m",
        channels,
        depth,
        INPUT,
        parameters=parameters,
        aliases=("dino",) if letter == "b" else (),
        summary=f"DINOv2 with registers, ViT-{letter.upper()}/14",
        paper="https://arxiv.org/abs/2304.07193",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The DINOv2 teachers; `dino` is the first."""
    return [
        _spec("b", "base", 768, 12, 86_582_016),
        _spec("s", "small", 384, 12, 22_057_344),
        _spec("l", "large", 1024, 24, 304_370_688),
    ]
