"""Hugging Face datasets on disk: a class, objects, or a map for each image. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

from kivfm_core.data.formats.class_maps import check_map
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.formats.coco import CocoData, as_instance
from kivfm_core.data.formats.coco_records import CocoAnnotation, CocoImage, repaired
from kivfm_core.data.formats.hf_saved import INFO, SavedSplit, open_saved
from kivfm_core.data.formats.mask_layouts import named_classes
from kivfm_core.data.formats.masks import MaskData
from kivfm_core.data.formats.reading import ReadingNotes, check_record
from kivfm_core.data.members import size_at
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

HF_CLASSES = LabelFormat(
    name="hf-classes",
    read="kivfm_core.data.formats.hugging_face:read_hf_classes",
    needs="a folder of datasets' save_to_disk with the columns image and label (ClassLabel)",
    example="dataset_info.json, state.json, data-00000-of-00001.arrow",
)
HF_OBJECTS = LabelFormat(
    name="hf-objects",
    read="kivfm_core.data.formats.hugging_face:read_hf_objects",
    needs="a folder of datasets' save_to_disk with the columns image and objects (bbox, category)",
    example="dataset_info.json, state.json, data-00000-of-00001.arrow",
)
HF_MASKS = LabelFormat(
    name="hf-masks",
    read="kivfm_core.data.formats.hugging_face:read_hf_masks",
    needs="a folder of datasets' save_to_disk with the columns image and annotation, label or mask"
    " (Image), and id2label.json",
    example="dataset_info.json, state.json, data-00000-of-00001.arrow, id2label.json",
)
# What of objects is read.
FIELDS = ("bbox", "category", "label", "segmentation", "iscrowd")


def read_hf_classes(path: Path) -> ClassData | None:
    """A saved dataset with an image and a class in each row; None if this is none.

    Raises:
        DataError: If it is broken; names file, row and value.
    """
    saved = open_saved(path)
    if saved is None or saved.image is None or saved.label is None:
        return None
    label, notes = saved.label, ReadingNotes()
    names = saved.names(saved.features[label]) or ()
    found: list[tuple[Path, int]] = []
    for place, where, value in saved.rows(label, saved.image):
        if value is None or value == -1:  # as test splits have it
            notes.add("images without a class, passed over", where)
        elif type(value) is not int or not 0 <= value < len(names):
            raise DataError(
                f"{printable(saved.folder)}, {where}: {printable(label)} is"
                f" {printable(repr(value)[:60])}, and there are {len(names)} classes"
            )
        else:
            found.append((place, value))
    if not found:
        raise DataError(f"{printable(saved.folder)} has no image with a class")
    paths, targets = zip(*found, strict=True)
    return ClassData(paths, targets, names, notes.lines())


def read_hf_masks(path: Path) -> MaskData | None:
    """A saved dataset with an image and its map of classes in each row; None if this is none.

    `id2label.json` or `classes.json`, in its folder or beside that, names the classes.

    Raises:
        DataError: If it is broken, the classes are not named, or no image has a map.
    """
    saved = open_saved(path)
    if saved is None or saved.image is None or saved.map is None:
        return None
    coding, notes = named_classes(saved.folder), ReadingNotes()
    pairs: list[tuple[Path, Path]] = []
    for place, where, value in saved.rows(saved.map, saved.image):
        if not isinstance(value, dict) or not cast("dict[str, Any]", value).get("bytes"):
            notes.add("images without a mask, passed over", where)
            continue
        mask = place.parents[1] / saved.map / place.name
        check_map(place, mask, colors=coding.colors)
        pairs.append((place, mask))
    if not pairs:
        raise DataError(f"{printable(saved.folder)} has no image with a mask")
    images, masks = zip(*pairs, strict=True)
    return MaskData(
        images, masks, coding.classes, coding.values, notes.lines(), colors=coding.colors
    )


def read_hf_objects(path: Path) -> CocoData | None:
    """A saved dataset with an image and its objects in each row; None if this is none.

    Raises:
        DataError: If it is broken; names file, row and value.
    """
    saved = open_saved(path)
    feature: Any = saved.features.get("objects") if saved else None
    if saved is None or saved.image is None or not isinstance(feature, dict):
        return None
    names, notes = _object_classes(saved, cast("dict[str, Any]", feature)), ReadingNotes()
    paths: list[Path] = []
    images: list[CocoImage] = []
    objects: list[list[dict[str, Any]]] = []
    for place, where, value in saved.rows("objects", saved.image):
        try:
            width, height = size_at(place)
        except DataError:
            notes.add("images that cannot be opened, passed over", where)
            continue
        image = CocoImage(id=len(paths) + 1, file_name=place.name, width=width, height=height)
        paths.append(place)
        images.append(image)
        objects.append(list(_objects(saved.folder, where, value, image, len(names), notes)))
    records = tuple(image.model_dump() for image in images)
    categories = tuple({"id": id, "name": name} for id, name in enumerate(names, 1))
    return CocoData(tuple(paths), records, tuple(objects), categories, notes.lines())


def _object_classes(saved: SavedSplit, objects: dict[str, Any]) -> tuple[str, ...]:
    """The classes of the column `objects`."""
    inner: Any = objects.get("feature", objects)
    category: Any = inner.get("category", inner.get("label"))
    while isinstance(category, dict) and "feature" in category:
        category = category["feature"]
    names = saved.names(category)
    if names is None:
        where = printable(saved.folder / INFO)
        raise DataError(f"{where}: the categories of objects have no names")
    return names


def _objects(
    folder: Path, where: str, value: Any, image: CocoImage, classes: int, notes: ReadingNotes
) -> Iterator[dict[str, Any]]:
    """A row's objects in COCO's form, without those that have neither box nor mask."""
    for number, item in enumerate(_items(value), 1):
        found = _object(folder, f"{where}, object {number}", item, image, classes, notes)
        if found is not None:
            yield found


def _items(value: Any) -> list[Any]:
    """Objects as records, from a list of them or from a record of lists."""
    if isinstance(value, list):
        return cast("list[Any]", value)
    if not isinstance(value, dict):
        return [value] if value else []
    given = cast("dict[str, Any]", value)
    columns = {name: given[name] for name in FIELDS if isinstance(given.get(name), list)}
    if len(set(map(len, columns.values()))) > 1:
        return [None]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def _object(
    folder: Path, where: str, item: Any, image: CocoImage, classes: int, notes: ReadingNotes
) -> dict[str, Any] | None:
    """An object in COCO's form; None if nothing says where it is."""
    given = cast("dict[str, Any]", item) if isinstance(item, dict) else {}
    category, mask = given.get("category", given.get("label")), given.get("segmentation") or None
    record = {
        "image_id": image.id,
        "category_id": category,
        "bbox": given.get("bbox") or (None if mask else "missing"),
        "segmentation": mask,
        "iscrowd": given.get("iscrowd"),
    }
    checked = check_record(folder, where, record, CocoAnnotation)
    if not isinstance(category, int) or not 0 <= category < classes:
        raise DataError(
            f"{printable(folder)}, {where}: category is {printable(repr(category)[:60])}, and there"
            f" are {classes} classes"
        )
    whole = repaired(folder, where, checked, record, image, notes)
    if whole is None:
        return None
    assert image.height and image.width
    return as_instance(whole, where, category + 1, (image.height, image.width), notes)
