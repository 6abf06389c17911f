"""Batches in portions: as large as memory allows, halved when it runs out."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from kivfm_core.errors import KivfmError

_T = TypeVar("_T")


class BatchSplitter:
    """Does work on a batch, in portions that fit into memory.

    Args:
        what: What the work is, for the message.
        smaller: What helps when a single view is too much.
        say: Told when the portions get smaller.
        size: Views a portion; the whole batch by default.
        alone: Whether no other process waits for this one's portions.
    """

    def __init__(
        self, what: str, smaller: str, say: Callable[[str], None],
        size: int | None = None, alone: bool = True,
    ) -> None:  # fmt: skip
        self.what, self.smaller, self.say = what, smaller, say
        self.size, self.alone = size, alone

    def run(self, count: int, work: Callable[[list[slice]], _T]) -> _T:
        """What `work` returns for the slices of a batch of `count`, once they are small enough.

        Raises:
            KivfmError: If memory runs out with single views, or while other processes wait.
        """
        while True:
            size = min(self.size or count, count)
            try:
                return work([slice(i, min(i + size, count)) for i in range(0, count, size)])
            except torch.OutOfMemoryError as error:
                if size == 1 or not self.alone:
                    raise self._error(size) from error
            # Not before the error is gone: its traceback holds what filled the memory.
            torch.cuda.empty_cache()
            self.size = -(-size // 2)
            self.say(f"out of memory: {self.what} in portions of {self.size}, {count} views a step")

    def _error(self, size: int) -> KivfmError:
        if size == 1:
            return KivfmError(f"out of memory: {self.what}, one view at a time", self.smaller)
        return KivfmError(
            f"out of memory: {self.what}, {size} views at a time",
            f"--set optim.micro_batch={-(-size // 2)}",
        )
