"""Encoders on a device, where the cost is; all that is made of their levels stays on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.geometry import Frame
from kivfm_core.layers.out_of_memory import BatchSplitter
from kivfm_core.predictions import Predictions
from kivfm_core.student.stand_in import StandIn
from kivfm_core.student.student import Student
from kivfm_core.teacher import Levels, LoadedTeacher, Teacher

CPU = "--accelerator cpu"


def find_device(accelerator: str) -> torch.device:
    """The device of a kind, such as `cpu` or `cuda`; `auto` is a GPU if CUDA has one, or the CPU.

    Raises:
        UsageError: If there is none.
    """
    if accelerator == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device("cuda" if accelerator == "gpu" else accelerator)
        torch.zeros(1, device=device).cpu()
    except (RuntimeError, ImportError, AssertionError) as error:
        why = str(error).split(". ")[0]
        raise UsageError(f"no {accelerator} here: {why}", "--accelerator auto") from error
    return device


def on_device(model: Teacher, device: torch.device) -> Teacher:
    """A model whose encoder computes on a device, and all else on the CPU.

    The encoder itself is moved, and stays there.

    Args:
        model: A loaded teacher, a student, or its stand-in; any other is left where it is.
        device: Where to; for the CPU, the model is returned as it is.

    Raises:
        KivfmError: If the encoder does not fit into the device's memory.
    """
    parts = [*_encoder(model)]
    if device.type == "cpu" or not parts:
        return model
    try:
        for part in parts:
            part.to(device)
    except torch.OutOfMemoryError as error:
        raise KivfmError(f"out of memory: {model.spec.name} on {device}", CPU) from error
    return OnDevice(model, device)


def _encoder(model: Teacher) -> Iterable[nn.Module]:
    if isinstance(model, StandIn):
        model = model.student
    if isinstance(model, Student):
        return model.children()  # decoders are none of them
    return [model.encoder] if isinstance(model, LoadedTeacher) else []


class OnDevice:
    """A `Teacher` that moves canvases to its encoder's device, and levels back.

    Args:
        model: Whose encoder is on the device.
        device: Where it is.
    """

    def __init__(self, model: Teacher, device: torch.device) -> None:
        self.spec, self.model, self.device = model.spec, model, device
        self.splitter = BatchSplitter(f"{self.spec.name} is asked on {device}", CPU, lambda _: None)

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Levels on the CPU, in float32; a batch that is too much is asked in portions.

        Raises:
            KivfmError: If a single canvas is too much.
        """

        def ask(part: slice) -> dict[str, Tensor]:
            levels = self.model.encode(images[part].to(self.device), frames[part])
            return {name: level.to("cpu", torch.float32) for name, level in levels.items()}

        parts = self.splitter.run(len(images), lambda slices: [ask(part) for part in slices])
        return Levels({name: torch.cat([p[name] for p in parts]) for name in parts[0]}, frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """The model's, on the CPU."""
        return self.model.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """The model's, on the CPU."""
        return self.model.decode(task, levels, prompt)
