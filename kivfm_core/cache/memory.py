"""A cache in memory: records by source of outputs and view, up to a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from kivfm_core.cache.codec import Maps
from kivfm_core.cache.encoding import Layout
from kivfm_core.cache.store import Place


class MemoryCache:
    """Holds the outputs of every source for views. Once full it takes no more and drops nothing.

    Args:
        limit: Bytes that it may hold.

    Attributes:
        layouts: What a record holds, by the key of its source.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.layouts: dict[str, Layout] = {}
        self.records: dict[tuple[str, Place], Tensor] = {}

    def has(self, source: str, place: Place) -> bool:
        """Whether the cache has a source's record of a view."""
        return (source, place) in self.records

    def maps(self, source: str, fit: Callable[[], Maps]) -> Maps:
        """The maps of a source's levels: always new ones, as no earlier run shares this cache."""
        return fit()

    def put(self, source: str, places: Sequence[Place], records: Tensor, layout: Layout) -> None:
        """Takes a source's records `[B, bytes]`, one view a row."""
        self.layouts[source] = layout
        for place, record in zip(places, records.cpu(), strict=True):
            if not self.has(source, place) and self.bytes + len(record) <= self.limit:
                # A view of a row would keep the whole batch alive.
                self.records[source, place] = record.clone()
                self.bytes += len(record)

    def get(self, source: str, places: Sequence[Place]) -> list[Tensor] | None:
        """A source's records, `[bytes]` each; None if one is missing."""
        found = [self.records.get((source, place)) for place in places]
        rows = [record for record in found if record is not None]
        return rows if len(rows) == len(found) else None
