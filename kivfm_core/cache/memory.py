"""A cache in memory: records by owner and view, up to a number of bytes."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

from kivfm_core.cache.codec import Maps
from kivfm_core.cache.encoding import Layout
from kivfm_core.cache.store import Place


class MemoryCache:
    """Keeps what every owner said of a view; once full it takes no more, and forgets nothing.

    Args:
        limit: Bytes that it may hold.

    Attributes:
        layouts: What a record holds, by owner.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.layouts: dict[str, Layout] = {}
        self.records: dict[tuple[str, Place], Tensor] = {}

    def has(self, owner: str, place: Place) -> bool:
        """Whether an owner's record of a view is kept."""
        return (owner, place) in self.records

    def maps(self, owner: str, fit: Callable[[], Maps]) -> Maps:
        """The maps of an owner's levels: nobody has made them before."""
        return fit()

    def put(self, owner: str, places: Sequence[Place], records: Tensor, layout: Layout) -> None:
        """Takes an owner's records `[B, bytes]`, one view a row."""
        self.layouts[owner] = layout
        for place, record in zip(places, records.cpu(), strict=True):
            if not self.has(owner, place) and self.bytes + len(record) <= self.limit:
                # A view of a row would keep the whole batch alive.
                self.records[owner, place] = record.clone()
                self.bytes += len(record)

    def get(self, owner: str, places: Sequence[Place]) -> list[Tensor] | None:
        """An owner's records, `[bytes]` each; None if one is missing."""
        found = [self.records.get((owner, place)) for place in places]
        rows = [record for record in found if record is not None]
        return rows if len(rows) == len(found) else None
