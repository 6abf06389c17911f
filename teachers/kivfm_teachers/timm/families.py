"""Families that are networks of timm and nothing more: `radio`, `tipsv2`, `eupe`, and `pe/spatial`.

All are general: they give features, and can be a base. A family with tasks or weights of its own
has a folder of its own. Licenses are those that timm's records of the weights name.

Papers: Ranzinger et al., C-RADIOv4, https://arxiv.org/abs/2601.17237, and RADIOv2.5,
https://arxiv.org/abs/2412.07679; TIPSv2, https://arxiv.org/abs/2604.12012; Efficient Universal
Perception Encoder, https://arxiv.org/abs/2603.22387; Bolya et al., Perception Encoder,
https://arxiv.org/abs/2504.13181.
"""

from __future__ import annotations

from collections.abc import Iterator

from kivfm_core.spec import InputContract, TeacherSpec
from kivfm_teachers.timm.describe import describe_convnext, describe_vit

IMAGENET = {"mean": (0.485, 0.456, 0.406), "std": (0.229, 0.224, 0.225)}
CLIP = {
    "mean": (0.48145466, 0.4578275, 0.40821073),
    "std": (0.26862954, 0.26130258, 0.27577711),
}
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
RAW = {"mean": (0.0, 0.0, 0.0), "std": (1.0, 1.0, 1.0)}


def families() -> list[TeacherSpec]:
    """All teachers of these families; the first of a family is its default, but for `pe`."""
    return [*_radio(), *_tipsv2(), *_eupe(), *_pe_spatial()]


def _canvas(
    size: int, multiple: int, colors: dict[str, tuple[float, float, float]]
) -> InputContract:
    return InputContract(
        policy="short-side-crop",
        size=size,
        resize=size,
        multiple=multiple,
        interpolation="bicubic",
        **colors,
    )


def _radio() -> Iterator[TeacherSpec]:
    """C-RADIO, version 4, and the smaller ones of version 3.

    512 is the size that timm made them for; at others it resizes the positions in another way than
    NVIDIA does.
    """
    rows = (
        ("vit-so400m-16", "so400m", 4, 1152, 27, 413_543_664),
        ("vit-h-16", "huge", 4, 1280, 32, 631_985_920),
        ("v3-vit-l-16", "large", 3, 1024, 24, 304_202_752),
        ("v3-vit-b-16", "base", 3, 768, 12, 86_456_064),
    )
    for variant, size, version, channels, depth, parameters in rows:
        yield describe_vit(
            f"radio/{variant}",
            f"vit_{size}_patch16_radio_v{version}.c_radio",
            channels,
            depth,
            _canvas(512, 16, CLIP),
            # A class token for each of its teachers, and registers.
            prefix_tokens={3: 8, 4: 10}[version],
            parameters=parameters,
            license="nvidia-open-model-license",
            aliases=("radio",) if variant == "vit-so400m-16" else (),
            summary=f"C-RADIOv{version}, {variant.removeprefix('v3-')}; a license of its own",
            paper=f"https://arxiv.org/abs/{'2601.17237' if version == 4 else '2412.07679'}",
        )


def _tipsv2() -> Iterator[TeacherSpec]:
    """TIPSv2's image encoders; timm has no text tower of theirs."""
    rows = (
        ("vit-b-14", "base", 768, 12, 86_314_752),
        ("vit-l-14", "large", 1024, 24, 304_014_336),
        ("vit-so400m-14", "so400m", 1152, 27, 413_391_600),
    )
    for variant, size, channels, depth, parameters in rows:
        yield describe_vit(
            f"tipsv2/{variant}",
            f"vit_{size}_patch14_reg1_tipsv2.webli",
            channels,
            depth,
            _canvas(448, 14, RAW),
            prefix_tokens=2,
            parameters=parameters,
            aliases=("tipsv2",) if variant == "vit-b-14" else (),
            summary=f"TIPSv2, {variant}: its image encoder",
            paper="https://arxiv.org/abs/2604.12012",
        )


def _eupe() -> Iterator[TeacherSpec]:
    """EUPE: a student of several teachers itself. Its license forbids commercial use."""
    paper, license = "https://arxiv.org/abs/2603.22387", "fair-noncommercial-research-license"
    vits = (
        ("vit-b-16", "base", 768, 85_659_648),
        ("vit-s-16", "small", 384, 21_596_160),
        ("vit-t-16", "tiny", 192, 5_489_664),
    )
    for variant, size, channels, parameters in vits:
        yield describe_vit(
            f"eupe/{variant}",
            f"vit_{size}_patch16_dinov3_qkvb.eupe_lvd1689m",
            channels,
            12,
            _canvas(256, 16, IMAGENET),
            parameters=parameters,
            license=license,
            aliases=("eupe",) if variant == "vit-b-16" else (),
            summary=f"EUPE, {variant}; no commercial use",
            paper=paper,
        )
    convnexts = (
        ("base", 128, 87_566_464),
        ("small", 96, 49_454_688),
        ("tiny", 96, 27_820_128),
    )
    for size, width, parameters in convnexts:
        yield describe_convnext(
            f"eupe/convnext-{size}",
            f"convnext_{size}.eupe_lvd1689m",
            width,
            _canvas(256, 1, IMAGENET),
            parameters=parameters,
            license=license,
            summary=f"EUPE, convnext-{size}; no commercial use",
            paper=paper,
        )


def _pe_spatial() -> Iterator[TeacherSpec]:
    """Perception Encoder for dense features; `pe/core`, which has words, is open_clip's."""
    rows = (
        ("b-16", "base_patch16_512", 512, 768, 12, 86_433_792),
        ("s-16", "small_patch16_512", 512, 384, 12, 21_983_232),
        ("t-16", "tiny_patch16_512", 512, 192, 12, 5_683_200),
        ("l-14", "large_patch14_448", 448, 1024, 24, 303_964_160),
    )
    for variant, model, side, channels, depth, parameters in rows:
        yield describe_vit(
            f"pe/spatial-{variant}",
            f"vit_pe_spatial_{model}.fb",
            channels,
            depth,
            _canvas(side, int(variant.rpartition("-")[2]), HALF),
            prefix_tokens=1,
            parameters=parameters,
            summary=f"Perception Encoder, spatial-{variant}: dense features",
            paper="https://arxiv.org/abs/2504.13181",
        )
