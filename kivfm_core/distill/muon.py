"""Muon that orthogonalizes matrices of one shape together."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from timm.optim import muon
from timm.optim.muon import Muon
from torch import Tensor


class BatchedMuon(Muon):
    """timm's Muon, with fewer and larger products.

    The twelve blocks of a ViT have a dozen matrices of each shape. One by one, starting the small
    products of the Newton-Schulz iteration takes a GPU longer than computing them. What is no
    matrix is left to timm, whose AdamW it is.
    """

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Makes a step."""
        matrices: list[Tensor] = []
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = {}
            for p in group["params"]:
                if p.grad is not None and muon._is_suitable_for_muon(p):  # pyright: ignore
                    shapes.setdefault((p.shape[0], p[0].numel()), []).append(p)
            for shape, same in shapes.items():
                self._move(same, shape, group)
                matrices += same
        gradients = [matrix.grad for matrix in matrices]
        for matrix in matrices:
            matrix.grad = None
        try:
            return super().step(closure)
        finally:
            for matrix, gradient in zip(matrices, gradients, strict=True):
                matrix.grad = gradient

    def _move(self, matrices: list[Tensor], shape: tuple[int, int], group: dict[str, Any]) -> None:
        """Moves matrices, or convolutions `[out, in, h, w]` as such, of one flattened shape."""
        lr = group["lr"]
        momenta = [self._momentum(matrix) for matrix in matrices]
        for matrix, momentum in zip(matrices, momenta, strict=True):
            matrix.mul_(1 - lr * group["weight_decay"])
            momentum.lerp_(cast(Tensor, matrix.grad), 1 - group["momentum"])
        moves = muon.zeropower_via_newtonschulz(
            torch.stack([momentum.reshape(shape) for momentum in momenta]),
            group["ns_steps"],
            muon.resolve_ns_coefficients(group["ns_coefficients"], muon._COEFFICIENTS),  # pyright: ignore
            eps=group["eps"],
        )
        scale = muon.get_lr_scale(torch.Size(shape), group["adjust_lr_fn"])
        for matrix, move in zip(matrices, moves, strict=True):
            matrix.add_(move.reshape(matrix.shape), alpha=-lr * scale)

    def _momentum(self, matrix: Tensor) -> Tensor:
        state = self.state[matrix]
        state["use_muon"] = True
        if "momentum_buffer" not in state:
            state["momentum_buffer"] = torch.zeros_like(matrix)
        return state["momentum_buffer"]
