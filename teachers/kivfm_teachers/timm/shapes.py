"""A model run for its shapes alone."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch.nn.functional as F
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

SAME: set[Callable[..., Any]] = {
    F.batch_norm, F.layer_norm, F.relu, F.gelu, F.silu,
    nn.init.kaiming_uniform_, nn.init.kaiming_normal_, nn.init.xavier_uniform_,
    nn.init.uniform_, nn.init.normal_, nn.init.trunc_normal_, nn.init.constant_,
    Tensor.uniform_, Tensor.normal_, Tensor.erfinv_, Tensor.fill_, Tensor.zero_,
    Tensor.add_, Tensor.sub_, Tensor.mul_, Tensor.div_, Tensor.clamp_,
}  # fmt: skip


class ShapesOnly(TorchFunctionMode):
    """Leaves out what gives the shape that it got: normalizations, activations, work in place.

    On the meta device these take most of the time: torch goes through their parts in Python.
    """

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: Sequence[Any] = (),
        kwargs: Mapping[str, Any] | None = None,
    ) -> Any:
        """What `func` gives, or its first argument if that has the same shape."""
        given = kwargs or {}
        if func in SAME:
            return args[0] if args else next(iter(given.values()))
        return func(*args, **given)
