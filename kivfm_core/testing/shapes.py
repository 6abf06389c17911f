"""Checks of shapes: levels on several canvases, and attachment points."""

from __future__ import annotations

from math import lcm
from typing import Any

import torch
from torch import Tensor

from kivfm_core.entries import one_line
from kivfm_core.spec import Attachment, Level
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.pictures import picture
from kivfm_core.testing.subject import Subject

BATCH = 2


def levels(subject: Subject) -> None:
    """Every level has its declared shape on the declared canvases, and on others unless refused."""
    for canvas, declared in _canvases(subject):
        try:
            found = subject.forward(_pictures(canvas))
        except (Finding, NotChecked):
            raise
        except Exception as error:
            if not declared:
                continue  # To refuse a size that was not declared is fine.
            raise Finding(
                f"the encoder refuses a declared canvas of {_text(canvas)}: {one_line(error)}",
                "correct size, train_sizes or multiple of the input contract",
            ) from error
        if set(found) != {level.name for level in subject.spec.levels}:
            raise Finding(f"the encoder returns {sorted(found)}", "declare exactly what it returns")
        for level in subject.spec.levels:
            _agrees(level, found[level.name], canvas)


def _canvases(subject: Subject) -> list[tuple[tuple[int, int], bool]]:
    """Canvas sizes, and whether the spec declares them; others may be refused, not distorted."""
    small, *larger = subject.sides
    # A cell more at every level, or shapes would say nothing.
    strides = [level.stride for level in subject.spec.levels if level.stride]
    longer = small + lcm(subject.spec.input.multiple, *strides)
    other = larger[0] if larger else longer
    short_side = subject.spec.input.policy == "short-side"
    return [
        ((small, small), True),
        ((other, other), bool(larger) or short_side),
        ((small, longer), short_side),
        ((longer, small), short_side),
    ]


def _pictures(canvas: tuple[int, int]) -> Tensor:
    return torch.stack([picture(*canvas, which) for which in range(BATCH)]).float() / 255


def _agrees(level: Level, found: Tensor, canvas: tuple[int, int]) -> None:
    grid = level.grid(canvas) if level.kind == "dense" else ()
    wanted = (BATCH, level.channels, *grid)
    if tuple(found.shape) != wanted:
        raise Finding(
            f"level {level.name!r} is {tuple(found.shape)} instead of {wanted} "
            f"on a canvas of {_text(canvas)}",
            "correct the level's channels, stride or rounding; dense levels are NCHW, "
            "without prefix tokens; raise on a canvas that cannot be served",
        )
    if found.dtype != torch.float32 or not found.isfinite().all():
        raise Finding(
            f"level {level.name!r} is {found.dtype}, finite: {bool(found.isfinite().all())}",
            "return finite float32 for float32 canvases",
        )


def attachments(subject: Subject) -> None:
    """Every attachment point gives what is declared."""
    points = subject.spec.attachments
    if not points:
        raise NotChecked("none are declared: it cannot be a base")
    canvas = (subject.sides[0], subject.sides[0])
    seen: dict[str, Any] = {}
    handles: list[Any] = []
    for point in points:
        try:
            module = subject.teacher.encoder.get_submodule(point.module)
        except AttributeError as error:
            raise Finding(
                f"the encoder has no module {point.module!r}",
                "name a path of encoder.named_modules()",
            ) from error

        def keep(module: Any, inputs: Any, output: Any, name: str = point.module) -> None:
            seen[name] = output

        handles.append(module.register_forward_hook(keep))
    try:
        subject.forward(_pictures(canvas))
    finally:
        for handle in handles:
            handle.remove()
    for point in points:
        shape = tuple(getattr(seen.get(point.module), "shape", ()))
        wanted = _shape(point, canvas)
        if shape != wanted:
            raise Finding(
                f"attachment {point.module!r} gives {shape or 'no tensor'} instead of {wanted}",
                "correct its channels, layout, stride or prefix_tokens",
            )


def _shape(point: Attachment, canvas: tuple[int, int]) -> tuple[int, ...]:
    h, w = canvas[0] // point.stride, canvas[1] // point.stride
    if point.layout == "NLC":
        return BATCH, point.prefix_tokens + h * w, point.channels
    return (
        (BATCH, point.channels, h, w) if point.layout == "NCHW" else (BATCH, h, w, point.channels)
    )


def _text(canvas: tuple[int, int]) -> str:
    return f"{canvas[0]} x {canvas[1]} pixels"
