"""Families that are models of open_clip and nothing more: `pe/core`.

Paper: Bolya et al., Perception Encoder, https://arxiv.org/abs/2504.13181.
"""

from __future__ import annotations

from kivfm_core.spec import TeacherSpec
from kivfm_teachers.open_clip.describe import describe

HALF = (0.5, 0.5, 0.5)


def families() -> list[TeacherSpec]:
    """Perception Encoder with its words; `pe` is the first."""
    return [
        _pe("b-16", "B-16", 224, 1024, 768, 93_673_984, 447_660_545),
        _pe("t-16", "T-16-384", 384, 512, 192, 6_141_056, 69_546_113),
        _pe("s-16", "S-16-384", 384, 512, 384, 23_783_168, 87_188_225),
        _pe("l-14", "L-14-336", 336, 1024, 1024, 317_152_256, 671_138_817),
    ]


def _pe(
    variant: str,
    model: str,
    size: int,
    embedding: int,
    width: int,
    parameters: int,
    both_towers: int,
) -> TeacherSpec:
    return describe(
        f"pe/core-{variant}",
        f"PE-Core-{model}",
        hub=f"timm/PE-Core-{model}",
        image_size=size,
        stride=int(variant.rpartition("-")[2]),
        embedding=embedding,
        width=width,
        parameters=parameters,
        resize_mode="squash",
        interpolation="bilinear",
        mean=HALF,
        std=HALF,
        license="apache-2.0",  # as timm's record of the same weights
        weights={"bytes": 4 * both_towers},  # float32 values; the header of some kilobytes aside
        aliases=("pe",) if variant == "b-16" else (),
        summary=f"Perception Encoder, core-{variant} at {size}: images and words",
        paper="https://arxiv.org/abs/2504.13181",
    )
