"""The domains: how each draws its objects and finishes its images."""

from dataclasses import dataclass

from kivfm_core.scenes import backgrounds
from kivfm_core.scenes.backgrounds import Background


@dataclass(frozen=True)
class Style:
    """How one domain renders.

    Attributes:
        background: What lies behind the objects.
        saturation: Share of an object's color; the rest is gray.
        brightness: Range of the light on one object.
        contrast: Brightness of a texture's second tone relative to the first.
        bevel: Strength of the light on edges that face it.
        outline: Darkness (> 0) or brightness (< 0) of a drawn contour.
        shadow: Strength of the shadow that an object casts.
        glow: Strength of the light that an object sheds around itself.
        wobble: How far contours waver, in pixels.
        grain: Strength of blotches on objects.
        noise: Strength of sensor noise over the image.
        tint: Largest cast of the light's color.
        vignette: Darkening of the corners.
    """

    background: Background
    saturation: float = 1.0
    brightness: tuple[float, float] = (0.85, 1.05)
    contrast: float = 0.5
    bevel: float = 0.0
    outline: float = 0.0
    shadow: float = 0.0
    glow: float = 0.0
    wobble: float = 0.0
    grain: float = 0.0
    noise: float = 0.0
    tint: float = 0.0
    vignette: float = 0.0


# Domain -> style.
STYLES: dict[str, Style] = {
    "flat": Style(backgrounds.flat, contrast=0.55, shadow=0.25, tint=0.03),
    "painted": Style(
        backgrounds.painted, saturation=0.9, brightness=(0.7, 1.1), contrast=0.55, bevel=0.45,
        wobble=1.6, grain=0.22, tint=0.12, noise=0.015,
    ),
    "night": Style(
        backgrounds.night, saturation=0.9, brightness=(0.6, 1.05), contrast=0.45, bevel=0.3,
        glow=0.35, noise=0.03, tint=0.2, vignette=0.4,
    ),
    "paper": Style(
        backgrounds.paper, saturation=0.72, brightness=(0.85, 1.0), contrast=0.62, bevel=0.12,
        outline=0.6, shadow=0.45, wobble=0.7, grain=0.08, noise=0.01, tint=0.05, vignette=0.15,
    ),
    "chalk": Style(
        backgrounds.chalk, saturation=0.7, brightness=(0.8, 1.0), contrast=0.5, outline=-0.5,
        wobble=1.0, grain=0.35, noise=0.02,
    ),
}  # fmt: skip
