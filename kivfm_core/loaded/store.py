"""Stores features of images as they are computed, so that interrupted work can continue.

A store is a folder of parts. Each is a safetensors file that appears whole, with some images'
features and their indices. Its name tells what the features depend on.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from kivfm_core.cache.key import LIBRARIES
from kivfm_core.data.batches import Tick, batches
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.errors import UsageError
from kivfm_core.files import is_link, remove_partials, write_bytes
from kivfm_core.geometry import Frame
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.teacher import Encoder, Levels

# A part is written when so many bytes wait, or after so many seconds.
PART_BYTES, PART_SECONDS = 2**25, 20.0
# The tensor of a part that says which images it has.
INDEX = "index"

# From a batch's levels to what is stored: tensors `[B, ...]` by name.
Read = Callable[[Levels, Sequence[Frame]], Mapping[str, Tensor]]


class FeatureStore:
    """Features of numbered images, in a folder that several processes may fill.

    Args:
        folder: Of all stores of some work.
        what: What is stored; for human readers, the store's name begins with it.
        facts: All that the features depend on, ready for JSON.
    """

    def __init__(self, folder: Path, what: str, facts: Mapping[str, Any]) -> None:
        text = json.dumps([what, facts], sort_keys=True)
        self.digest = hashlib.sha256(text.encode()).hexdigest()
        self.folder = folder / f"{what}-{self.digest[:16]}"
        self.broken: list[str] = []
        # Where each image's features are: a part and the row in it.
        self.places: dict[int, tuple[Path, int]] = {}
        self.parts: list[Path] = []
        self.waiting: list[dict[str, Tensor]] = []
        self.written = time.monotonic()
        self.folder.mkdir(parents=True, exist_ok=True)
        remove_partials(self.folder)
        for part in sorted(self.folder.glob("part-*.safetensors")):
            self._find(part)

    def _find(self, part: Path) -> None:
        """Notes what a part has; one that cannot be read is made again."""
        if is_link(part):
            raise UsageError(f"{part} is a link", "give another place: --out")
        with suppress(Exception):  # whatever a damaged file makes the library raise
            with safe_open(part, "pt") as opened:
                indices = opened.get_tensor(INDEX).tolist()
            self.places |= {index: (part, row) for row, index in enumerate(indices)}
            return
        part.unlink()

    def fill(
        self,
        paths: Sequence[Path],
        encoder: Encoder,
        read: Read,
        tick: Tick,
        reader: ImageReader | None = None,
        team: Team = ONE_PROCESS,
    ) -> None:
        """Encodes the images that the store has not; several processes share them.

        Args:
            paths: All images.
            encoder: What gives their levels; its spec says on which canvases.
            read: What is kept of the levels.
            tick: Called with (images done, images in all), of this process's share.
            reader: Counts the broken images; by default more than a tenth, or all, are an error.
            team: Who shares the images; all have to call this.

        Raises:
            DataError: If too many images are broken.
        """
        team.meet()  # before a part is written: all have found the same ones
        share = team.share(len(paths))
        left = [index for index in share if index not in self.places]
        # As many may be broken as if all were read at once.
        strict = reader is None
        reader = reader or ImageReader(len(share))
        before = len(share) - len(left)

        def counted(done: int, _: int) -> None:
            tick(before + done, len(share))

        for batch in batches(paths, encoder.spec.input, counted, reader, only=left) if left else ():
            levels = encoder.encode(batch.images, batch.frames)
            kept = {name: rows.detach().cpu() for name, rows in read(levels, batch.frames).items()}
            index = torch.tensor(batch.indices)
            self._add({INDEX: index, **{name: rows.contiguous() for name, rows in kept.items()}})
        self._flush()
        found = team.gather((reader.broken, self.parts))
        reader.broken = self.broken = [line for broken, _ in found for line in broken]
        for part in (part for _, parts in found for part in parts if part not in self.parts):
            self._find(part)
        if strict and paths and not self.places:
            reader.refuse()

    def _add(self, rows: dict[str, Tensor]) -> None:
        self.waiting.append(rows)
        held = sum(t.nbytes for part in self.waiting for t in part.values())
        if held >= PART_BYTES or time.monotonic() - self.written >= PART_SECONDS:
            self._flush()

    def _flush(self) -> None:
        if not self.waiting:
            return
        names = self.waiting[0]
        rows = {name: torch.cat([part[name] for part in self.waiting]) for name in names}
        first = int(rows[INDEX].min())
        part = self.folder / f"part-{first:09d}.safetensors"
        write_bytes(part, save(rows))
        self._find(part)
        self.parts.append(part)
        self.waiting, self.written = [], time.monotonic()

    @property
    def images(self) -> list[int]:
        """The images whose features are there, in their order."""
        return sorted(self.places)

    def shapes(self) -> Iterator[dict[str, tuple[int, ...]]]:
        """What is stored of an image, by name: the shapes in each part."""
        for part in sorted({part for part, _ in self.places.values()}):
            with safe_open(part, "pt") as opened:
                names = [name for name in opened.keys() if name != INDEX]
                yield {name: tuple(opened.get_slice(name).get_shape()[1:]) for name in names}

    def table(self, name: str) -> Tensor:
        """The features `[N, ...]` of all of `images`, in memory."""
        return self.rows(name, self.images)

    def rows(self, name: str, images: Sequence[int]) -> Tensor:
        """The features `[n, ...]` of some images, in the order that is given."""
        wanted: dict[Path, list[tuple[int, int]]] = {}
        for place, image in enumerate(images):
            part, row = self.places[image]
            wanted.setdefault(part, []).append((place, row))
        found: list[Tensor] = [torch.empty(0)] * len(images)
        for part, pairs in wanted.items():
            with safe_open(part, "pt") as opened:
                if 2 * len(pairs) >= len(opened.get_slice(INDEX)[:]):
                    whole = opened.get_tensor(name)
                    taken = [(place, whole[row]) for place, row in pairs]
                else:
                    some = opened.get_slice(name)
                    taken = [(place, some[row : row + 1][0]) for place, row in pairs]
            for place, tensor in taken:
                found[place] = tensor
        return torch.stack(found)


def list_facts(weights: str, encoder: Encoder, paths: Sequence[Path]) -> dict[str, Any]:
    """All that features depend on, beside what is read of the levels; ready for JSON.

    Args:
        weights: The hash of the encoder's weights.
        encoder: What gives levels.
        paths: The images.
    """
    files = hashlib.sha256()
    for path in paths:
        files.update(f"{path}\0{_stamp(path)}\0".encode("utf-8", "backslashreplace"))
    return {
        "weights": weights,
        "spec": encoder.spec.model_dump(mode="json"),
        "images": files.hexdigest(),
        "libraries": {name: version(name) for name in ("kivfm", *LIBRARIES)},
    }


def _stamp(path: Path) -> tuple[int, int]:
    """Size and time of a file or folder; zeros for what is none, such as a member of a tar."""
    try:
        found = os.stat(path)
    except (OSError, ValueError):
        return 0, 0
    return found.st_size, found.st_mtime_ns
