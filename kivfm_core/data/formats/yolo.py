"""YOLO's labels: `data.yaml`, and a text file an image with a box or an outline in each line."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import BaseModel, ConfigDict, field_validator

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.data.formats.image_files import find_image_files
from kivfm_core.data.formats.reading import ReadingNotes, check_record, read_text
from kivfm_core.data.images import is_image_file, upright_size
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

YOLO = LabelFormat(
    name="yolo",
    read="kivfm_core.data.formats.yolo:read_yolo",
    needs="data.yaml with names, images/ and labels/*.txt",
    example="data.yaml, images/a.jpg, labels/a.txt",
)

# Which part of the data is read: the first that there is.
PARTS = ("val", "test", "train")
# Coordinates may be so much outside of the image: tools round.
SLACK = 0.01
# Characters in `data.yaml`.
LIMIT = 10**7


class YoloConfig(BaseModel):
    """What `data.yaml` says: the classes, and where the images of each part are."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    names: dict[int, str]
    path: str | None = None
    train: list[str] = []
    val: list[str] = []
    test: list[str] = []

    @field_validator("names", mode="before")
    @classmethod
    def _a_list_counts_from_zero(cls, value: Any) -> Any:
        named = dict(enumerate(value)) if isinstance(value, list) else value
        if isinstance(named, dict):  # YAML reads `yes` and `1` as no text
            return {
                key: name if isinstance(name, str) else str(name) for key, name in named.items()
            }
        return named

    @field_validator("train", "val", "test", mode="before")
    @classmethod
    def _one_place_is_a_list(cls, value: Any) -> Any:
        return [value] if isinstance(value, str) else value or []


def read_yolo(path: Path) -> CocoData | None:
    """YOLO's data: the YAML file, or a folder with `data.yaml`; None if this is neither.

    Raises:
        DataError: If the file or a line of the labels is wrong, or the images are not there.
    """
    file = path / "data.yaml" if path.is_dir() else path
    if file.suffix.lower() not in (".yaml", ".yml") or not file.is_file():
        return None
    content = _read_yaml(file)
    if not isinstance(content, dict) or "names" not in content:
        if path.is_dir():
            raise DataError(f"{printable(file)} has no names of classes", "names: [cat, dog]")
        return None
    config = check_record(file, "its head", content, YoloConfig)
    notes = ReadingNotes()
    places = {value: place for place, value in enumerate(config.names, 1)}
    images: list[dict[str, Any]] = []
    paths: list[Path] = []
    annotations: list[list[dict[str, Any]]] = []
    for image in _images(file, config, notes):
        try:
            width, height = upright_size(image)
        except DataError:
            notes.add("images that cannot be opened, passed over", image.name)
            continue
        labels = _labels_of(image, file.parent)
        if labels is None:
            notes.add("images without a label file, read as showing nothing", image.name)
        items = [] if labels is None else _read_labels(labels, places, (width, height), notes)
        paths.append(image)
        name = image.relative_to(file.parent).as_posix()
        images.append({"id": len(paths), "file_name": name, "height": height, "width": width})
        annotations.append(items)
    categories = tuple({"id": places[value], "name": name} for value, name in config.names.items())
    return CocoData(tuple(paths), tuple(images), tuple(annotations), categories, notes.lines())


def _read_yaml(file: Path) -> Any:
    # Imported when it is used: lists and plans name this format, and read nothing.
    import yaml

    text = read_text(file)
    if len(text) > LIMIT:
        raise DataError(f"{printable(file)} is too large to be a list of classes")
    try:
        if any(isinstance(event, yaml.AliasEvent) for event in yaml.parse(text)):
            # A few of them, nested, would ask for any amount of memory.
            raise DataError(f"{printable(file)} has references (*name)", "write them out")
        return yaml.safe_load(text)
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        raise DataError(f"{printable(file)} is not YAML: {' '.join(str(error).split())}") from error


def _images(file: Path, config: YoloConfig, notes: ReadingNotes) -> Iterator[Path]:
    """The images of the first part that lies in the folder.

    Paths of another machine, and ones that lead out of the folder, are looked up by their last
    parts, as tools that write `../valid/images` mean them.
    """
    given = [(part, place) for part in PARTS for place in getattr(config, part)]
    if not given:
        raise DataError(f"{printable(file)} names no images", "val: images")
    for part in PARTS:
        places = [_inside(file.parent, config.path, place) for place in getattr(config, part)]
        found = [place for place in places if place is not None]
        if not found:
            continue
        for place in found:
            if place.is_dir():
                yield from (p for p in sorted(place.rglob("*")) if is_image_file(p.name))
            else:
                names = [line.strip() for line in read_text(place).splitlines() if line.strip()]
                yield from find_image_files(place, names, notes, (file.parent, place.parent))
        return
    raise DataError(
        f"{printable(file)}: there is no {printable(given[0][1])}",
        "put the images there; paths are read from the folder of data.yaml",
    )


def _inside(folder: Path, root: str | None, place: str) -> Path | None:
    """Where a path of `data.yaml` is in the file's folder; None if it is not there."""
    whole = PurePosixPath(root or "", place.replace("\\", "/"))
    parts = [part for part in whole.parts if part not in ("/", "..", ".")]
    for start in range(max(1, len(parts))):
        found = folder.joinpath(*parts[start:])
        if found.is_dir() or (found.suffix == ".txt" and found.is_file()):
            return found
    return None


def _labels_of(image: Path, root: Path) -> Path | None:
    """The label file of an image: under `labels` in place of the last `images`, or beside it."""
    parts = list(image.relative_to(root).parts)
    if "images" in parts:
        parts[len(parts) - 1 - parts[::-1].index("images")] = "labels"
    file = root.joinpath(*parts).with_suffix(".txt")
    return file if file.is_file() else None


def _read_labels(
    file: Path, places: dict[int, int], size: tuple[int, int], notes: ReadingNotes
) -> list[dict[str, Any]]:
    """The objects of an image."""
    found: list[dict[str, Any]] = []
    for number, line in enumerate(read_text(file).splitlines(), 1):
        words = line.split()
        if words:
            found.append(_object(f"{printable(file)}, line {number}", words, places, size, notes))
    return found


def _object(
    where: str,
    words: list[str],
    places: dict[int, int],
    size: tuple[int, int],
    notes: ReadingNotes,
) -> dict[str, Any]:
    """An object in COCO's form: class and box, or class and outline; a score may follow."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        raise DataError(f"{where}: {printable(' '.join(words)[:60])} are not numbers") from None
    label, values = numbers[0], numbers[1:]
    if label not in places:
        raise DataError(f"{where}: the class {words[0]} is not in data.yaml", "name it there")
    if len(values) < 4:
        raise DataError(f"{where}: {len(words)} numbers are no class and box")
    if len(values) % 2:
        notes.add("scores, passed over", where)
        values.pop()
    if not all(math.isfinite(value) and -SLACK <= value <= 1 + SLACK for value in values):
        raise DataError(
            f"{where}: a coordinate is not between 0 and 1",
            "divide by the width and height of the image",
        )
    width, height = size
    if len(values) == 4:
        x, y, w, h = values
        box = ((x - w / 2) * width, (y - h / 2) * height, w * width, h * height)
        outline = None
    else:
        xs, ys = [x * width for x in values[0::2]], [y * height for y in values[1::2]]
        box = (min(xs), min(ys), max(xs) - min(xs), max(ys) - min(ys))
        outline = [[side for pair in zip(xs, ys, strict=True) for side in pair]]
    return {
        "category_id": places[int(label)],
        "bbox": list(box),
        "segmentation": outline,
        "iscrowd": 0,
    }
