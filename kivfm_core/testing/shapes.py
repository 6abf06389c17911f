"""Checks of shapes: levels on several canvases, and attachment points."""

from __future__ import annotations

from math import ceil, lcm

import torch
from torch import Tensor

from kivfm_core.errors import one_line
from kivfm_core.layers.intermediate import intermediate_outputs
from kivfm_core.spec import Attachment, Level
from kivfm_core.testing.images import make_image
from kivfm_core.testing.outcome import Finding, NotChecked
from kivfm_core.testing.subject import Subject

BATCH = 2
# Share of a map's cells a side that convolutions without padding may lose at the border.
LOST = 0.1


def levels(subject: Subject) -> None:
    """Every level has its declared shape on the declared canvases, and on others unless refused."""
    for canvas, declared in _canvases(subject):
        try:
            found = subject.forward(_images(canvas))
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


def _images(canvas: tuple[int, int]) -> Tensor:
    return torch.stack([make_image(*canvas, which) for which in range(BATCH)]).float() / 255


def _agrees(level: Level, found: Tensor, canvas: tuple[int, int]) -> None:
    level_fits(level, tuple(found.shape), canvas)
    if found.dtype != torch.float32 or not found.isfinite().all():
        raise Finding(
            f"level {level.name!r} is {found.dtype}, finite: {bool(found.isfinite().all())}",
            "return finite float32 for float32 canvases",
        )


def level_fits(level: Level, shape: tuple[int, ...], canvas: tuple[int, int]) -> None:
    """Raises a finding unless `shape`, of a batch of `BATCH`, is the declared one."""
    grid = level.grid(canvas) if level.kind == "dense" else ()
    wanted = (BATCH, level.channels, *grid)
    if shape != wanted:
        raise Finding(
            f"level {level.name!r} is {shape} instead of {wanted} on a canvas of {_text(canvas)}",
            "correct the level's channels, stride or rounding; dense levels are NCHW, "
            "without prefix tokens; raise on a canvas that cannot be served",
        )


def attachments(subject: Subject) -> None:
    """Every attachment point gives what is declared."""
    points = subject.spec.attachments
    if not points:
        raise NotChecked("none are declared: it cannot be a base")
    encoder = subject.teacher.encoder
    known = dict(encoder.named_modules())
    for point in points:
        if point.module not in known:
            raise Finding(
                f"the encoder has no module {point.module!r}",
                "name a path of encoder.named_modules()",
            )
    canvas = (subject.sides[0], subject.sides[0])
    with intermediate_outputs(encoder, [point.module for point in points]) as seen:
        subject.forward(_images(canvas))
    for point in points:
        attachment_fits(point, tuple(getattr(seen.get(point.module), "shape", ())), canvas)


def attachment_fits(point: Attachment, shape: tuple[int, ...], canvas: tuple[int, int]) -> None:
    """Raises a finding unless `shape`, of a batch of `BATCH`, is what the point declares.

    Tokens are a grid exactly. A map may lack cells at the border, one a side or a tenth of them,
    and end in a partial one: it is resized where it is read.
    """
    h, w = (side / point.stride for side in canvas)
    whole = (int(h), int(w))
    if point.layout == "NLC":
        wanted = (BATCH, point.prefix_tokens + whole[0] * whole[1], point.channels)
        fits = shape == wanted
    else:
        nchw = point.layout == "NCHW"
        wanted = (BATCH, point.channels, *whole) if nchw else (BATCH, *whole, point.channels)
        axes = (2, 3) if nchw else (1, 2)
        rest = {0, 1, 2, 3} - {*axes}
        fits = (
            len(shape) == 4
            and all(shape[axis] == wanted[axis] for axis in rest)
            and all(
                n - max(1.5, LOST * n) <= shape[axis] <= ceil(n)
                for axis, n in zip(axes, (h, w), strict=True)
            )
        )
    if not fits:
        raise Finding(
            f"attachment {point.module!r} gives {shape or 'no tensor'} instead of {wanted}",
            "correct its channels, layout, stride or prefix_tokens",
        )


def _text(canvas: tuple[int, int]) -> str:
    return f"{canvas[0]} x {canvas[1]} pixels"
