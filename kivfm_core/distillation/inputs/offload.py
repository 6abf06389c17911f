"""Runs an encoder whose weights lie in the host's memory, where a device has too little."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

import torch
from torch import Tensor, nn
from torch.func import functional_call


class Offloaded(nn.Module):
    """Copies an encoder's weights to the device of its input for each pass.

    The pass itself runs on the device. Copies are queued there, and the CPU does not wait for them.

    Args:
        encoder: A frozen encoder in the host's memory.
    """

    def __init__(self, encoder: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        if torch.cuda.is_available():
            for _, tensor in self._tensors():
                tensor.data = (
                    tensor.data.pin_memory()
                )  # otherwise each copy would wait for the device

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """The encoder's levels of normalized canvases `[B, 3, H, W]`, on their device."""
        there = {name: t.to(x.device, non_blocking=True) for name, t in self._tensors()}
        return functional_call(self.encoder, there, (x,))

    def _tensors(self) -> Iterator[tuple[str, Tensor]]:
        return chain(self.encoder.named_parameters(), self.encoder.named_buffers())
