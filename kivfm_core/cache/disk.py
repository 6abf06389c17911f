"""A cache on disk: a store for each source of outputs."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from filelock import FileLock
from torch import Tensor

from kivfm_core.cache.codec import Maps
from kivfm_core.cache.encoding import Layout
from kivfm_core.cache.in_use import Use
from kivfm_core.cache.key import StoreKey
from kivfm_core.cache.maps import load_maps, write_maps
from kivfm_core.cache.meta import META, open_store, used_bytes, write_meta
from kivfm_core.cache.store import Place, Store
from kivfm_core.errors import DataError, KivfmError


class DiskCache:
    """Holds the outputs of every source. Once full it takes no more and drops nothing.

    Args:
        folder: Of all stores. Several runs may share it, also at the same time.
        keys: What the stores depend on, by the key of their source.
        limit: Bytes that the folder may take; None: all that the disk has.
        report: Called once with a line, when the limit is reached.

    Raises:
        KivfmError: If the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, keys: Mapping[str, StoreKey], limit: int | None = None,
        report: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.keys, self.limit, self.report = folder, keys, limit, report
        self.stores: dict[str, Store] = {}
        self.uses: dict[str, Use] = {}
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for source, key in keys.items():
                if (store := find(folder, key)) is not None:
                    self.stores[source] = store
                    self.uses[source] = Use(store.folder)
                    os.utime(store.folder / META)  # when it was last used, for `cache prune`
            self.used = used_bytes(folder)

    @property
    def layouts(self) -> dict[str, Layout]:
        """What a record holds, by the key of its source."""
        return {source: store.layout for source, store in self.stores.items()}

    def has(self, source: str, place: Place) -> bool:
        """Whether the cache has a source's record of a view; reading shows whether it is sound."""
        return source in self.stores and place in self.stores[source]

    def count(self, views: int) -> dict[str, int]:
        """How many records of each image's first `views` views there are, by source."""
        return {name: int((s.index.rows[:views] >= 0).sum()) for name, s in self.stores.items()}

    def maps(self, source: str, fit: Callable[[], Maps]) -> Maps:
        """The maps of a source's levels: those that its records were made with, or new ones.

        Raises:
            KivfmError: If new ones cannot be written.
        """
        key = self.keys[source]
        folder = self.folder / key.folder
        if (found := load_maps(folder)) is None:
            with _writing(self.folder):
                folder.mkdir(parents=True, exist_ok=True)
                # Another process that needs these maps waits, and then reads the same ones.
                with FileLock(folder / "maps.lock"):
                    if (found := load_maps(folder)) is None:
                        found = fit()
                        write_maps(folder, found)
            # A store's checksums depend on its maps, so it is opened again.
            if (store := find(self.folder, key)) is not None:
                self.stores[source] = store
        return found

    def put(self, source: str, places: Sequence[Place], records: Tensor, layout: Layout) -> None:
        """Takes a source's records `[B, bytes]`, one view a row.

        Raises:
            KivfmError: If the disk is full; what was stored before stays intact.
        """
        rows = records.cpu().numpy()
        if self.limit is not None and self.used + rows.nbytes > self.limit:
            if self.report is not None:
                self.report(
                    f"cache.limit is reached in {self.folder}: the rest is computed anew each time"
                )
                self.report = None
            return
        with _writing(self.folder):
            if source not in self.stores or self.stores[source].layout != layout:
                key = self.keys[source]
                self.stores[source] = Store(self.folder / key.folder, key, layout)
            if not (self.stores[source].folder / META).exists():
                # It is new, or was removed from under this run.
                write_meta(self.stores[source])
                self.uses[source] = Use(self.stores[source].folder)
            self.used += self.stores[source].put(places, rows) * rows.shape[1]

    def get(self, source: str, places: Sequence[Place]) -> list[Tensor] | None:
        """A source's records, `[bytes]` each, not to be written to; None if one is missing."""
        if source not in self.stores or (rows := self.stores[source].read(places)) is None:
            return None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return [torch.from_numpy(row) for row in rows]


def find(folder: Path, key: StoreKey) -> Store | None:
    """The store of a key in a cache; None if there is none, or one that cannot be read."""
    try:
        return open_store(folder / key.folder)
    except DataError:
        return None


@contextmanager
def _writing(folder: Path) -> Generator[None]:
    """Turns errors of the disk into errors that say what to do."""
    try:
        yield
    except OSError as error:
        raise KivfmError(
            f"cannot write to the cache {folder}: {error.strerror or error}; "
            "what was stored before is intact",
            f"make room there (kivfm cache info {folder}), then start the same again: "
            "kivfm cache build, or kivfm distill --resume RUN",
        ) from error
