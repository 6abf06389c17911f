"""Saves YOLO's labels: a text file an image, a line an object: its box, or its mask's outline."""

from __future__ import annotations

from typing import Any

import numpy as np

from kivfm_core.data.saving.outline import outline
from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.data.saving.saver import SaveFormat, Saver
from kivfm_core.files import write_chunks, write_text


class YoloSaver(Saver):
    """Writes `data.yaml`, and `labels/NAME.txt` for every image; an empty one if it has no object.

    An object with a mask is the outline of its mask, and so loses its own box. What lies outside of
    the image is cut off.
    """

    marks = ("data.yaml", "labels")
    holds = frozenset(("boxes", "masks"))

    def start(self) -> None:
        """Names the classes."""
        # Imported when it is used: lists name this format, and write nothing.
        import yaml

        content: dict[str, Any] = {"train": "images", "val": "images"}
        content["names"] = dict(enumerate(self.classes))
        text = yaml.safe_dump(content, sort_keys=False, allow_unicode=True)
        write_text(self.folder / "data.yaml", text)

    def write(self, image: SavedImage) -> dict[str, Any]:
        """Writes an image's file."""
        # YOLO's tools put `labels` in the place of the last `images`, as in `images/day/images/`.
        *before, last = f"{self.images}/{image.file}".rpartition("images/")
        file = self.own_file(image, before[0] + "labels", ".txt", last)
        lines = [self._line(item, image) for item in image.objects]
        write_chunks(file, ("".join(f"{line}\n" for line in lines).encode(),), sync=False)
        return {}

    def _line(self, item: SavedObject, image: SavedImage) -> str:
        size = np.array((image.width, image.height))
        if item.mask is not None and item.mask.any():
            numbers = (outline(item.mask) / size).ravel()
        else:
            corners = np.array(item.box, np.float64).reshape(2, 2) / size
            cut = corners.clip(0, 1)
            if (cut != corners).any():
                self.notes.add("boxes cut at the image's edge", image.file)
            numbers = np.concatenate(((cut[0] + cut[1]) / 2, cut[1] - cut[0]))
        return " ".join((str(item.label), *(f"{number:.8f}" for number in numbers)))


YOLO = SaveFormat("yolo", "data.yaml and labels/*.txt: boxes or outlines", YoloSaver, "yolo")
