"""The words of the scenes: what can be in an image, and how a caption names it."""

# Silhouettes: the categories of detection and segmentation, in the order of their indices.
CATEGORIES = (
    "disc", "square", "triangle", "star", "cross", "ring",
    "heart", "crescent", "arrow", "gear", "drop", "bolt",
)  # fmt: skip

# Color words and their RGB in [0, 1].
COLORS: dict[str, tuple[float, float, float]] = {
    "red": (0.86, 0.13, 0.14),
    "orange": (0.98, 0.52, 0.08),
    "yellow": (0.98, 0.86, 0.18),
    "green": (0.20, 0.66, 0.26),
    "blue": (0.15, 0.36, 0.88),
    "purple": (0.50, 0.20, 0.70),
    "pink": (0.98, 0.52, 0.72),
    "white": (0.95, 0.95, 0.93),
}

TEXTURES = ("plain", "striped", "dotted", "checkered")

# The domains that scenes are written in by default.
DOMAINS = ("flat", "painted", "night", "paper")

# A domain that no teacher was trained on, for experiments on generalization.
HELD_OUT_DOMAIN = "chalk"

_OPENINGS = {
    "flat": "a flat drawing of",
    "painted": "a painting of",
    "night": "a night picture of",
    "paper": "a paper cutout of",
    "chalk": "a chalk drawing of",
}


def describe(category: str, color: str, texture: str) -> str:
    """Name an object in plain words.

    Example:
        >>> describe("star", "red", "striped")
        'red striped star'
        >>> describe("star", "red", "plain")
        'red star'
    """
    return f"{color} {category}" if texture == "plain" else f"{color} {texture} {category}"


def caption(domain: str, names: list[str]) -> str:
    """Write the caption of an image from the names of its objects, nearest first.

    Example:
        >>> caption("night", ["red star", "orange dotted ring"])
        'a night picture of a red star and an orange dotted ring'
    """
    phrases = [f"{'an' if name[0] in 'aeiou' else 'a'} {name}" for name in names]
    listed = phrases[-1] if len(phrases) == 1 else f"{', '.join(phrases[:-1])} and {phrases[-1]}"
    return f"{_OPENINGS[domain]} {listed}"


def named_classes() -> dict[str, tuple[str, str, str]]:
    """List the classes of classification and zero-shot evaluation.

    Every category comes in two colors times two textures, so that neither the silhouette,
    nor the color, nor the texture gives a class away alone.

    Returns:
        Class name -> (category, color, texture), 48 of them.
    """
    colors, count = tuple(COLORS), len(COLORS)
    classes: dict[str, tuple[str, str, str]] = {}
    for i, category in enumerate(CATEGORIES):
        for color in (colors[i % count], colors[(i + 3 + i // count) % count]):
            for texture in (TEXTURES[i % 4], TEXTURES[(i + 1 + i // 4) % 4]):
                classes[describe(category, color, texture)] = (category, color, texture)
    return classes
