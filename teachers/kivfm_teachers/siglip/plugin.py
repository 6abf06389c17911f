"""`siglip`: SigLIP 2, for zero-shot classification through its text tower.

Paper: Tschannen et al., SigLIP 2, https://arxiv.org/abs/2502.14786.
"""

from __future__ import annotations

from kivfm_core.hooks import hookimpl
from kivfm_core.spec import TeacherSpec
from kivfm_teachers.open_clip.describe import describe

HALF = (0.5, 0.5, 0.5)


def _spec(
    variant: str, model: str, size: int, channels: int, parameters: int, both_towers: int
) -> TeacherSpec:
    return describe(
        f"siglip/{variant}",
        model,
        hub=f"timm/{model}",
        image_size=size,
        stride=16,
        embedding=channels,
        width=channels,
        parameters=parameters,
        resize_mode="squash",
        mean=HALF,
        std=HALF,
        license="apache-2.0",
        weights={"bytes": 4 * both_towers},  # float32 values; the header of some kilobytes aside
        tokenizer=f"timm/{model}",
        aliases=("siglip",) if variant == "vit-b-16" else (),
        summary=f"SigLIP 2, {variant.removeprefix('vit-').upper().replace('-', '/')} at {size}",
        paper="https://arxiv.org/abs/2502.14786",
    )


@hookimpl
def kivfm_register_teachers() -> list[TeacherSpec]:
    """The SigLIP 2 teachers; `siglip` is the first."""
    return [
        _spec("vit-b-16", "ViT-B-16-SigLIP2-256", 256, 768, 92_930_304, 375_234_050),
        _spec("vit-l-16", "ViT-L-16-SigLIP2-256", 256, 1024, 315_956_224, 881_526_786),
        _spec("vit-so400m-16", "ViT-SO400M-16-SigLIP2-384", 384, 1152, 428_256_704, 1_136_039_602),
    ]
