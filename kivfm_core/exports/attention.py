"""Adds a dimension of heads to attention that has none, which torch cannot translate to ONNX."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor
from torch.overrides import TorchFunctionMode


class WithHeads(TorchFunctionMode):
    """A context in which attention on `[N, L, C]` becomes that of one head, for timm's SAM."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """Calls a function of torch."""
        given = kwargs or {}
        if func is not F.scaled_dot_product_attention or args[0].ndim != 3:
            return func(*args, **given)
        named = {name: _with_head(value) for name, value in given.items()}
        return func(*map(_with_head, args), **named).squeeze(1)


def _with_head(value: Any) -> Any:
    return value.unsqueeze(1) if isinstance(value, Tensor) and value.ndim == 3 else value
