"""Muon with steps that can be skipped on the device."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

import torch
from timm.optim import muon
from torch import Tensor
from torch.optim.adamw import adamw

from kivfm_core.distillation.processes.sharding import gather, local, local_of
from kivfm_core.processes.bfloat16 import computes_bfloat16

MOMENTUM, ITERATIONS, COEFFICIENTS, EPS = 0.95, 5, "quintic", 1e-7


class Muon(torch.optim.Optimizer):
    """Muon (arXiv 2502.16982) for matrices and convolutions, AdamW for the rest.

    The iteration and the choice of matrices are timm's. Matrices of one shape are orthogonalized
    together: one by one, starting the small products takes a GPU longer than computing them.
    Where parameters are sharded, every process orthogonalizes whole matrices, and moves its part.

    Args:
        groups: Of parameters, with their `weight_decay`.
        lr: Learning rate; updates are as large as AdamW's, so both share one rate.
        betas: Of AdamW.

    Attributes:
        found_inf: A scalar on the device: where it is 1, a step changes nothing, neither
            parameters nor the optimizer's state. PyTorch's fused optimizers read the same name.
    """

    found_inf: Tensor | None = None

    def __init__(
        self, groups: Iterable[dict[str, Any]], lr: float, betas: tuple[float, float]
    ) -> None:
        super().__init__(groups, {"lr": lr, "betas": betas, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Makes a step."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            shapes: dict[tuple[int, int], list[Tensor]] = {}
            rest: list[Tensor] = []
            for p in group["params"]:
                if p.grad is None:
                    continue
                if muon._is_suitable_for_muon(p):  # pyright: ignore[reportPrivateUsage]
                    shapes.setdefault((p.shape[0], p.numel() // p.shape[0]), []).append(p)
                else:
                    rest.append(p)
            for shape, matrices in shapes.items():
                self._move(matrices, shape, group)
            if rest:
                self._adam(rest, group)
        return loss

    def _move(self, matrices: list[Tensor], shape: tuple[int, int], group: dict[str, Any]) -> None:
        """Moves matrices of one shape, convolutions `[out, in, h, w]` as `[out, in * h * w]`.

        A skipped step goes through the same arithmetic with a factor of zero, since branching on
        the device's flag would make Python wait for it.
        """
        lr, skipped = group["lr"], self.found_inf
        made = 1.0 if skipped is None else 1.0 - skipped
        momenta = [self._state(matrix, "momentum_buffer")[0] for matrix in matrices]
        shards = [local(momentum) for momentum in momenta]
        gradients = torch.stack([local(cast(Tensor, m.grad)).flatten(1) for m in matrices])
        if skipped is not None:  # infinite times zero would be NaN
            gradients = torch.where(skipped > 0, 0.0, gradients)
        memory = torch.stack([momentum.flatten(1) for momentum in shards])
        _write(shards, memory.lerp_(gradients, made * (1 - MOMENTUM)))
        del gradients, memory  # copies of all that is moved: the iteration needs their space
        coefficients = muon.resolve_ns_coefficients(COEFFICIENTS, muon._COEFFICIENTS)  # pyright: ignore
        moves = muon.zeropower_via_newtonschulz(
            torch.stack([gather(momentum).reshape(shape) for momentum in momenta]),
            ITERATIONS,
            coefficients,
            eps=EPS,
            dtype=torch.bfloat16 if computes_bfloat16(shards[0].device) else torch.float32,
        )
        far = -lr * muon.get_lr_scale(torch.Size(shape), "match_rms_adamw") * made
        moved = [local(matrix) for matrix in matrices]
        parts = [local_of(x.reshape(m.shape), m) for m, x in zip(matrices, moves, strict=True)]
        # Laid out alike, or PyTorch would take them one by one.
        parts = [torch.empty_like(m).copy_(x) for m, x in zip(moved, parts, strict=True)]
        torch._foreach_mul_(parts, far)  # pyright: ignore
        torch._foreach_mul_(moved, 1 - made * lr * group["weight_decay"])  # pyright: ignore
        torch._foreach_add_(moved, parts)  # pyright: ignore

    def _adam(self, parameters: list[Tensor], group: dict[str, Any]) -> None:
        states = [self._state(p, "exp_avg", "exp_avg_sq", "step") for p in parameters]
        first, second, steps = ([local(x) for x in column] for column in zip(*states, strict=True))
        beta1, beta2 = group["betas"]
        adamw(
            [local(p) for p in parameters], [local(cast(Tensor, p.grad)) for p in parameters],
            first, second, [], steps,
            fused=True, found_inf=self.found_inf, amsgrad=False, beta1=beta1, beta2=beta2,
            lr=group["lr"], weight_decay=group["weight_decay"], eps=EPS, maximize=False,
        )  # fmt: skip

    def _state(self, parameter: Tensor, *names: str) -> list[Tensor]:
        state = cast(dict[str, Tensor], self.state[parameter])
        for name in names:
            if name not in state:
                counts = name == "step"
                state[name] = (
                    torch.zeros((), device=parameter.device)
                    if counts
                    else torch.zeros_like(parameter)
                )
        return [state[name] for name in names]


def _write(tensors: list[Tensor], batch: Tensor) -> None:
    """Copies each row of a batch into a tensor of as many numbers."""
    rows = [row.view(x.shape) for x, row in zip(tensors, batch, strict=True)]
    torch._foreach_copy_(tensors, rows)  # pyright: ignore
