"""A cache on disk: a store for each owner."""

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
from kivfm_core.cache.key import Owner
from kivfm_core.cache.maps import load_maps, write_maps
from kivfm_core.cache.meta import META, open_store, used_bytes, write_meta
from kivfm_core.cache.store import Place, Store
from kivfm_core.errors import DataError, KivfmError


class DiskCache:
    """Keeps what every owner said; once full it takes no more, and forgets nothing.

    Args:
        folder: Of all stores; runs may share it, at the same time, too.
        owners: Who will be asked, by name.
        limit: Bytes that the folder may take; None: all that the disk has.
        say: Told, once, that the limit is reached.

    Raises:
        KivfmError: If the folder cannot be written to.
    """

    def __init__(
        self, folder: Path, owners: Mapping[str, Owner], limit: int | None = None,
        say: Callable[[str], None] | None = None,
    ) -> None:  # fmt: skip
        self.folder, self.owners, self.limit, self.say = folder, owners, limit, say
        self.stores: dict[str, Store] = {}
        with _writing(folder):
            folder.mkdir(parents=True, exist_ok=True)
            for name, owner in owners.items():
                if (store := find(folder, owner)) is not None:
                    self.stores[name] = store
                    os.utime(store.folder / META)  # when it was last of use
            self.used = used_bytes(folder)

    @property
    def layouts(self) -> dict[str, Layout]:
        """What a record holds, by owner."""
        return {name: store.layout for name, store in self.stores.items()}

    def has(self, owner: str, place: Place) -> bool:
        """Whether an owner's record of a view is kept; if it is sound shows when it is read."""
        return owner in self.stores and place in self.stores[owner]

    def count(self, views: int) -> dict[str, int]:
        """How many of each picture's first views have an entry, by owner."""
        return {name: int((s.index.rows[:views] >= 0).sum()) for name, s in self.stores.items()}

    def maps(self, owner: str, fit: Callable[[], Maps]) -> Maps:
        """The maps of an owner's levels: those that its records were made with, or new ones.

        Raises:
            KivfmError: If new ones cannot be written.
        """
        mine = self.owners[owner]
        folder = self.folder / mine.folder
        if (found := load_maps(folder)) is None:
            with _writing(self.folder):
                folder.mkdir(parents=True, exist_ok=True)
                # Whoever else wants them waits, and takes the same.
                with FileLock(folder / "maps.lock"):
                    if (found := load_maps(folder)) is None:
                        found = fit()
                        write_maps(folder, found)
            if (store := find(self.folder, mine)) is not None:
                self.stores[owner] = store
        return found

    def put(self, owner: str, places: Sequence[Place], records: Tensor, layout: Layout) -> None:
        """Takes an owner's records `[B, bytes]`, one view a row.

        Raises:
            KivfmError: If the disk is full; what was kept before is whole.
        """
        rows = records.cpu().numpy()
        if self.limit is not None and self.used + rows.nbytes > self.limit:
            if self.say is not None:
                self.say(f"cache.limit is reached in {self.folder}: the rest is asked anew")
                self.say = None
            return
        with _writing(self.folder):
            if owner not in self.stores or self.stores[owner].layout != layout:
                mine = self.owners[owner]
                self.stores[owner] = Store(self.folder / mine.folder, mine, layout)
                write_meta(self.stores[owner])
            self.used += self.stores[owner].put(places, rows) * rows.shape[1]

    def get(self, owner: str, places: Sequence[Place]) -> list[Tensor] | None:
        """An owner's records, `[bytes]` each, not to be written to; None if one is missing."""
        if owner not in self.stores or (rows := self.stores[owner].read(places)) is None:
            return None
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "The given NumPy array is not writable")
            return [torch.from_numpy(row) for row in rows]


def find(folder: Path, owner: Owner) -> Store | None:
    """An owner's store in a cache; None if there is none, or one that cannot be read."""
    try:
        return open_store(folder / owner.folder)
    except DataError:
        return None


@contextmanager
def _writing(folder: Path) -> Generator[None]:
    """Turns what a disk says into what to do about it."""
    try:
        yield
    except OSError as error:
        raise KivfmError(
            f"cannot write to the cache {folder}: {error.strerror or error}; "
            "what was kept before is whole",
            f"make room there (kivfm cache info {folder}), then start the same again: "
            "kivfm cache build, or kivfm distill --resume RUN",
        ) from error
