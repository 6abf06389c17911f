"""Answers as a cache keeps them: encoded when they are new, decoded whenever they are shown."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from kivfm_core.cache.codec import Codec
from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.memory import MemoryCache
from kivfm_core.cache.store import Place

Cache = MemoryCache | DiskCache
Said = Mapping[str, Tensor]


class CachedOutputs:
    """A cache, and how each owner's answers are kept in it.

    All answers are encoded and decoded, at first use too and where the cache does not keep them: a
    view says the same in every epoch, whoever is cached.

    Attributes:
        online: Owners that the cache does not keep, and that are asked anew for every batch.

    Args:
        cache: Where stored views are kept.
        codecs: How, by owner.
        to_device: Moves a tensor.
    """

    def __init__(
        self, cache: Cache, codecs: Mapping[str, Codec], to_device: Callable[[Tensor], Tensor]
    ) -> None:
        self.cache, self.codecs, self.to_device = cache, codecs, to_device
        self.online: Collection[str] = ()

    def has(self, owner: str, place: Place) -> bool:
        """Whether an owner's answer about a view is kept."""
        return owner not in self.online and self.cache.has(owner, place)

    def fit(self, owner: str, ask: Callable[[], Iterable[Said]]) -> None:
        """Sees to it that an owner's answers can be encoded.

        Args:
            owner: Whose.
            ask: What it says of some views; called only where nobody has fitted its maps before.
        """
        codec = self.codecs[owner]
        if not codec.ready:
            maps = self.cache.maps(owner, lambda: codec.fit(ask()))
            codec.maps = {
                name: (self.to_device(mean), self.to_device(std), self.to_device(axes))
                for name, (mean, std, axes) in maps.items()
            }

    def get(self, owner: str, places: Sequence[Place]) -> dict[str, Tensor] | None:
        """An owner's batch `{name: [B, ...]}`, float32; None if not all of it is kept."""
        records = None if owner in self.online else self.cache.get(owner, places)
        if records is None:
            return None
        return self.codecs[owner].decode(records, self.cache.layouts[owner])

    def keep(self, owner: str, places: Sequence[Place], said: Said) -> dict[str, Tensor]:
        """Takes an owner's batch, one view a row; what `get` would give back."""
        layout = {name: tuple(tensor.shape[1:]) for name, tensor in said.items()}
        records = self.codecs[owner].encode(said)
        if owner not in self.online:
            # A slip of a device is not kept: neither for later epochs nor for later runs.
            finite = torch.stack([t.flatten(1).isfinite().all(1) for t in said.values()]).all(0)
            fine = [row for row, kept in enumerate(finite.tolist()) if kept]
            taken = records if len(fine) == len(places) else records[fine]
            self.cache.put(owner, [places[row] for row in fine], taken, layout)
        return self.codecs[owner].decode(records, layout)
