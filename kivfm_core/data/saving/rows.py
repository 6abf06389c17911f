"""Saves the class of each image, a line each: CSV, or JSON lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from io import StringIO
from typing import Any

from kivfm_core.data.saving.record import SavedImage
from kivfm_core.data.saving.saver import SaveFormat, Saver
from kivfm_core.errors import DataError, printable
from kivfm_core.files import write_chunks

_COLUMNS = ("file", "class", "score")


class _RowSaver(Saver):
    """Keeps file, class and score of every image in the journal."""

    holds = frozenset(("class",))

    def write(self, image: SavedImage) -> dict[str, Any]:
        """An image's line."""
        if image.label is None:
            raise DataError(f"{printable(image.file)} has no class")
        score = None if image.score is None else round(float(image.score), 6)
        return {"class": self.classes[image.label], "score": score}

    def finish(self, entries: Iterator[dict[str, Any]]) -> None:
        """Writes the file."""
        lines = (line.encode() for line in self._lines(entries))
        write_chunks(self.folder / self.marks[0], lines)

    def _lines(self, entries: Iterator[dict[str, Any]]) -> Iterator[str]:
        raise NotImplementedError


class CsvSaver(_RowSaver):
    """Writes `labels.csv`, with a head."""

    marks = ("labels.csv",)

    def _lines(self, entries: Iterator[dict[str, Any]]) -> Iterator[str]:
        yield _joined(_COLUMNS)
        for entry in entries:
            score = entry["score"]
            yield _joined((entry["file"], entry["class"], "" if score is None else score))


class JsonlSaver(_RowSaver):
    """Writes `labels.jsonl`."""

    marks = ("labels.jsonl",)

    def _lines(self, entries: Iterator[dict[str, Any]]) -> Iterator[str]:
        for entry in entries:
            known = {key: entry[key] for key in _COLUMNS if entry[key] is not None}
            yield json.dumps(known, ensure_ascii=False) + "\n"


def _joined(cells: tuple[Any, ...]) -> str:
    text = StringIO()
    csv.writer(text, lineterminator="\n").writerow(cells)
    return text.getvalue()


CSV = SaveFormat("csv", "labels.csv: file, class, score", CsvSaver, "csv")
JSONL = SaveFormat("jsonl", "labels.jsonl: file, class, score", JsonlSaver, "jsonl")
