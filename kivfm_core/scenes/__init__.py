"""Procedural images of several objects in several styles (domains), with all labels. Torch-free.

`render.render` gives one `Scene` from (seed, index, domain); `write.write_scenes` fills a folder
with unlabeled images and a held-out set in common formats. This package itself offers only numbers
and words, which teachers declare as their labels.
"""

from kivfm_core.scenes.vocabulary import (
    CATEGORIES,
    COLORS,
    DOMAINS,
    HELD_OUT_DOMAIN,
    TEXTURES,
    named_classes,
)

# Number of images in the demo data: unlabeled, and held out with labels.
TRAIN, VAL = 3000, 300
# Number of held-out images of a single object for each of the named classes.
PER_CLASS = 16

__all__ = [
    "CATEGORIES",
    "COLORS",
    "DOMAINS",
    "HELD_OUT_DOMAIN",
    "PER_CLASS",
    "TEXTURES",
    "TRAIN",
    "VAL",
    "named_classes",
]
