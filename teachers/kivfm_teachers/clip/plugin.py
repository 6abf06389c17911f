"""`clip`: OpenAI's CLIP, for zero-shot classification through its text tower.

Paper: Radford et al., Learning Transferable Visual Models From Natural Language Supervision,
https://arxiv.org/abs/2103.00020.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import TeacherSpec
from kivfm_teachers.open_clip.describe import describe


def _spec(
    letter: str,
    size: str,
    stride: int,
    embedding: int,
    width: int,
    depth: int,
    parameters: int,
    both_towers: int,
) -> TeacherSpec:
    return describe(
        f"clip/vit-{letter}-{stride}",
        f"ViT-{letter.upper()}-{stride}",
        hub=f"timm/vit_{size}_patch{stride}_clip_224.openai",
        image_size=224,
        stride=stride,
        embedding=embedding,
        width=width,
        depth=depth,
        parameters=parameters,
        quick_gelu=True,
        weights={"bytes": 4 * both_towers},  # float32 values; the header of some kilobytes aside
        aliases=("clip",) if (letter, stride) == ("b", 16) else (),
        summary=f"OpenAI's CLIP, ViT-{letter.upper()}/{stride}",
        paper="https://arxiv.org/abs/2103.00020",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The CLIP teachers; `clip` is the first."""
    return [
        _spec("b", "base", 16, 512, 768, 12, 86_192_640, 149_620_737),
        _spec("b", "base", 32, 512, 768, 12, 87_849_216, 151_277_313),
        _spec("l", "large", 14, 768, 1024, 24, 303_966_208, 427_616_513),
    ]
