"""Fuzzed label sets: saved in a format, read back by its reader, and compared."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, cast
from unicodedata import normalize

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.coco import CocoData
from kivfm_core.data.formats.masks import MaskData
from kivfm_core.data.formats.table import FORMATS
from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.data.saving.saver import UNWRITABLE
from kivfm_core.data.saving.table import SAVERS, open_saver
from kivfm_core.reference import resolve_reference

# What an object is when it is compared: class, box, mask.
Thing = tuple[str, tuple[float, ...], NDArray[np.bool_] | None]


@dataclass(frozen=True)
class LabelSet:
    """Classes, labels of images, and after which image the save is interrupted."""

    classes: tuple[str, ...]
    images: tuple[SavedImage, ...]
    cut: int


# Names

_words = st.text(
    st.characters(exclude_categories=("Cs", "Cc", "Cn"), exclude_characters="/\\"), min_size=1
)
_parts = _words.filter(lambda t: not UNWRITABLE.search(t) and len(t.encode()) < 40 and t[0] != ".")
_folders = st.one_of(_parts, st.sampled_from(["images", "labels", "semantic"]))
_classes = _words.filter(lambda t: t == t.strip() and not UNWRITABLE.search(t))


@st.composite
def _files(draw: st.DrawFn) -> str:
    folders = draw(st.lists(_folders, max_size=2))
    ending = draw(st.sampled_from([".png", ".PNG", ".b.png"]))
    return "/".join((*folders, draw(_parts) + ending))


def _stem(file: str) -> str:
    """What must not be the same for two images, on a disk that ignores case too."""
    return normalize("NFC", PurePosixPath(file).with_suffix("").as_posix()).casefold()


# Labels


def _maps(height: int, width: int, values: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    rows = st.lists(st.lists(values, min_size=width, max_size=width), min_size=height,
                    max_size=height)  # fmt: skip
    return rows.map(np.array)


@st.composite
def _objects(draw: st.DrawFn, classes: int, height: int, width: int) -> SavedObject:
    x1, x2 = sorted(draw(st.tuples(st.floats(0, width), st.floats(0, width))))
    y1, y2 = sorted(draw(st.tuples(st.floats(0, height), st.floats(0, height))))
    mask = draw(st.none() | _maps(height, width, st.integers(0, 1)))
    return SavedObject(
        draw(st.integers(0, classes - 1)),
        (x1, y1, x2, y2),
        draw(st.none() | st.floats(0, 1)),
        None if mask is None else mask.astype(bool),
    )


@st.composite
def label_sets(draw: st.DrawFn, name: str) -> LabelSet:
    """Label sets that a format can hold; masks may hide each other, and images show nothing."""
    holds = SAVERS[name].holds
    classes = draw(st.lists(_classes, min_size=1, max_size=5, unique=True))
    labels = st.integers(0, len(classes) - 1)
    images: list[SavedImage] = []
    for file in draw(st.lists(_files(), min_size=1, max_size=4, unique_by=_stem)):
        height, width = draw(st.integers(1, 9)), draw(st.integers(1, 9))
        objects = st.lists(_objects(len(classes), height, width), max_size=4)
        class_map = _maps(height, width, st.integers(-1, len(classes) - 1))
        images.append(
            SavedImage(
                file,
                width,
                height,
                tuple(draw(objects)) if "boxes" in holds else (),
                draw(class_map) if "map" in holds else None,
                draw(labels) if "class" in holds else None,
            )
        )
    return LabelSet(tuple(classes), tuple(images), draw(st.integers(0, len(images))))


def check_round_trip(name: str, labels: LabelSet, folder: Path) -> None:
    """Saves a label set in two parts, reads it back, and compares.

    Raises:
        AssertionError: If what is read is not what was saved.
    """
    saved = save(name, labels, folder)
    read = resolve_reference(FORMATS[SAVERS[name].reader].read)(folder)
    assert read is not None, "the reader does not recognize it"
    root = folder / SAVERS[name].saver.images
    names = [path.relative_to(root).as_posix() for path in read.paths]
    assert sorted(names) == sorted(saved), (names, sorted(saved))
    for index, file in enumerate(names):
        COMPARE[name](read, index, saved[file], labels.classes)


def save(name: str, labels: LabelSet, folder: Path) -> dict[str, SavedImage]:
    """Saves a label set, interrupted once; the images by their names."""
    original = folder.parent / f"{folder.name}-images"
    for part in (labels.images[: labels.cut], labels.images):
        try:
            with open_saver(name, folder, labels.classes) as saver:
                for place, image in enumerate(part):
                    source = original / f"{place}.png"
                    if not source.is_file():
                        original.mkdir(exist_ok=True)
                        Image.new("RGB", (image.width, image.height)).save(source)
                    saver.add(_with_source(image, source))
                if len(part) < len(labels.images):
                    raise InterruptedError
        except InterruptedError:
            continue
    return {image.file: image for image in labels.images}


def _with_source(image: SavedImage, source: Path) -> SavedImage:
    return SavedImage(
        image.file, image.width, image.height, image.objects, image.class_map, image.label,
        image.score, source,
    )  # fmt: skip


# Comparing


def _same_things(found: list[Thing], saved: list[Thing], tolerance: float) -> None:
    assert [thing[0] for thing in found] == [thing[0] for thing in saved]
    for (_, box, mask), (_, other, truth) in zip(found, saved, strict=True):
        assert np.allclose(box, other, rtol=0, atol=tolerance), (box, other)
        assert (mask is None) == (truth is None), "a mask was lost, or made"
        assert mask is None or truth is None or (mask == truth).all(), "another mask"


def _things(data: CocoData, index: int) -> list[Thing]:
    found: list[Thing] = []
    for item in data.annotations[index]:
        x, y, w, h = item["bbox"]
        mask = data.mask(index, item) if item.get("segmentation") else None
        found.append((data.names[item["category_id"]], (x, y, x + w, y + h), mask))
    return found


def _sized(data: Any, index: int, image: SavedImage) -> CocoData:
    assert data.size(index) == (image.height, image.width)
    return cast("CocoData", data)


def _coco(data: Any, index: int, image: SavedImage, classes: tuple[str, ...]) -> None:
    """Everything but the last digits of a box."""
    saved = [(classes[item.label], item.box, item.mask) for item in image.objects]
    _same_things(_things(_sized(data, index, image), index), cast("list[Thing]", saved), 2e-3)


def _yolo(data: Any, index: int, image: SavedImage, classes: tuple[str, ...]) -> None:
    """The box of an object with a mask is its mask's."""
    saved: list[Thing] = []
    for item in image.objects:
        box, mask = item.box, item.mask
        if mask is not None and mask.any():
            y, x = np.nonzero(mask)
            box = (int(x.min()), int(y.min()), int(x.max()) + 1, int(y.max()) + 1)
        else:
            mask = None
        saved.append((classes[item.label], box, mask))
    _same_things(_things(_sized(data, index, image), index), saved, 1e-6)


def _voc(data: Any, index: int, image: SavedImage, classes: tuple[str, ...]) -> None:
    """Of masks that hide each other, what is seen; smaller ones lie on larger ones."""
    masks = [(place, item.mask) for place, item in enumerate(image.objects)]
    masked = [(place, mask) for place, mask in masks if mask is not None]
    seen = np.full((image.height, image.width), -1)
    for place, mask in sorted(masked, key=lambda pair: -int(pair[1].sum())):
        seen[mask] = place
    saved: list[Thing] = []
    for place, item in enumerate(image.objects):
        visible = seen == place
        saved.append((classes[item.label], item.box, visible if visible.any() else None))
    _same_things(_things(_sized(data, index, image), index), saved, 2e-3)


def _masks(data: Any, index: int, image: SavedImage, classes: tuple[str, ...]) -> None:
    """The class of every pixel."""
    assert cast("MaskData", data).classes == classes
    assert (data.semantic(index, classes) == image.class_map).all()


def _rows(data: Any, index: int, image: SavedImage, classes: tuple[str, ...]) -> None:
    """The class of every image."""
    read = cast("ClassData", data)
    assert read.classes is not None and image.label is not None
    assert read.classes[read.targets[index]] == classes[image.label]


COMPARE: Mapping[str, Callable[[Any, int, SavedImage, tuple[str, ...]], None]] = {
    "coco": _coco, "yolo": _yolo, "voc": _voc, "masks": _masks, "csv": _rows, "jsonl": _rows,
}  # fmt: skip
