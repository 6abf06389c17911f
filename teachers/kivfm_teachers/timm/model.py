"""timm's backbones as encoders, and timm's checkpoints as their weights.

Source: R. Wightman, PyTorch Image Models, https://github.com/huggingface/pytorch-image-models.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any

import timm
import torch
from torch import Tensor, nn

from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.loading import State


class TimmEncoder(nn.Module):
    """A timm model without its classifier.

    The dense level comes from `forward_intermediates`, which knows every architecture's layout and
    prefix tokens (and SAM's neck); `forward_features` does not. The global level is the vector
    that the classifier takes.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        self.model = build(spec)
        self.model.reset_classifier(0)
        self.norm: bool = spec.config["norm"]
        self.names = {level.name for level in spec.levels}

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Gives `global [B, C]` and `dense [B, C, h, w]` of `[B, 3, H, W]`, as far as declared."""
        final, maps = self.model.forward_intermediates(
            x, indices=1, norm=self.norm, output_fmt="NCHW"
        )
        levels: dict[str, Tensor] = {}
        if "global" in self.names:
            levels["global"] = self.model.forward_head(final, pre_logits=True)
        if "dense" in self.names:
            levels["dense"] = maps[-1]
        return levels


def build(spec: TeacherSpec) -> Any:
    """The timm model of a spec, with random weights and its classifier."""
    model = timm.create_model(spec.config["model"], pretrained=False, **spec.config["kwargs"])
    if (eps := spec.config.get("norm_eps")) is not None:
        for norm in (m for m in model.modules() if isinstance(m, nn.LayerNorm)):
            norm.eps = eps
    return model


def split(spec: TeacherSpec, state: State) -> Mapping[str, State]:
    """Parts a checkpoint, timm's or the authors' own, into the encoder and the classifier."""
    with torch.device("meta"):
        model = build(spec)
    if state.keys() != model.state_dict().keys():
        state = _converted(state, model)
    whole = model.state_dict().keys()
    model.reset_classifier(0)
    heads = whole - model.state_dict().keys()  # with those of distillation, that no task has
    parts: dict[str, dict[str, Tensor]] = {"encoder": {}, "head": {}}
    for key, value in state.items():
        if key in heads:
            parts["head"][key.removeprefix(f"{spec.config['classifier']}.")] = value
        else:
            parts["encoder"][f"model.{key}"] = value
    return parts


def _converted(state: State, model: nn.Module) -> State:
    """Maps the authors' names to timm's, by the function that each of timm's modules has for it."""
    convert = getattr(sys.modules[type(model).__module__], "checkpoint_filter_fn", None)
    if convert is None:
        return state
    try:
        return convert(dict(state), model)
    except Exception as error:  # these functions fail in any way on a foreign file
        raise ValueError(f"its names are not those of {type(model).__name__}") from error
