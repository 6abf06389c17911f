"""Saves maps of classes: a PNG an image, and the classes' names."""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from kivfm_core.data.saving.png import OTHER, OTHER_16, png
from kivfm_core.data.saving.record import SavedImage
from kivfm_core.data.saving.saver import SaveFormat, Saver
from kivfm_core.errors import DataError, printable
from kivfm_core.files import write_chunks, write_text


class MasksSaver(Saver):
    """Writes `semantic/NAME.png` for every image, and `semantic/classes.json`.

    A pixel's value is its class; without one it is 255, or 65535 where there are more than 255
    classes.
    """

    marks = ("semantic",)
    holds = frozenset(("map",))

    def start(self) -> None:
        """Names the classes."""
        (self.folder / "semantic").mkdir(exist_ok=True)
        text = json.dumps(self.classes, ensure_ascii=False, indent=1)
        write_text(self.folder / "semantic/classes.json", text + "\n")

    def write(self, image: SavedImage) -> dict[str, Any]:
        """Writes an image's map."""
        if image.class_map is None:
            raise DataError(f"{printable(image.file)} has no map of classes")
        file = self.own_file(image, "semantic", ".png")
        other = OTHER if len(self.classes) <= OTHER else OTHER_16
        values = np.where(image.class_map < 0, other, image.class_map)
        write_chunks(file, (png(values),), sync=False)
        return {}


MASKS = SaveFormat("masks", "semantic/*.png: the class of every pixel", MasksSaver, "masks")
