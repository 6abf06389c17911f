"""Checks of how a frozen teacher behaves, whatever it computes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.errors import one_line
from kivfm_core.teacher import Levels
from kivfm_core.testing.boxes import louder
from kivfm_core.testing.decoders import all_prompted, values
from kivfm_core.testing.images import canvases
from kivfm_core.testing.outcome import Finding
from kivfm_core.testing.subject import Subject, off

# Relative difference of levels that batching may make: kernels add in another order.
SAME = 1e-3
# The same for predictions: near a threshold, a small difference keeps or drops a whole box.
SAME_CHOICE = 0.01
# Relative difference that bfloat16 may make.
CLOSE = 0.1


def deterministic(subject: Subject) -> None:
    """The same images give the same levels, bit for bit."""
    first, second = subject.levels(), subject.levels()
    for name in first:
        if not torch.equal(first[name], second[name]):
            raise Finding(
                f"level {name!r} differs the second time",
                "leave out dropout and random numbers when self.training is False",
            )


def frozen(subject: Subject) -> None:
    """The teacher stays in evaluation mode, without gradients, and its state does not change."""
    teacher = subject.teacher
    before = {key: value.clone() for key, value in teacher.state_dict().items()}
    values(subject, subject.levels())
    for name, module in teacher.named_modules():
        if module.training:
            raise Finding(
                f"module {name!r} is in training mode",
                "do not call train() in forward, and let train(mode) reach every submodule",
            )
    for name, parameter in teacher.named_parameters():
        if parameter.requires_grad:
            raise Finding(f"parameter {name!r} requires a gradient", "do not turn it on in forward")
    for key, value in teacher.state_dict().items():
        if not torch.equal(value, before[key]):
            raise Finding(f"{key!r} changes in forward", "update no buffer there")
    all_prompted(subject)


def batch(subject: Subject) -> None:
    """An image has the same levels and predictions alone as in a batch."""
    images, frames = canvases(subject.spec.input, subject.sides[0], 3)
    together = subject.teacher.encode(images, frames)
    predicted = values(subject, together)
    for index, frame in enumerate(frames):
        alone = subject.teacher.encode(images[index : index + 1], [frame])
        own = {name: together[name][index : index + 1] for name in together}
        for name in together:
            words = off(alone[name], own[name], SAME, "that in a batch")
            if words:
                raise Finding(
                    f"level {name!r} of an image alone is {words}",
                    "compute nothing over the batch; check reshapes and batch norm",
                )
        # From the same levels: otherwise the encoder's small differences would count against the
        # decoder.
        for task, (value,) in values(subject, Levels(own, [frame])).items():
            words = off(*_paired(value, predicted[task][index]), SAME_CHOICE, "that in a batch")
            if words:
                raise Finding(
                    f"{task} of an image alone is {words}",
                    "let the decoder compute nothing over the batch; check reshapes and batch norm",
                )
    all_prompted(subject)


def _paired(alone: Tensor, together: Tensor) -> tuple[Tensor, Tensor]:
    """What is compared.

    One list of scores may be longer than the other, if what it adds is as low as its last score.
    """
    if alone.ndim == 1 and len(alone) and len(together):
        length = max(len(alone), len(together))
        alone, together = (
            F.pad(x, (0, length - len(x)), value=float(x[-1])) for x in (alone, together)
        )
    return alone, together


def _are_one(first: Tensor, second: Tensor) -> bool:
    """Whether two images have one level or prediction; to find nothing in both says nothing."""
    return first.numel() > 0 and torch.equal(first, second)


def responds(subject: Subject) -> None:
    """Levels and predictions change with the image."""
    levels = subject.levels()
    for name, (first, second) in levels.items():
        if _are_one(first, second):
            raise Finding(
                f"level {name!r} is the same for two images",
                "look for what replaces the encoder's input, or takes the first of a batch for all",
            )
    # In random weights images may leave no trace; in noise they differ enough for any decoder.
    fixed = values(subject, levels)
    for given in (levels, *louder(levels)):
        found = values(subject, given) if fixed else {}
        fixed = {task: pair for task, pair in found.items() if task in fixed and _are_one(*pair)}
    for task in fixed:
        raise Finding(
            f"{task} is the same for two images",
            "let the decoder read the levels that it gets, an image's own for each",
        )
    all_prompted(subject)


def bfloat16(subject: Subject) -> None:
    """Levels under bfloat16 are close to those of float32."""
    full = subject.levels()
    try:
        with torch.autocast("cpu", torch.bfloat16):
            half = subject.levels()
    except Exception as error:
        raise Finding(
            f"under torch.autocast it raises {one_line(error)}",
            "create tensors with the dtype of their input: x.new_zeros(...)",
        ) from error
    for name in full:
        words = off(half[name].float(), full[name], CLOSE, "under bfloat16")
        if words:
            raise Finding(
                f"level {name!r} is {words}",
                "compute what needs precision in float32: x.float() where it does",
            )


def gradients(subject: Subject) -> None:
    """Levels carry no gradient, and can enter a module that is trained."""
    images, frames = canvases(subject.spec.input, subject.sides[0])
    levels = subject.teacher.encode(images.requires_grad_(True), frames)
    for name in levels:
        if levels[name].requires_grad:
            raise Finding(f"level {name!r} carries a gradient", "leave out torch.enable_grad()")
        if levels[name].is_inference():
            raise Finding(
                f"level {name!r} was made in inference mode, and nothing can be trained on it",
                "use torch.no_grad(), or leave it to the core",
            )
