"""COCO's instances: boxes and masks, as polygons or run lengths, with the original ids."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.data.formats.coco_records import CocoAnnotation, CocoImage, read_coco_records
from kivfm_core.data.formats.image_files import find_image_files
from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.images import upright_size
from kivfm_core.data.label_spaces import match
from kivfm_core.data.labeled_images import pick
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabeledImages, LabelFormat

COCO = LabelFormat(
    name="coco",
    read="kivfm_core.data.formats.coco:read_coco",
    needs="instances.json (COCO) beside images/",
    example="images/a.jpg, instances.json",
)

# Marks pixels that do not count in a map of classes.
VOID = -1


@dataclass(frozen=True)
class CocoData(LabeledImages):
    """Images with instances.

    Attributes:
        paths: The images.
        images: COCO's record of each.
        annotations: COCO's records of each image's instances.
        categories: COCO's categories.
        notes: What was repaired or passed over when the file was read, a line each.
    """

    paths: tuple[Path, ...]
    images: tuple[dict[str, Any], ...]
    annotations: tuple[list[dict[str, Any]], ...]
    categories: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @cached_property
    def has_masks(self) -> bool:  # pyright: ignore[reportIncompatibleVariableOverride]
        """Whether any instance has a mask."""
        return any(item.get("segmentation") for items in self.annotations for item in items)

    @cached_property
    def names(self) -> dict[int, str]:
        """The categories' names by id."""
        return {category["id"]: category["name"] for category in self.categories}

    @property
    def classes(self) -> tuple[str, ...]:
        """The categories' names."""
        return tuple(self.names.values())

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their instances."""
        return replace(
            self,
            paths=pick(self.paths, indices),
            images=pick(self.images, indices),
            annotations=pick(self.annotations, indices),
        )

    def size(self, index: int) -> tuple[int, int]:
        """`(height, width)` of an image."""
        return self.images[index]["height"], self.images[index]["width"]

    def instances(self, index: int) -> list[dict[str, Any]]:
        """An image's instances that have a mask and are no crowd."""
        items = self.annotations[index]
        return [item for item in items if item.get("segmentation") and not item.get("iscrowd")]

    def objects(self, index: int, space: tuple[str, ...]) -> list[tuple[int, dict[str, Any]]]:
        """An image's instances, each after the index of its class in a label space.

        Crowds are left out, and so are classes that the space does not know.
        """
        where = dict(zip(self.names, match(list(self.names.values()), space), strict=True))
        items = [item for item in self.annotations[index] if not item.get("iscrowd")]
        pairs = [(where[item["category_id"]], item) for item in items]
        return [(label, item) for label, item in pairs if label is not None]

    def mask(self, index: int, annotation: dict[str, Any]) -> NDArray[np.bool_]:
        """The mask `[H, W]` of one of an image's instances."""
        # Imported when it is used: lists and plans name this format, and decode nothing.
        from faster_coco_eval.core import mask as codec

        return codec.decode(run_lengths(annotation["segmentation"], *self.size(index))) > 0

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        """Paints an image's instances into a map `[H, W]` of indices into a label space.

        Smaller instances lie on larger ones. Crowds do not count; categories that the space does
        not know are background if it has one, and do not count if not.
        """
        (background,) = match(["background"], space)
        target = np.full(self.size(index), VOID if background is None else background, np.int64)
        where = dict(zip(self.names, match(list(self.names.values()), space), strict=True))
        items = [item for item in self.annotations[index] if item.get("segmentation")]
        masks = [(self.mask(index, item), item) for item in items]
        # Crowds last, whatever their size: what lies under them is not known.
        masks.sort(key=lambda pair: (pair[1].get("iscrowd", 0), -int(pair[0].sum())))
        for mask, item in masks:
            label = VOID if item.get("iscrowd") else where[item["category_id"]]
            if label is not None:
                target[mask] = label
        return target


def run_lengths(segmentation: Any, height: int, width: int) -> dict[str, Any]:
    """COCO's compressed run lengths of polygons, or of compressed or plain run lengths."""
    # Imported when it is used, as in `mask`.
    from faster_coco_eval.core import mask as codec

    if isinstance(segmentation, list):
        return codec.merge(codec.frPyObjects(segmentation, height, width))  # type: ignore[arg-type]
    if isinstance(segmentation["counts"], list):
        return codec.frPyObjects(segmentation, height, width)  # type: ignore[return-value]
    return segmentation


def read_coco(path: Path) -> CocoData | None:
    """COCO's instances: the JSON file, or a folder that holds it; None if this is neither.

    Raises:
        DataError: If a record is wrong, or the images are not beside the file.
    """
    file = _find_file(path)
    if file is None:
        return None
    notes = ReadingNotes()
    records = read_coco_records(file, notes)
    if records is None:
        if path != file:
            raise DataError(f"{file} lacks COCO's images, annotations and categories")
        return None
    paths = find_image_files(file, [image.file_name for image in records.images], notes)
    pairs = zip(records.images, paths, strict=True)
    sizes = [_size(image, path, notes) for image, path in pairs]
    # Ids are keys: from here on images and categories are numbered, whatever the file calls them.
    numbers = {category.id: number for number, category in enumerate(records.categories, 1)}
    annotations = [
        [
            as_instance(item, f"annotation {item.id}", numbers[item.category_id], size, notes)
            for item in items
        ]
        for items, size in zip(records.annotations, sizes, strict=True)
    ]
    # By their ids' order, not the file's: it decides between equal scores in COCO's evaluation.
    order = sorted((image.id for image in records.images), key=lambda id: (isinstance(id, str), id))
    places = {id: number for number, id in enumerate(order, 1)}
    images = [
        {"id": places[image.id], "file_name": image.file_name, "height": size[0], "width": size[1]}
        for image, size in zip(records.images, sizes, strict=True)
    ]
    categories = [{"id": numbers[c.id], "name": c.name} for c in records.categories]
    return CocoData(
        tuple(paths), tuple(images), tuple(annotations), tuple(categories), notes.lines()
    )


def _size(image: CocoImage, path: Path, notes: ReadingNotes) -> tuple[int, int]:
    """Height and width of an image in pixels: as the file says, or else as the image says."""
    if image.height is not None and image.width is not None:
        if image.height * image.width > (Image.MAX_IMAGE_PIXELS or 2**31):
            raise DataError(
                f"image {image.id}, {printable(path)}: {image.width} x {image.height} pixels are"
                f" more than an image may have",
                "correct width and height in the label file",
            )
        return image.height, image.width
    notes.add("image sizes taken from the images, since the file does not say", f"image {image.id}")
    width, height = upright_size(path)
    return height, width


def as_instance(
    item: CocoAnnotation, where: str, category: int, size: tuple[int, int], notes: ReadingNotes
) -> dict[str, Any]:
    """An annotation in COCO's form, with the box of its mask if it has none of its own.

    Args:
        item: The annotation, repaired.
        where: Its name in notes.
        category: The number of its class.
        size: Height and width of its image.
        notes: Counts boxes that are taken from masks.
    """
    box = item.bbox
    if box is None:
        notes.add("boxes taken from the masks", where)
        box = _box_of(item.segmentation, size)
    area = {"area": item.area} if item.area is not None else {}
    return {
        "category_id": category,
        "bbox": list(box),
        "segmentation": item.segmentation,
        "iscrowd": int(item.iscrowd),
        **area,
    }


def _box_of(segmentation: Any, size: tuple[int, int]) -> tuple[float, float, float, float]:
    # Imported when it is used, as in `mask`.
    from faster_coco_eval.core import mask as codec

    x, y, w, h = codec.toBbox(run_lengths(segmentation, *size)).tolist()
    return x, y, w, h


def _find_file(path: Path) -> Path | None:
    if path.is_file():
        return path if path.suffix == ".json" else None
    others = sorted(path.glob("annotations/instances_*.json"), reverse=True)  # val before train
    return next((name for name in (path / "instances.json", *others) if name.is_file()), None)
