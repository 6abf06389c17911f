"""Outputs of frozen networks in a cache: encoded when they are new, decoded whenever used."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence

import torch
from torch import Tensor

from kivfm_core.cache.codec import Codec
from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.memory import MemoryCache
from kivfm_core.cache.store import Place
from kivfm_core.data.sampler import Key

Cache = MemoryCache | DiskCache
Named = Mapping[str, Tensor]


class CachedOutputs:
    """A cache, and how the outputs of each source are encoded in it.

    All outputs are encoded and decoded: at first use too, and where the cache does not store them.
    So a view has the same outputs in every epoch, whatever is cached.

    Args:
        cache: Where outputs for stored views are.
        codecs: How they are encoded, by the key of their source.
        samples: Views on whose outputs codecs are fitted.
        to_device: Moves a tensor.

    Attributes:
        online: Keys of the sources that are not cached, and are computed anew for every batch.
    """

    def __init__(
        self, cache: Cache, codecs: Mapping[str, Codec], samples: Sequence[Key],
        to_device: Callable[[Tensor], Tensor],
    ) -> None:  # fmt: skip
        self.cache, self.codecs, self.samples = cache, codecs, samples
        self.to_device = to_device
        self.online: Collection[str] = ()

    def has(self, source: str, place: Place) -> bool:
        """Whether the output of a source for a view is cached."""
        return source not in self.online and self.cache.has(source, place)

    def fit(self, source: str, compute: Callable[[], Iterable[Named]]) -> None:
        """Makes sure that the outputs of a source can be encoded.

        Args:
            source: Its key.
            compute: Its outputs for the samples, in batches; called only if neither this run nor an
                earlier one that shares the cache has fitted the codec.
        """
        codec = self.codecs[source]
        if not codec.ready:
            maps = self.cache.maps(source, lambda: codec.fit(compute()))
            codec.maps = {
                name: (self.to_device(mean), self.to_device(std), self.to_device(axes))
                for name, (mean, std, axes) in maps.items()
            }

    def get(self, source: str, places: Sequence[Place]) -> dict[str, Tensor] | None:
        """The outputs for a batch `{name: [B, ...]}`, float32; None unless all are cached."""
        records = None if source in self.online else self.cache.get(source, places)
        if records is None:
            return None
        return self.codecs[source].decode(records, self.cache.layouts[source])

    def put(self, source: str, places: Sequence[Place], outputs: Named) -> dict[str, Tensor]:
        """Stores the outputs for a batch, one view a row; returns what `get` would return."""
        layout = {name: tuple(tensor.shape[1:]) for name, tensor in outputs.items()}
        records = self.codecs[source].encode(outputs)
        if source not in self.online:
            # Values that are not finite may be a device's error, so later epochs and later runs
            # compute them again.
            finite = torch.stack([t.flatten(1).isfinite().all(1) for t in outputs.values()]).all(0)
            rows = [row for row, fine in enumerate(finite.tolist()) if fine]
            taken = records if len(rows) == len(places) else records[rows]
            self.cache.put(source, [places[row] for row in rows], taken, layout)
        return self.codecs[source].decode(records, layout)
