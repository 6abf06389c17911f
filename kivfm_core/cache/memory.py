"""A cache in memory: bfloat16 tensors by key, up to a number of bytes."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import torch
from torch import Tensor


def as_stored(tensor: Tensor) -> Tensor:
    """What the cache would give back: rounded, and laid out the same, since sums depend on it."""
    return tensor.bfloat16().float().contiguous()


class MemoryCache:
    """Keeps tensors of one picture's view each; once full it takes no more, and forgets nothing.

    Args:
        limit: Bytes that it may hold.
    """

    def __init__(self, limit: int) -> None:
        self.limit, self.bytes = limit, 0
        self.records: dict[Hashable, dict[str, Tensor]] = {}

    def __contains__(self, key: Hashable) -> bool:
        return key in self.records

    def put(self, keys: Sequence[Hashable], batch: Mapping[str, Tensor]) -> None:
        """Takes a batch `{name: [B, ...]}`, one key a row."""
        size = sum(2 * v[0].numel() for v in batch.values())
        for row, key in enumerate(keys):
            if key not in self.records and self.bytes + size <= self.limit:
                # A view of a row would keep the whole batch alive.
                record = {k: v[row].to("cpu", torch.bfloat16, copy=True) for k, v in batch.items()}
                self.records[key] = record
                self.bytes += size

    def get(self, keys: Sequence[Hashable]) -> dict[str, Tensor]:
        """The records of these keys as a batch `{name: [B, ...]}`, float32."""
        rows = [self.records[key] for key in keys]
        return {name: as_stored(torch.stack([row[name] for row in rows])) for name in rows[0]}
