"""Procedural pictures of several objects in several domains, with all labels; torch-free.

`render` gives one `Scene` from (seed, index, domain); `write_scenes` fills a folder with an
unlabelled pool and a held-out set in COCO's formats, semantic masks and an ImageFolder.
"""

from kivfm_core.data.scenes.render import VOID, Scene, SceneObject, render, render_object
from kivfm_core.data.scenes.vocabulary import (
    CATEGORIES,
    COLORS,
    DOMAINS,
    HELD_OUT_DOMAIN,
    TEXTURES,
    named_classes,
)
from kivfm_core.data.scenes.write import write_scenes

__all__ = [
    "CATEGORIES",
    "COLORS",
    "DOMAINS",
    "HELD_OUT_DOMAIN",
    "TEXTURES",
    "VOID",
    "Scene",
    "SceneObject",
    "named_classes",
    "render",
    "render_object",
    "write_scenes",
]
