"""A model's two halves, encoder and decoder, and the split of a checkpoint into them.

Each half takes no memory for the other.

Source: T. Wolf et al., Transformers, https://arxiv.org/abs/1910.03771.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
import transformers
from torch import Tensor, nn
from transformers.utils import logging

from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.loading import State


def _original(spec: TeacherSpec) -> tuple[Any, Any]:
    """The class of a spec's model, and its configuration."""
    kind: Any = getattr(transformers, spec.config["architecture"])
    return kind, kind.config_class.from_dict(spec.config["config"])


def random_state(spec: TeacherSpec) -> State:
    """The state of the whole model, with random weights."""
    kind, config = _original(spec)
    return kind(config).state_dict()


def encoder_half(spec: TeacherSpec) -> Any:
    """The model reduced to its trunk, with random weights."""
    model = _built(spec, trunk=True)
    _prune(model, tuple(spec.config["trunk"]), "")
    return model


def decoder_half(spec: TeacherSpec) -> Any:
    """The model without its trunk, with random weights."""
    model = _built(spec, trunk=False)
    for path in spec.config["trunk"]:
        parent, _, name = path.rpartition(".")
        setattr(model.get_submodule(parent), name, None)
    return model


def _built(spec: TeacherSpec, *, trunk: bool) -> Any:
    """The model: one half, the trunk or the rest, has memory; the other is on the meta device."""
    device = torch.get_default_device()
    kind, config = _original(spec)
    with torch.device("meta"):
        model = kind(config).eval()
    if device.type != "meta":
        for name, module in model.named_modules():
            if _inside(name, spec) is trunk:
                module.to_empty(device=device, recurse=False).float()
        model.initialize_weights()
    return model


def _inside(name: str, spec: TeacherSpec) -> bool:
    return any(f"{name}.".startswith(f"{path}.") for path in spec.config["trunk"])


def _prune(module: nn.Module, trunk: tuple[str, ...], prefix: str) -> None:
    """Removes what is neither in the trunk nor on the way to it."""
    for name, _ in [*module.named_parameters(recurse=False), *module.named_children()]:
        path = f"{prefix}{name}"
        if any(inner.startswith(f"{path}.") for inner in trunk):
            _prune(module.get_submodule(name), trunk, f"{path}.")
        elif path not in trunk:
            setattr(module, name, None)


def loaded(spec: TeacherSpec, state: State) -> Any:
    """The whole model with a checkpoint; transformers itself renames the keys of old files.

    Raises:
        ValueError: If keys are missing, left over, or of another shape.
    """
    kind, config = _original(spec)
    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, report = kind.from_pretrained(
            None,
            config=config,
            state_dict=dict(state),
            dtype=torch.float32,
            ignore_mismatched_sizes=True,  # reported, and refused below
            output_loading_info=True,
        )
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()
    for kind_of_problem in ("missing_keys", "unexpected_keys", "mismatched_keys"):
        if keys := report[kind_of_problem]:
            some = ", ".join(sorted(str(key) for key in keys)[:3])
            raise ValueError(f"{len(keys)} {kind_of_problem.replace('_', ' ')} ({some})")
    return model


def split(spec: TeacherSpec, state: State) -> Mapping[str, State]:
    """Parts a checkpoint: the encoder's entries, and for every decoder all others."""
    decoders = {task.part for task in spec.tasks}
    parts: dict[str, dict[str, Tensor]] = {part: {} for part in ("encoder", *decoders)}
    for key, value in loaded(spec, state).state_dict().items():
        for part in ("encoder",) if _inside(key, spec) else decoders:
            parts[part][f"model.{key}"] = value
    return parts
