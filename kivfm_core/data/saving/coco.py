"""Saves COCO's instances: boxes, masks as run lengths, and scores."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import numpy as np

from kivfm_core.data.saving.record import SavedImage, SavedObject
from kivfm_core.data.saving.saver import SaveFormat, Saver
from kivfm_core.files import write_chunks


class CocoSaver(Saver):
    """Writes `instances.json`; category ids are the classes' places, from 1."""

    marks = ("instances.json",)
    holds = frozenset(("boxes", "masks"))

    def write(self, image: SavedImage) -> dict[str, Any]:
        """An image's records; ids are given when all are known."""
        return {
            "width": image.width,
            "height": image.height,
            "objects": [_annotation(item) for item in image.objects],
        }

    def finish(self, entries: Iterator[dict[str, Any]]) -> None:
        """Writes the images' records, then the objects', reading the journal twice."""
        lines = (line.encode() for line in self._lines(entries))
        write_chunks(self.folder / "instances.json", lines)

    def _lines(self, entries: Iterator[dict[str, Any]]) -> Iterator[str]:
        categories = [{"id": i, "name": name} for i, name in enumerate(self.classes, 1)]
        yield f'{{"categories": {json.dumps(categories)},\n"images": [\n'
        for number, entry in enumerate(entries, 1):
            image = {"id": number, "file_name": entry["file"]}
            image |= {"width": entry["width"], "height": entry["height"]}
            yield ("," if number > 1 else "") + json.dumps(image) + "\n"
        yield '],\n"annotations": [\n'
        number = 0
        for place, entry in enumerate(self.journal.entries(), 1):
            for item in entry["objects"]:
                number += 1
                whole = {"id": number, "image_id": place, **item}
                yield ("," if number > 1 else "") + json.dumps(whole) + "\n"
        yield "]}\n"


def _annotation(item: SavedObject) -> dict[str, Any]:
    x1, y1, x2, y2 = (round(float(side), 3) for side in item.box)
    box = [x1, y1, round(x2 - x1, 3), round(y2 - y1, 3)]
    found: dict[str, Any] = {"category_id": item.label + 1, "bbox": box, "iscrowd": 0}
    if item.score is not None:
        found["score"] = round(float(item.score), 6)
    found["area"] = round(box[2] * box[3], 3)
    if item.mask is not None:
        # Imported when it is used: lists name this format, and encode nothing.
        from faster_coco_eval.core import mask as codec

        runs: Any = codec.encode(np.asfortranarray(item.mask, np.uint8))
        found["area"] = int(item.mask.sum())
        found["segmentation"] = {"size": list(runs["size"]), "counts": runs["counts"].decode()}
    return found


COCO = SaveFormat("coco", "instances.json: boxes, masks, scores", CocoSaver, "coco")
