"""Label spaces: the names of the known ones, and matching the names of two. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

# The module and class in torchvision whose metadata list the names of a known space.
_KNOWN = {
    "imagenet-1k": ("resnet", "ResNet18_Weights"),
    "coco-91": ("detection", "FasterRCNN_ResNet50_FPN_Weights"),
    "voc-21": ("segmentation", "DeepLabV3_ResNet50_Weights"),
}

# Names in VOC and other data for what COCO calls differently.
_SAME = {
    "aeroplane": "airplane",
    "diningtable": "dining table",
    "motorbike": "motorcycle",
    "pottedplant": "potted plant",
    "sofa": "couch",
    "television": "tv",
    "tv monitor": "tv",
    "tvmonitor": "tv",
}


def normalized(name: str) -> str:
    """The form in which names are compared.

    Example:
        >>> normalized("__background__"), normalized("Dining_Table"), normalized("aeroplane")
        ('background', 'dining table', 'airplane')
    """
    words = re.sub(r"[\W_]+", " ", name).strip().lower()
    return _SAME.get(words, words)


def match(names: Sequence[str], space: Sequence[str]) -> list[int | None]:
    """The index of each name in a label space; None for a name that the space lacks.

    Example:
        >>> match(["couch", "ufo"], ["background", "sofa"])
        [1, None]
    """
    where: dict[str, int] = {}
    for index, name in enumerate(space):
        where.setdefault(normalized(name), index)
    return [where.get(normalized(name)) for name in names]


def label_names(labels: Sequence[str] | str) -> tuple[str, ...] | None:
    """The names of a task spec's `labels`; None if the space is `open` or `none`."""
    if not isinstance(labels, str):
        return tuple(labels)
    return _known_names(labels) if labels in _KNOWN else None


@cache
def _known_names(space: str) -> tuple[str, ...]:
    # torchvision is imported only here, to keep this module light: the names are in the metadata of
    # its weights.
    from importlib import import_module

    module, weights = _KNOWN[space]
    models = import_module(f"torchvision.models.{module}")
    return tuple(getattr(models, weights).DEFAULT.meta["categories"])
