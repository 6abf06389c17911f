"""Procedural images of several objects in several domains, with all labels; torch-free.

`render.render` gives one `Scene` from (seed, index, domain); `write.write_scenes` fills a folder
with an unlabeled pool and a held-out set in ordinary formats. This
package itself offers only numbers and the words, which teachers declare as their labels.
"""

from kivfm_core.scenes.vocabulary import (
    CATEGORIES,
    COLORS,
    DOMAINS,
    HELD_OUT_DOMAIN,
    TEXTURES,
    named_classes,
)

TRAIN, VAL = 3000, 300
"""Images of the demo data: unlabeled, and held out with labels."""
PER_CLASS = 16
"""Held-out images of a single object, for each of the named classes."""

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
