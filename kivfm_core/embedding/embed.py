"""Embeds images: a model's features of whole folders, into one file."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from kivfm_core.data.batches import Batch, batches
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.data.named_images import NamedImages, find_named
from kivfm_core.embedding.kind import FILE, VECTOR, Manifest, Writer
from kivfm_core.embedding.nearest import read_index
from kivfm_core.embedding.table import file_kind
from kivfm_core.errors import DataError, UsageError, printable
from kivfm_core.files import new_file
from kivfm_core.loaded.features import Viewpoint, viewpoint
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.progress import Progress, reporter
from kivfm_core.runs.run import Run
from kivfm_core.teacher import Levels

Given = str | Path | Sequence[str | Path]


@dataclass(frozen=True)
class Embedded:
    """What was written.

    Attributes:
        out: The file.
        images: How many images are in it.
        broken: What is wrong with each image that could not be decoded, a line each.
        manifest: What made the features, as it is in the file.
    """

    out: Path
    images: int
    broken: list[str]
    manifest: Manifest = field(repr=False)

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {
            "schema": 1,
            "out": str(self.out),
            "images": self.images,
            "broken": self.broken,
            "manifest": self.manifest,
        }


# Nine parameters, as the command has flags; most calls give three.
def embed(
    model: str | Path | Run | Model,
    images: Given,
    out: str | Path,
    *,
    teacher: str | None = None,
    maps: Sequence[str] = (),
    pool: int | None = None,
    weights: str | Path | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> Embedded:
    """Writes a model's features of images to a file: paths, vectors, and maps if they are wanted.

    Memory does not grow with the number of images, but for their names. Rows are sorted by name;
    images of one canvas size stay together.

    Args:
        model: A run's folder, a bundle's folder, or a teacher's name.
        images: A folder, an image file or a pattern such as `photos/**/*.jpg`; or several; or a
            tar, or a URL.
        out: The file; its ending says which kind: `.parquet`, `.npz` or `.safetensors`.
        teacher: Store this teacher's levels, as the student predicts them, in place of the
            student's own features.
        maps: Names of dense maps to store, too.
        pool: Store maps averaged to so many times so many places; all maps if none is named.
        weights: A file for a teacher's weights, in place of its own source.
        accelerator: Where the encoder computes, as in `engine.accelerator`.
        progress: Where to report; by default in a notebook, and nowhere else.

    Raises:
        UsageError: If it is no model, a name is unknown, maps differ in size, or `out` is there
            and holds no features.
        DataError: If there are no images, or none can be decoded.
        KivfmError: If the file cannot be written, or the extra for its kind is missing.
    """
    file = Path(out).expanduser()
    kind = file_kind(file)
    _keep_what_is_there(file)
    found = find_named([images] if isinstance(images, str | Path) else images)
    opened = open_model(model, accelerator, weights)
    seen = viewpoint(opened, teacher)
    chosen = _choose(seen, maps, pool)
    with new_file(file) as target, closing(kind.writer(target, file.parent)) as writer:
        rows = _Rows(seen, chosen, pool, writer)
        broken = _fill(rows, found, reporter(progress))
        manifest = _manifest(opened, rows, broken)
        writer.finish(manifest)
    return Embedded(file, rows.written, broken, manifest)


def _keep_what_is_there(file: Path) -> None:
    """Refuses to write over what is no file of features: a student's weights, say."""
    if not file.is_file():
        return
    try:
        read_index(file)
    except DataError as error:
        raise UsageError(
            f"{printable(file)} is there already, and holds no features", "give another file"
        ) from error


def _choose(seen: Viewpoint, maps: Sequence[str], pool: int | None) -> tuple[str, ...]:
    unknown = [name for name in maps if name not in seen.maps]
    if unknown:
        hint = f"one of: {', '.join(seen.maps)}" if seen.maps else "leave --maps away"
        raise UsageError(f"{seen.encoder.spec.name} has no map {unknown[0]!r}", hint)
    if taken := {FILE, VECTOR} & {*maps}:
        raise UsageError(f"a map cannot be stored by the name {taken.pop()}")
    return tuple(maps) or (seen.maps if pool else ())


class _Rows:
    """From batches to rows of the file."""

    def __init__(
        self, seen: Viewpoint, maps: Sequence[str], pool: int | None, writer: Writer
    ) -> None:
        self.seen, self.maps, self.pool, self.writer = seen, maps, pool, writer
        self.shapes: dict[str, tuple[int, ...]] = {}
        self.written = 0

    def add(self, names: Sequence[str], batch: Batch) -> None:
        """Encodes a batch and writes its rows."""
        arrays = self._arrays(self.seen.encoder.encode(batch.images, batch.frames))
        for name, rows in arrays.items():
            if self.shapes.setdefault(name, rows.shape[1:]) != rows.shape[1:]:
                raise UsageError(
                    f"canvases differ in size, and so do the maps {name}: {self.shapes[name]} and"
                    f" {rows.shape[1:]}",
                    "--pool 8 averages all maps to one size",
                )
        self.writer.write(names, arrays)
        self.written += len(names)

    def _arrays(self, levels: Levels) -> dict[str, NDArray[Any]]:
        arrays = {VECTOR: self.seen.vector(levels).numpy()}
        for name in self.maps:
            level = levels[name].float().cpu()
            level = F.adaptive_avg_pool2d(level, self.pool) if self.pool else level
            arrays[name] = level.numpy()
        return {name: np.ascontiguousarray(rows) for name, rows in arrays.items()}


def _fill(rows: _Rows, images: NamedImages, progress: Progress) -> list[str]:
    """Embeds all images; returns what is wrong with the broken ones."""
    paths = [images.path(name) for name in images.names]
    reader = ImageReader(len(paths), limit=len(paths))
    began = time.monotonic()
    progress.start(len(paths))
    for batch in batches(paths, rows.seen.encoder.spec.input, reader=reader):
        rows.add([_from_here(paths[index]) for index in batch.indices], batch)
        rate = rows.written / max(time.monotonic() - began, 1e-9)
        progress.step({"step": batch.read, "images_per_second": rate})
    if not rows.written:
        raise DataError(f"none of {len(paths)} images can be decoded: {reader.broken[0]}")
    progress.step({"step": len(paths)})
    return reader.broken


def _from_here(path: Path) -> str:
    """A path as a user here writes it; what is no UTF-8 in it is written out."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return os.fsencode(shown).decode("utf-8", "backslashreplace")


def _manifest(model: Model, rows: _Rows, broken: Sequence[str]) -> Manifest:
    """What made the features, so that they can be told from others and made again."""
    spec = rows.seen.encoder.spec
    return {
        "schema": 1,
        "model": model.name,
        "sha256": model.sha256,
        "teacher": rows.seen.teacher,
        "level": rows.seen.level,
        "channels": rows.shapes[VECTOR][0],
        "maps": {name: list(rows.shapes[name]) for name in rows.maps},
        "pool": rows.pool,
        "canvas": spec.input.model_dump(mode="json"),
        "versions": {"kivfm": version("kivfm"), "torch": torch.__version__},
        "images": rows.written,
        "broken": [printable(line) for line in broken],
    }
