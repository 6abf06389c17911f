"""Pascal VOC's labels: an XML file with boxes for each image, and maps of its objects."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from kivfm_core.data.formats.class_maps import check_map, read_map
from kivfm_core.data.formats.coco import VOID, CocoData
from kivfm_core.data.formats.image_files import find_image_files
from kivfm_core.data.formats.reading import ReadingNotes, read_text
from kivfm_core.data.formats.voc_records import VocAnnotation, VocObject, read_voc_annotation
from kivfm_core.data.images import is_image_file, upright_size
from kivfm_core.data.labeled_images import pick
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabelFormat

VOC = LabelFormat(
    name="voc",
    read="kivfm_core.data.formats.voc:read_voc",
    needs="Annotations/*.xml (Pascal VOC) and JPEGImages/",
    example="JPEGImages/a.jpg, Annotations/a.xml",
)

# Where tools put the annotations, and the images; `.` is the folder itself.
ANNOTATIONS = ("Annotations", "annotations", ".")
IMAGES = ("JPEGImages", "images", ".")
# The value of pixels at an object's border, which do not count.
BORDER = 255


@dataclass(frozen=True)
class VocData(CocoData):
    """Images with instances.

    Attributes:
        maps: The map of objects of each image; None for an image that has none.
    """

    maps: tuple[Path | None, ...] = ()

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their instances."""
        return replace(super().pick(indices), maps=pick(self.maps, indices))

    def semantic(self, index: int, space: tuple[str, ...]) -> NDArray[np.int64]:
        """Paints an image's instances into a map `[H, W]` of indices into a label space.

        Borders do not count, and nor do images whose objects have boxes alone.
        """
        file = self.maps[index]
        if file is None and self.annotations[index]:
            return np.full(self.size(index), VOID, np.int64)
        target = super().semantic(index, space)
        if file is not None:
            target[read_map(file) == BORDER] = VOID
        return target


def read_voc(path: Path) -> VocData | None:
    """VOC's folder, or a list of its `ImageSets/`; None if this is neither.

    Raises:
        DataError: If a file is wrong, or the images are not there.
    """
    root, wanted = path, None
    if path.is_file():
        if path.suffix != ".txt" or path.parent.parent.name != "ImageSets":
            return None
        root = path.parent.parent.parent
        wanted = {line.split()[0] for line in read_text(path).splitlines() if line.split()}
    notes = ReadingNotes()
    found: dict[str, VocAnnotation] = {}
    folder, files = _find(root)
    for file in files:
        stem = file.relative_to(folder).with_suffix("").as_posix()
        if wanted is not None and stem not in wanted:
            continue
        item = read_voc_annotation(file)
        if item is None:
            notes.add("XML files that are no annotations, passed over", file.name)
        else:
            found[stem] = item
    for name in sorted((wanted or set()) - found.keys()):
        notes.add("listed images without an annotation, passed over", name)
    return _gather(root, folder, found, notes) if found else None


def _find(root: Path) -> tuple[Path, list[Path]]:
    """The folder of the annotations, and its files; none if there is none."""
    for name in ANNOTATIONS:
        folder = root / name
        files = sorted(folder.glob("*.xml") if name == "." else folder.rglob("*.xml"))
        # XML of any kind may lie in a folder of images.
        if files and (name != "." or b"<annotation" in files[0].read_bytes()[:4096]):
            return folder, files
    return root, []


def _gather(
    root: Path, folder: Path, found: dict[str, VocAnnotation], notes: ReadingNotes
) -> VocData:
    names = sorted({item.name for annotation in found.values() for item in annotation.objects})
    categories = {name: number for number, name in enumerate(names, 1)}
    paths = _find_images(root, folder, found, notes)
    images: list[dict[str, Any]] = []
    annotations: list[list[dict[str, Any]]] = []
    maps: list[Path | None] = []
    for (stem, item), path in zip(found.items(), paths, strict=True):
        height, width = _size(item, path, notes)
        file = root / "SegmentationObject" / f"{stem}.png"
        masks = dict[int, Any]()
        if file.is_file():
            check_map(path, file)
            masks = _masks(file, (height, width))
        elif item.objects:
            notes.add("images with boxes alone", stem)
        maps.append(file if file.is_file() else None)
        name = {"id": len(images) + 1, "file_name": path.name}
        images.append({**name, "height": height, "width": width})
        annotations.append(
            [
                _as_dict(thing, categories[thing.name], masks.get(number))
                for number, thing in enumerate(item.objects, 1)
            ]
        )
        if any(thing.difficult for thing in item.objects):
            notes.add("images with difficult objects, which do not count", stem)
    kinds = tuple({"id": number, "name": name} for name, number in categories.items())
    return VocData(
        tuple(paths), tuple(images), tuple(annotations), kinds, notes.lines(), maps=tuple(maps)
    )


def _find_images(
    root: Path, folder: Path, found: dict[str, VocAnnotation], notes: ReadingNotes
) -> list[Path]:
    """The image of each annotation: the one with its stem, or else the one that it names."""
    places = [root / name for name in IMAGES if (root / name).is_dir()]
    files: dict[str, list[str]] = {}
    for path in sorted(places[0].rglob("*")):
        if is_image_file(path.name):
            name = path.relative_to(places[0])
            files.setdefault(name.with_suffix("").as_posix(), []).append(name.as_posix())
    names: list[str] = []
    for stem, item in found.items():
        own = files.get(stem, [])
        named = item.filename or f"{PurePosixPath(stem)}.jpg"
        names.append(own[0] if own and named not in own else named)
    return find_image_files(folder, names, notes, places)


def _size(item: VocAnnotation, path: Path, notes: ReadingNotes) -> tuple[int, int]:
    """Height and width in pixels: as the file says, or else as the image says."""
    if item.width and item.height:
        return item.height, item.width
    notes.add("image sizes taken from the images, since the file does not say", path.name)
    width, height = upright_size(path)
    return height, width


def _masks(file: Path, size: tuple[int, int]) -> dict[int, dict[str, Any]]:
    """COCO's run lengths of the objects in a map, by their numbers."""
    # Imported when it is used: lists and plans name this format, and decode nothing.
    from faster_coco_eval.core import mask as codec

    values = read_map(file)
    if values.shape != size:
        raise DataError(
            f"{printable(file)} has {values.shape} pixels (height, width), its annotation {size}"
        )
    masks: dict[int, dict[str, Any]] = {}
    for number in np.unique(values).tolist():
        if number not in (0, BORDER):
            runs: Any = codec.encode(np.asfortranarray(values == number, np.uint8))
            masks[number] = {"size": list(size), "counts": runs["counts"].decode()}
    return masks


def _as_dict(item: VocObject, category: int, mask: dict[str, Any] | None) -> dict[str, Any]:
    """An object in COCO's form: VOC counts pixels from 1, and the last one is inside."""
    x, y = item.xmin - 1, item.ymin - 1
    return {
        "category_id": category,
        "bbox": [x, y, max(0.0, item.xmax - x), max(0.0, item.ymax - y)],
        "segmentation": mask,
        "iscrowd": int(item.difficult),
    }
