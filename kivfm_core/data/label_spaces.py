"""Label spaces: the names of the known ones, and matching the names of two. Torch-free."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from pathlib import Path

# The module and class in torchvision whose metadata list the names of a known space.
_KNOWN = {
    "imagenet-1k": ("resnet", "ResNet18_Weights"),
    "coco-80": ("detection", "FasterRCNN_ResNet50_FPN_Weights"),
    "coco-91": ("detection", "FasterRCNN_ResNet50_FPN_Weights"),
    "voc-21": ("segmentation", "DeepLabV3_ResNet50_Weights"),
}

# Entries of COCO's 91 ids that are no class.
_NO_CLASS = {"__background__", "N/A"}

# A class as ImageNet's folders name it.
_WORDNET = re.compile(r"n\d{8}")

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

    A name is looked for as it stands, then in the form that `normalized` gives, so that `C` and
    `C++` stay two classes where both are there. WordNet ids are looked for among ImageNet's.

    Example:
        >>> match(["couch", "ufo"], ["background", "sofa"])
        [1, None]
        >>> match(["C", "C++"], ["C++", "C"])
        [1, 0]
    """
    exact: dict[str, int] = {}
    forms: dict[str, int] = {}
    for index, name in enumerate(space):
        exact.setdefault(name, index)
        forms.setdefault(normalized(name), index)
    forms.pop("", None)  # names of signs alone have no form
    ids = _wordnet_ids() if _is_imagenet(space) and any(map(_WORDNET.fullmatch, names)) else {}
    return [exact.get(name, ids.get(name, forms.get(normalized(name)))) for name in names]


def are_ids(names: Sequence[str]) -> bool:
    """Whether names are numbers or WordNet ids, which mean nothing to a text tower."""
    return all(name.isdigit() or _WORDNET.fullmatch(name) for name in names)


def _is_imagenet(space: Sequence[str]) -> bool:
    return len(space) == 1000 and tuple(space) == _known_names("imagenet-1k")


@cache
def _wordnet_ids() -> dict[str, int]:
    """ImageNet-1k's WordNet ids in the order of its classes, from the list that timm ships."""
    spec = find_spec("timm")  # found, not imported: that takes seconds
    root = Path(next(iter(spec.submodule_search_locations or ()))) if spec else Path()
    file = root / "data/_info/imagenet_synsets.txt"
    ids = file.read_text(encoding="utf-8").split() if file.is_file() else []
    return {name: index for index, name in enumerate(ids)}


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
    names = tuple(getattr(models, weights).DEFAULT.meta["categories"])
    return tuple(name for name in names if name not in _NO_CLASS) if space == "coco-80" else names
