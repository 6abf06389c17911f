"""Runs encoders on a device. Decoders, which cost little, stay on the CPU."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, overload

import torch
from torch import Tensor, nn

from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.geometry import Frame
from kivfm_core.layers.out_of_memory import BatchSplitter
from kivfm_core.predictions import Predictions
from kivfm_core.student.stand_in import StandIn
from kivfm_core.student.student import Student
from kivfm_core.teacher import Encoder, Levels, LoadedTeacher, Teacher

# What helps where a device has too little memory.
CPU = "--accelerator cpu"


def find_device(accelerator: str) -> torch.device:
    """The device of a kind, such as `cpu` or `cuda`; `auto` is a CUDA GPU if there is one.

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


@overload
def on_device(model: Teacher, device: torch.device) -> Teacher: ...
@overload
def on_device(model: Encoder, device: torch.device) -> Encoder: ...
def on_device(model: Encoder, device: torch.device) -> Encoder:
    """A model whose encoder runs on a device, and its decoders on the CPU.

    The encoder itself is moved, and stays there.

    Args:
        model: A loaded teacher, a student, or a stand-in; any other model is left where it is.
        device: The device; for the CPU, the model is returned as it is.

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
    return OnDevice(model, device) if isinstance(model, Teacher) else EncoderOnDevice(model, device)


def _encoder(model: Encoder) -> Iterable[nn.Module]:
    student = getattr(model, "student", model)  # a stand-in has one, several in one pass too
    if isinstance(student, Student):
        return student.children()  # its decoders are not registered as children
    return [model.encoder] if isinstance(model, LoadedTeacher) else []


class EncoderOnDevice:
    """An `Encoder` that moves canvases to its model's device, and levels back.

    Args:
        model: A model whose encoder is on the device.
        device: The device.
    """

    def __init__(self, model: Encoder, device: torch.device) -> None:
        self.spec, self.model, self.device = model.spec, model, device
        self.splitter = BatchSplitter(f"running {self.spec.name} on {device}", CPU, lambda _: None)

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Levels on the CPU, in float32; a batch that does not fit into memory is split.

        Raises:
            KivfmError: If a single canvas does not fit.
        """

        def run(part: slice) -> dict[str, Tensor]:
            levels = self.model.encode(images[part].to(self.device), frames[part])
            return {name: level.to("cpu", torch.float32) for name, level in levels.items()}

        parts = self.splitter.run(len(images), lambda slices: [run(part) for part in slices])
        own = self.model.frames(frames) if isinstance(self.model, StandIn) else frames
        return Levels({name: torch.cat([p[name] for p in parts]) for name in parts[0]}, own)


class OnDevice(EncoderOnDevice):
    """A `Teacher` whose encoder runs on a device, and its decoders on the CPU.

    Args:
        model: A model whose encoder is on the device.
        device: The device.
    """

    def __init__(self, model: Teacher, device: torch.device) -> None:
        super().__init__(model, device)
        self.teacher = model

    def prompt(self, task: str, **raw: Any) -> Any:
        """Prepares a prompt, on the CPU."""
        return self.teacher.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels, on the CPU."""
        return self.teacher.decode(task, levels, prompt)
