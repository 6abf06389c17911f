"""A cache in memory: bfloat16 tensors by owner and view, up to a number of bytes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from kivfm_core.cache.store import Place


def as_stored(tensor: Tensor) -> Tensor:
    """What a cache would give back: rounded, and laid out the same, since sums depend on it."""
    return tensor.bfloat16().float().contiguous()


class MemoryCache:
    """Keeps what every owner said of a view; once full it takes no more, and forgets nothing.

    Args:
        limit: Bytes that it may hold.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.records: dict[tuple[str, Place], dict[str, Tensor]] = {}

    def has(self, owner: str, place: Place) -> bool:
        """Whether an owner's record of a view is kept."""
        return (owner, place) in self.records

    def put(self, owner: str, places: Sequence[Place], batch: Mapping[str, Tensor]) -> None:
        """Takes an owner's batch `{name: [B, ...]}`, one view a row."""
        size = sum(2 * v[0].numel() for v in batch.values())
        for row, place in enumerate(places):
            if not self.has(owner, place) and self.bytes + size <= self.limit:
                # A view of a row would keep the whole batch alive.
                record = {k: v[row].to("cpu", torch.bfloat16, copy=True) for k, v in batch.items()}
                self.records[owner, place] = record
                self.bytes += size

    def get(self, owner: str, places: Sequence[Place]) -> dict[str, Tensor] | None:
        """An owner's records as a batch `{name: [B, ...]}`, float32; None if one is missing."""
        if not all(self.has(owner, place) for place in places):
            return None
        rows = [self.records[owner, place] for place in places]
        return {name: as_stored(torch.stack([row[name] for row in rows])) for name in rows[0]}
