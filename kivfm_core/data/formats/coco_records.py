"""The records of a COCO label file: checked when read, repaired where the meaning is plain.

Ids are keys and nothing else: numbers or text, as long as they are unique. What COCO's own tools
repair is repaired and counted; what has no plain meaning is an error that names the file, the
record and the value. Torch-free.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, field_validator

from kivfm_core.data.formats.reading import ReadingNotes, check_record, read_json
from kivfm_core.errors import DataError, printable

Id = int | str
Box = tuple[float, float, float, float]
_FALSE, _TRUE = {"0", "false", "", "no"}, {"1", "true", "yes"}


class _Lenient(BaseModel):
    """Takes numbers as text, and ignores fields that nothing here reads."""

    model_config = ConfigDict(extra="ignore", frozen=True, allow_inf_nan=False)

    @field_validator("id", "image_id", "category_id", mode="before", check_fields=False)
    @classmethod
    def _id_is_a_key(cls, value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | str):
            raise ValueError("an id is a whole number or text")
        return value


class CocoCategory(_Lenient):
    """A class of objects."""

    id: Id
    name: str = Field(min_length=1)


class CocoImage(_Lenient):
    """An image; sizes in pixels, None where the file does not say."""

    id: Id
    file_name: str = Field(min_length=1)
    width: int | None = Field(default=None, gt=0)
    height: int | None = Field(default=None, gt=0)


class CocoAnnotation(_Lenient):
    """An object.

    Attributes:
        image_id: Of its image.
        category_id: Of its class.
        bbox: `(x, y, width, height)` in pixels; None if only the mask says where it is.
        segmentation: Polygons, or run lengths with their size; None if it has no mask.
        iscrowd: Whether it stands for a group of objects.
        area: In pixels; None if the file does not say.
    """

    id: Id | None = None
    image_id: Id
    category_id: Id
    bbox: Box | None = None
    segmentation: list[list[float]] | dict[str, Any] | None = None
    iscrowd: bool = False
    area: float | None = Field(default=None, ge=0)

    @field_validator("id", mode="before")
    @classmethod
    def _own_id_may_be_missing(cls, value: Any) -> Any:
        return value

    @field_validator("bbox", mode="before")
    @classmethod
    def _no_box_is_none(cls, value: Any) -> Any:
        return None if value == [] else value

    @field_validator("bbox")
    @classmethod
    def _box_has_a_size(cls, value: Box | None) -> Box | None:
        if value is not None and (value[2] < 0 or value[3] < 0):
            raise ValueError("a box is [x, y, width, height], and its size is not negative")
        return value

    @field_validator("segmentation", mode="before")
    @classmethod
    def _one_polygon_is_a_list(cls, value: Any) -> Any:
        if isinstance(value, list) and value and not isinstance(value[0], list | dict):
            return [value]
        return value or None

    @field_validator("iscrowd", mode="before")
    @classmethod
    def _crowd_is_yes_or_no(cls, value: Any) -> Any:
        if value is None or str(value).strip().lower() in _FALSE:
            return False
        if str(value).strip().lower() in _TRUE:
            return True
        raise ValueError("iscrowd is 0 or 1")


@dataclass(frozen=True)
class CocoRecords:
    """What a COCO file says, checked.

    Attributes:
        images: In the file's order.
        annotations: Of each image, in the file's order.
        categories: In the file's order.
    """

    images: tuple[CocoImage, ...]
    annotations: tuple[list[CocoAnnotation], ...]
    categories: tuple[CocoCategory, ...]


def read_coco_records(path: Path, notes: ReadingNotes) -> CocoRecords | None:
    """Reads a COCO label file; None if it is JSON of another kind.

    Args:
        path: The file.
        notes: Counts what is repaired or passed over.

    Raises:
        DataError: If it is not JSON, or a record is wrong; names file, record and value.
    """
    content = read_json(path)
    if not isinstance(content, dict) or not {"images", "annotations", "categories"} <= set(content):
        return None
    images = _records(path, "image", content["images"], CocoImage)
    categories = _records(path, "category", content["categories"], CocoCategory)
    known_images = {image.id: place for place, image in enumerate(images)}
    known_categories = {category.id for category in categories}
    found: list[list[CocoAnnotation]] = [[] for _ in images]
    for place, item in enumerate(_items(path, "annotation", content["annotations"])):
        record = _record(path, "annotation", place, item, CocoAnnotation)
        name = _name("annotation", place, item)
        if record.image_id not in known_images:
            notes.add("annotations of images that the file does not list, passed over", name)
        elif record.category_id not in known_categories:
            notes.add("annotations of categories that the file does not list, passed over", name)
        else:
            image = images[known_images[record.image_id]]
            whole = repaired(path, name, record, item, image, notes)
            if whole is not None:
                found[known_images[record.image_id]].append(whole)
    return CocoRecords(tuple(images), tuple(found), tuple(categories))


def repaired(
    path: Path, name: str, record: CocoAnnotation, item: Any, image: CocoImage, notes: ReadingNotes
) -> CocoAnnotation | None:
    """An annotation with a mask that is one, or none; passed over if nothing says where it is.

    Args:
        path: The file, for messages.
        name: The annotation's in it.
        record: The annotation, checked.
        item: As the file has it.
        image: Its image.
        notes: Counts what is repaired or passed over.

    Raises:
        DataError: If its run lengths do not fit the image.
    """
    given = item.get("segmentation")
    if isinstance(given, list) and given and not isinstance(given[0], list):
        notes.add("a polygon without the list around it, read as one polygon", name)
    mask = record.segmentation
    if isinstance(mask, list):
        closed = [polygon for polygon in mask if len(polygon) >= 6 and len(polygon) % 2 == 0]
        if len(closed) < len(mask):
            # COCO's tools would read one of four numbers as a box.
            notes.add("polygons of fewer than three points, passed over", name)
        mask = closed or None
    elif isinstance(mask, dict):
        _check_run_lengths(path, name, mask, image)
    if record.bbox is None and mask is None:
        notes.add("annotations with neither box nor mask, passed over", name)
        return None
    return record.model_copy(update={"segmentation": mask})


def _check_run_lengths(path: Path, name: str, mask: dict[str, Any], image: CocoImage) -> None:
    """Refuses run lengths of another size than the image's, and such as are cut off."""
    size, counts = mask.get("size"), mask.get("counts")
    where = f"{printable(path)}, {name}: segmentation"
    if (
        not isinstance(size, list)
        or [type(side) for side in size] != [int, int]
        or not isinstance(counts, list | str)
    ):
        raise DataError(f"{where} is neither polygons nor run lengths with size and counts")
    if image.height is not None and size != [image.height, image.width]:
        raise DataError(
            f"{where} has the size {size}, its image {[image.height, image.width]}",
            "both are [height, width] in pixels",
        )
    runs = counts if isinstance(counts, list) else _decoded(counts)
    whole = all(type(run) is int and run >= 0 for run in runs)
    if not whole or sum(runs) != size[0] * size[1]:
        raise DataError(f"{where}: its run lengths do not cover {size[0]} x {size[1]} pixels")


def _decoded(text: str) -> list[int]:
    """The run lengths of COCO's compressed text: 5 bits a character, differences from the third."""
    runs: list[int] = []
    value = shift = 0
    for character in text:
        chunk = ord(character) - 48
        value |= (chunk & 31) << shift
        shift += 5
        if not chunk & 32:
            if chunk & 16:
                value -= 1 << shift
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs if shift == 0 else [-1]


_Kind = TypeVar("_Kind", CocoImage, CocoCategory)
_Any = TypeVar("_Any", bound=_Lenient)


def _records(path: Path, what: str, items: Any, kind: type[_Kind]) -> list[_Kind]:
    """Records of one kind, their ids unique."""
    records = [
        _record(path, what, place, item, kind)
        for place, item in enumerate(_items(path, what, items))
    ]
    seen: set[Any] = set()
    for record in records:
        own: Any = record.id
        if own in seen:
            raise DataError(
                f"{printable(path)}: two {what} records have the id {own!r}", "make them unique"
            )
        seen.add(own)
    return records


def _items(path: Path, what: str, items: Any) -> Sequence[Any]:
    if not isinstance(items, list):
        raise DataError(f"{printable(path)}: its {what} records are not a list")
    return items


def _record(path: Path, what: str, place: int, item: Any, kind: type[_Any]) -> _Any:
    return check_record(path, _name(what, place, item), item, kind)


def _name(what: str, place: int, item: Any) -> str:
    own = item.get("id") if isinstance(item, dict) else None
    return f"{what} {printable(str(own))}" if own is not None else f"{what} number {place + 1}"
