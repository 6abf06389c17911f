"""Saves Pascal VOC's labels: an XML file an image, and maps of its objects and classes."""

from __future__ import annotations

from typing import Any
from xml.etree.ElementTree import Element, SubElement, indent, tostring

import numpy as np

from kivfm_core.data.saving.png import png
from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.data.saving.saver import SaveFormat, Saver
from kivfm_core.files import write_chunks

# The last number that an object can have in a map; 255 means a border.
LAST = 254


class VocSaver(Saver):
    """Writes `Annotations/NAME.xml`; of images with masks `SegmentationObject/NAME.png` too.

    An object's number in the map is its place in the XML file, from 1. In `SegmentationClass/`, a
    class's number is its place among the classes, from 1. Smaller objects lie on larger ones.
    """

    images = "JPEGImages"
    marks = ("Annotations", "SegmentationObject", "SegmentationClass")
    holds = frozenset(("boxes", "masks"))

    def write(self, image: SavedImage) -> dict[str, Any]:
        """Writes an image's files."""
        file = self.own_file(image, "Annotations", ".xml")
        masked = any(item.mask is not None for item in image.objects)
        if masked:
            objects = self._painted(image)
            places = np.array([0, *(item.label + 1 for item in image.objects)])
            for kind, values in (
                ("SegmentationObject", objects),
                ("SegmentationClass", places[objects]),
            ):
                write_chunks(self.own_file(image, kind, ".png"), (png(values),), sync=False)
        write_chunks(file, (_xml(image, self.classes, masked),), sync=False)
        return {}

    def _painted(self, image: SavedImage) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The number of the object at every pixel `[H, W]`, 0 where there is none."""
        painted = np.zeros((image.height, image.width), np.int64)
        masks = [(n, item.mask) for n, item in enumerate(image.objects, 1) if item.mask is not None]
        if any(number > LAST for number, _ in masks):
            self.notes.add(f"masks of objects after the {LAST}th, left out", image.file)
            masks = [(number, mask) for number, mask in masks if number <= LAST]
        masks.sort(key=lambda pair: -int(pair[1].sum()))
        for number, mask in masks:
            if (painted[mask] > 0).any():
                self.notes.add("masks cut by smaller ones, since a map holds one", image.file)
            painted[mask] = number
        return painted


def _xml(image: SavedImage, classes: tuple[str, ...], masked: bool) -> bytes:
    root = Element("annotation")
    _put(root, "filename", image.file)
    size = SubElement(root, "size")
    for name, value in (("width", image.width), ("height", image.height), ("depth", 3)):
        _put(size, name, value)
    _put(root, "segmented", int(masked))
    for item in image.objects:
        root.append(_object(item, classes))
    indent(root)
    return tostring(root, "utf-8") + b"\n"


def _object(item: SavedObject, classes: tuple[str, ...]) -> Element:
    """An object; VOC counts pixels from 1, and its box contains the last one."""
    found = Element("object")
    _put(found, "name", classes[item.label])
    _put(found, "difficult", 0)
    x1, y1, x2, y2 = item.box
    box = SubElement(found, "bndbox")
    for name, value in (("xmin", x1 + 1), ("ymin", y1 + 1), ("xmax", x2), ("ymax", y2)):
        _put(box, name, f"{value:.3f}".rstrip("0").rstrip("."))
    return found


def _put(parent: Element, name: str, value: object) -> None:
    SubElement(parent, name).text = str(value)


VOC = SaveFormat(
    "voc",
    "Annotations/*.xml: boxes; masks as maps beside",
    VocSaver,
    "voc",
    masks_note="masks that overlap will be cut, since VOC has one map of an image's objects; coco"
    " and yolo hold them whole",
)
