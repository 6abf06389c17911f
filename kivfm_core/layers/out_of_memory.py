"""Splits batches when memory runs out, a GPU's or the computer's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch

from kivfm_core.errors import KivfmError, is_out_of_memory

_T = TypeVar("_T")


class BatchSplitter:
    """Processes a batch in parts that fit into memory; a part that does not fit is halved.

    The size that did fit is remembered for later batches.

    Args:
        what: The work, for messages, such as `running clip/nano`.
        remedy: A hint for the user if a single view does not fit.
        report: Called with a line when parts get smaller.
        size: Views in a part; the whole batch by default.
        alone: Whether no other process waits for this one. Other processes would wait forever for
            the gradients of a different number of parts.
    """

    def __init__(
        self, what: str, remedy: str, report: Callable[[str], None],
        size: int | None = None, alone: bool = True,
    ) -> None:  # fmt: skip
        self.what, self.remedy, self.report = what, remedy, report
        self.size, self.alone = size, alone

    def run(self, count: int, work: Callable[[list[slice]], _T]) -> _T:
        """Returns `work(slices)`, once the slices of a batch of `count` views are small enough.

        Raises:
            KivfmError: If a single view does not fit, or other processes wait.
        """
        while True:
            size = min(self.size or count, count)
            try:
                return work([slice(i, min(i + size, count)) for i in range(0, count, size)])
            except (RuntimeError, MemoryError) as error:
                if not isinstance(error, torch.OutOfMemoryError) and not is_out_of_memory(error):
                    raise
                if size == 1 or not self.alone:
                    raise self._error(size) from error
            # Outside of the `except` block: the error's traceback holds the tensors that filled the
            # memory.
            torch.cuda.empty_cache()
            self.size = -(-size // 2)
            self.report(f"out of memory: {self.what} in parts of {self.size}, {count} views a step")

    def _error(self, size: int) -> KivfmError:
        if size == 1:
            return KivfmError(f"out of memory: {self.what}, one view at a time", self.remedy)
        return KivfmError(
            f"out of memory: {self.what}, {size} views at a time",
            f"--set optim.micro_batch={-(-size // 2)}",
        )
