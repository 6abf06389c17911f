"""Embeds images: a model's features of whole folders, into one file."""

from __future__ import annotations

import os
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from shutil import rmtree
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.data.named_images import NamedImages, find_named
from kivfm_core.data.remote.url import refuse_url
from kivfm_core.embedding.kind import FILE, VECTOR, FileKind, Manifest, Writer
from kivfm_core.embedding.latent import latent_view
from kivfm_core.embedding.nearest import read_index
from kivfm_core.embedding.table import file_kind
from kivfm_core.errors import DataError, UsageError, printable
from kivfm_core.files import new_file, only_writer
from kivfm_core.geometry import Frame
from kivfm_core.loaded.features import Viewpoint, viewpoint
from kivfm_core.loaded.store import FeatureStore, list_facts
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Progress, reporter
from kivfm_core.runs.run import Run
from kivfm_core.teacher import Levels

Given = str | Path | Sequence[str | Path]

# Rows that are in memory at once.
ROWS = 1024


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


# Eleven parameters, as the command has flags; most calls give three.
def embed(
    model: str | Path | Run | Model,
    images: Given,
    out: str | Path,
    *,
    teacher: str | None = None,
    maps: Sequence[str] = (),
    pool: int | None = None,
    latent: bool = False,
    weights: str | Path | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
    team: Team = ONE_PROCESS,
) -> Embedded:
    """Writes a model's features of images to a file: paths, vectors, and maps if they are wanted.

    Rows are sorted by name; memory grows by names alone. Called again with the same arguments, it
    goes on where it was stopped: until the file is written, features are kept beside it.

    Args:
        model: A run's folder, a bundle's folder, or a teacher's name.
        images: A folder, file, pattern such as `photos/**/*.jpg`, tar or URL; or several.
        out: The file; its ending says which kind: `.parquet`, `.npz` or `.safetensors`.
        teacher: Whose levels the student is to predict; by default its own features are stored.
        maps: Names of dense maps to store, too.
        pool: Store maps averaged to so many times so many places; all maps if none is named.
        latent: Store z and Z, what all teachers share, in place of the student's x and its maps.
        weights: A file for a teacher's weights, in place of its own source.
        accelerator: Where the encoder computes, as in `engine.accelerator`.
        progress: Where to report; by default in a notebook, and nowhere else.
        team: Processes that share the images; each of them calls this, and the first one writes.

    Raises:
        UsageError: If a name is unknown, maps differ in size, or `out` holds something else.
        DataError: If there are no images, or none can be decoded.
        KivfmError: If the file cannot be written, or the extra for its kind is missing.
    """
    file = Path(out).expanduser()
    kind = _free_kind(file)
    found = team.once(lambda: find_named(images))
    opened = open_model(model, accelerator, weights)
    seen = latent_view(opened, teacher) if latent else viewpoint(opened, teacher)
    reading = _Reading(seen, _choose(seen, maps, pool), pool)
    with _kept(file, _facts(opened, reading, found), team) as store:
        _fill(store, found, reading, reporter(progress), team)
        manifest = _manifest(opened, reading, store)
        if team.is_first:
            with new_file(file) as target, closing(kind.writer(target, file.parent)) as writer:
                _write(store, found, writer, manifest)
    return Embedded(file, len(store.places), store.broken, manifest)


def _free_kind(file: Path) -> FileKind:
    """The kind of a file that may be written: what is there is no student's weights, say."""
    refuse_url(file, "features are written to a disk", "-o features.parquet")
    kind = file_kind(file)
    try:
        if file.is_file():
            read_index(file)
        return kind
    except DataError as error:
        raise UsageError(
            f"{printable(file)} is there already, and holds no features", "give another file"
        ) from error


def _choose(seen: Viewpoint, maps: Sequence[str], pool: int | None) -> tuple[str, ...]:
    unknown = [name for name in maps if name not in seen.maps]
    if unknown:
        hint = f"one of: {', '.join(seen.maps)}" if seen.maps else "leave out --maps"
        raise UsageError(f"{seen.encoder.spec.name} has no map {unknown[0]!r}", hint)
    if taken := {FILE, VECTOR} & {*maps}:
        raise UsageError(f"a map cannot be stored by the name {taken.pop()}")
    return tuple(maps) or (seen.maps if pool else ())


@dataclass
class _Reading:
    """What is kept of a batch's levels.

    Attributes:
        seen: Where features are read from.
        maps: Names of the dense maps that are kept.
        pool: To how many places a side they are averaged; None keeps them whole.
        shapes: Of what is kept of an image, by name.
    """

    seen: Viewpoint
    maps: Sequence[str]
    pool: int | None
    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict[str, tuple[int, ...]])

    def __call__(self, levels: Levels, frames: Sequence[Frame]) -> dict[str, Tensor]:
        """The vectors `[B, D]`, and the maps `[B, C, h, w]`.

        Raises:
            UsageError: If maps differ in size.
        """
        kept = {VECTOR: self.seen.vector(levels)}
        for name in self.maps:
            level = levels[name].float().cpu()
            kept[name] = F.adaptive_avg_pool2d(level, self.pool) if self.pool else level
        self.check({name: tuple(rows.shape[1:]) for name, rows in kept.items()})
        return kept

    def check(self, shapes: Mapping[str, tuple[int, ...]]) -> None:
        """Raises a `UsageError` if shapes are not those before."""
        for name, shape in shapes.items():
            if self.shapes.setdefault(name, shape) != shape:
                raise UsageError(
                    f"canvases differ in size, and so do the maps {name}: {self.shapes[name]} and"
                    f" {shape}",
                    "--pool 8 averages all maps to one size",
                )


def _facts(model: Model, reading: _Reading, images: NamedImages) -> dict[str, Any]:
    """What features depend on. Features that were kept with other facts are not continued."""
    paths = [images.path(name) for name in images.names]
    facts = list_facts(model.sha256, reading.seen.encoder, paths)
    return facts | {"level": reading.seen.level, "maps": reading.maps, "pool": reading.pool}


@contextmanager
def _kept(file: Path, facts: Mapping[str, Any], team: Team) -> Generator[FeatureStore]:
    """Keeps features beside a file until it is written: an interrupted call can continue."""
    folder = file.with_name(f".{file.name}.parts")
    # Another process would write the same file, and remove what this one keeps.
    with only_writer(folder, "run this again") if team.is_first else nullcontext():
        store = FeatureStore(folder, "features", facts)
        try:
            yield store
        except (UsageError, DataError):
            rmtree(folder, ignore_errors=True)
            raise
        team.meet()
        if team.is_first:
            rmtree(folder, ignore_errors=True)


def _fill(
    store: FeatureStore, images: NamedImages, reading: _Reading, progress: Progress, team: Team
) -> None:
    """Embeds the images that are not kept already."""
    paths, encoder = [images.path(name) for name in images.names], reading.seen.encoder
    share = len(team.share(len(paths)))
    before = sum(index in store.places for index in team.share(len(paths)))
    began, reader = time.monotonic(), ImageReader(len(paths), limit=len(paths))
    progress.start(share, before)

    def tick(done: int, _: int) -> None:
        rate = (done - before) / max(time.monotonic() - began, 1e-9)
        progress.step({"step": done, "images_per_second": rate})

    store.fill(paths, encoder, reading, tick, reader, team)
    progress.step({"step": share})
    for shapes in store.shapes():
        reading.check(shapes)
    if not store.places:
        raise DataError(f"none of {len(paths)} images can be decoded: {store.broken[0]}")


def _write(store: FeatureStore, images: NamedImages, writer: Writer, manifest: Manifest) -> None:
    """Writes the rows of the images, in their order, some at a time, and the manifest."""
    found, names = store.images, (VECTOR, *manifest["maps"])
    for start in range(0, len(found), ROWS):
        some = found[start : start + ROWS]
        rows = {name: store.rows(name, some).numpy() for name in names}
        writer.write([_from_here(images.path(images.names[index])) for index in some], rows)
    writer.finish(manifest)


def _from_here(path: Path) -> str:
    """A path as a user here writes it; what is no UTF-8 in it is written out."""
    here = Path.cwd()
    shown = path.relative_to(here) if path.is_relative_to(here) else path
    return os.fsencode(shown).decode("utf-8", "backslashreplace")


def _manifest(model: Model, reading: _Reading, store: FeatureStore) -> Manifest:
    """What made the features, so that they can be told from others and made again."""
    spec = reading.seen.encoder.spec
    return {
        "schema": 1,
        "model": model.name,
        "sha256": model.sha256,
        "teacher": reading.seen.teacher,
        "level": reading.seen.level,
        "channels": reading.shapes[VECTOR][0],
        "maps": {name: list(reading.shapes[name]) for name in reading.maps},
        "pool": reading.pool,
        "canvas": spec.input.model_dump(mode="json"),
        "versions": {"kivfm": version("kivfm"), "torch": torch.__version__},
        "images": len(store.places),
        "broken": [printable(line) for line in store.broken],
    }
