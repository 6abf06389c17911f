"""Tensors that several networks share. Torch-free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor


class SharedTensors:
    """Converts tensors, and converts those that occur several times only once.

    Networks with the same input contract are given the very same canvases. These stay one tensor
    when they are stacked, pinned or moved, which saves memory and time.

    Args:
        tensors: All tensors that will be converted, each as often as it is used.
    """

    def __init__(self, tensors: Iterable[Tensor]) -> None:
        # Holding the tensors keeps their ids unique.
        self.tensors = list(tensors)
        self.uses = Counter(map(id, self.tensors))
        self.converted: dict[int, Tensor] = {}

    def convert(self, tensor: Tensor, function: Callable[[], Tensor]) -> Tensor:
        """What `function` returns for a tensor; called once for a tensor that is shared."""
        if self.uses[id(tensor)] < 2:
            return function()  # not remembered, so that its memory is free after its use
        if id(tensor) not in self.converted:
            self.converted[id(tensor)] = function()
        return self.converted[id(tensor)]
