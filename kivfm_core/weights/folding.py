"""Batch norm, folded into the convolutions before it."""

from __future__ import annotations

from torch import Tensor

from kivfm_core.weights.loading import State

PARTS = ("weight", "bias", "running_mean", "running_var")


def fold_batch_norm(state: State, eps: float) -> dict[str, Tensor]:
    """Folds every `X.bn` into the convolution without bias `X.conv` before it; other entries stay.

    Args:
        state: Tensors by name.
        eps: What the batch norms add to a variance.

    Raises:
        KeyError: If a batch norm lacks a tensor, or its convolution is not there.
    """
    out = {key: value for key, value in state.items() if ".bn." not in key}
    for key in [key for key in state if key.endswith(".bn.weight")]:
        block = key.removesuffix(".bn.weight")
        gain, shift, mean, variance = (state[f"{block}.bn.{name}"].double() for name in PARTS)
        gain = gain / (variance + eps).sqrt()
        weight = out[f"{block}.conv.weight"]
        out[f"{block}.conv.weight"] = (weight.double() * gain.view(-1, 1, 1, 1)).to(weight)
        out[f"{block}.conv.bias"] = (shift - mean * gain).to(weight)
    return out
