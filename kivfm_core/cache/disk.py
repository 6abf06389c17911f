"""A cache on disk: a store for each owner."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from math import prod
from pathlib import Path

import torch
from torch import Tensor

from kivfm_core.cache.key import Owner
from kivfm_core.cache.meta import META, open_store, used_bytes, write_meta
from kivfm_core.cache.store import Place, Store
from kivfm_core.errors import DataError, KivfmError


class DiskCache:
    """Keeps what every owner said, bfloat16; once full it takes no more, and forgets nothing.

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

    def has(self, owner: str, place: Place) -> bool:
        """Whether an owner's record of a view is kept; if it is sound shows when it is read."""
        return owner in self.stores and place in self.stores[owner]

    def count(self, views: int) -> dict[str, int]:
        """How many of each picture's first views have an entry, by owner."""
        return {name: int((s.index.rows[:views] >= 0).sum()) for name, s in self.stores.items()}

    def put(self, owner: str, places: Sequence[Place], batch: Mapping[str, Tensor]) -> None:
        """Takes an owner's batch `{name: [B, ...]}`, one view a row; not what is not finite.

        Raises:
            KivfmError: If the disk is full; what was kept before is whole.
        """
        flat = [tensor.detach().to("cpu", torch.bfloat16).flatten(1) for tensor in batch.values()]
        numbers = torch.cat(flat, 1)
        # A slip of a device is not kept for all runs to come.
        fine = numbers.isfinite().all(1)
        places = [place for place, kept in zip(places, fine.tolist(), strict=True) if kept]
        records = numbers[fine].view(torch.uint8).numpy()
        if self.limit is not None and self.used + records.nbytes > self.limit:
            if self.say is not None:
                self.say(f"cache.limit is reached in {self.folder}: the rest is asked anew")
                self.say = None
            return
        layout = {name: tuple(tensor.shape[1:]) for name, tensor in batch.items()}
        with _writing(self.folder):
            if owner not in self.stores or self.stores[owner].layout != layout:
                mine = self.owners[owner]
                self.stores[owner] = Store(self.folder / mine.folder, mine, layout)
                write_meta(self.stores[owner])
            self.used += self.stores[owner].put(places, records) * records.shape[1]

    def get(self, owner: str, places: Sequence[Place]) -> dict[str, Tensor] | None:
        """An owner's records as a batch `{name: [B, ...]}`, float32; None if one is missing."""
        if owner not in self.stores:
            return None
        records = self.stores[owner].read(places)
        if records is None:
            return None
        layout = self.stores[owner].layout
        numbers = torch.from_numpy(records).view(torch.bfloat16)
        parts = numbers.split([prod(shape) for shape in layout.values()], 1)
        return {
            name: part.float().reshape(len(places), *shape)
            for (name, shape), part in zip(layout.items(), parts, strict=True)
        }


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
