"""The check that encoder and decoders together equal the original model."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

import torch
from torch import Tensor

from kivfm_core.errors import KivfmError, one_line
from kivfm_core.reference import resolve_reference
from kivfm_core.teacher import LoadedTeacher
from kivfm_core.testing.decoders import raw_prompts, tasks_of
from kivfm_core.testing.images import canvases
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject, off, scrambled, seeded
from kivfm_core.weights.loading import load_strict, read_state

# Relative difference that another order of the same operations may make.
EQUAL = 1e-3


def original(subject: Subject) -> None:
    """The decoders' predictions equal the original model's on the same canvas."""
    spec = subject.spec
    tasks = tasks_of(subject)
    if spec.original is None:
        raise NotChecked(
            "the spec names no original: normalization, the order of channels and classes, and "
            "where boxes and maps lie are compared with nothing",
            "original='PACKAGE.MODULE:FUNCTION'; see docs/reference/conformance.md, The original",
        )
    with seeded():
        whole: Any = resolve_reference(spec.original)(spec).eval()
        state = read_state(subject.weights) if subject.weights else scrambled(whole.state_dict())
    try:
        load_strict(whole, state, f"the original of {spec.name}")
        teacher = LoadedTeacher(spec)
        teacher.load(resolve_reference(spec.weights.split)(spec, state))
    except (KivfmError, KeyError) as error:
        raise Finding(
            f"the original's state does not become the teacher's: {one_line(error)}",
            "the original's state_dict() is what the weights file holds, and split() takes",
        ) from error
    images, frames = canvases(spec.input, subject.sides[0])
    prompts = raw_prompts(tasks, frames)
    levels = teacher.encode(images, frames)
    with torch.no_grad():
        theirs = whole(images, prompts)
    silent: list[str] = []
    for task in (task.task for task in tasks):
        try:
            prompt = teacher.prompt(task, **prompts[task])
            ours = teacher.decode(task, levels, prompt)
        except Exception as error:
            raise NotChecked(f"the decoder of {task} raises: see the check decoders") from error
        pairs = _pairs(task, ours, theirs.get(task))
        for name, mine, other in pairs:
            words = off(mine.float(), other.float(), EQUAL, "what the original gives")
            if words:
                raise Finding(
                    f"{task}: {name} is {words}",
                    "check normalization (scale, mean, std, channel_order), split() and the "
                    "decoder",
                )
        if not any(mine.numel() for _, mine, _ in pairs):
            silent.append(task)
    if silent:
        raise NotChecked(
            f"nothing is found on the kit's images, so nothing was compared: {', '.join(silent)}",
            "" if subject.weights else f"kivfm teachers check {spec.name} --weights FILE",
        )


def _pairs(task: str, ours: Any, theirs: Any) -> list[tuple[str, Tensor, Tensor]]:
    """The tensors of two predictions (dataclasses), in pairs, with their field's name."""
    kind = type(ours)
    if not isinstance(theirs, kind):
        raise Finding(
            f"{task}: the original gives {type(theirs).__name__}, not {kind.__name__}",
            "return {task: predictions} for all tasks of the spec from the original's forward",
        )
    pairs: list[tuple[str, Tensor, Tensor]] = []
    for field in fields(ours):
        mine, other = getattr(ours, field.name), getattr(theirs, field.name)
        if isinstance(mine, Tensor):
            pairs.append((field.name, mine, other))
        # What one of the two leaves out, such as the scores of masks, is not compared.
        elif not isinstance(mine, str | float) and mine is not None and other is not None:
            pairs += [(field.name, *pair) for pair in zip(mine, other, strict=True)]
    return pairs
