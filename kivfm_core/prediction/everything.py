"""Everything in an image: a grid of clicks, and of the masks that they give the good ones, once."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from kivfm_core.errors import UsageError
from kivfm_core.geometry import Click, Frame, MaskPrompt, Size
from kivfm_core.layers.distinct_masks import distinct_masks
from kivfm_core.prediction.solver import Solver
from kivfm_core.predictions import Masks
from kivfm_core.reference import resolve_reference
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Levels, Teacher

# So many masks are computed at once: of a canvas of 1024 pixels, they take 256 MiB.
AT_ONCE = 64
# Masks that overlap more than this are one; smaller ones than this share of the image are none.
SAME, SMALL = 0.7, 0.0005
# A mask is stable if it is nearly the same where logits are above this, and above minus this.
MARGIN = 1.0


@dataclass(frozen=True)
class Scan:
    """The masks of an image, best first.

    Attributes:
        masks: Bool `[N, H, W]`, in the image's pixels.
        scores: `[N]` in 0..1: the IoU that the decoder expects (the mean probability inside, if
            it expects nothing), times the mask's stability.
        clicks: `[N, 2]`, where each was clicked on.
    """

    masks: Tensor
    scores: Tensor
    clicks: Tensor

    def prompts(self) -> list[MaskPrompt]:
        """The click of each mask, as a prompt."""
        return [MaskPrompt((Click(x, y),)) for x, y in self.clicks.tolist()]


def scan(solver: Solver, canvas: Tensor, frame: Frame) -> Scan:
    """Segments everything in an image, by a grid of as many clicks as are wanted.

    Args:
        solver: Of a task with prompts, whose predictions are `Masks`.
        canvas: The image's canvas, `[1, 3, h, w]`.
        frame: Its frame.

    Raises:
        UsageError: If its predictions are something else.
    """
    size = frame.original
    levels = solver.model.encode(canvas, [frame])
    kept = Scan(torch.zeros(0, *size, dtype=torch.bool), torch.zeros(0), torch.zeros(0, 2))
    for clicks in torch.tensor(grid(size, solver.asked.everything)).split(AT_ONCE):
        found = _masks(solver.model, solver.record, levels, clicks)
        good = found.scores >= solver.wanted.threshold
        good &= found.masks.flatten(1).float().mean(1) >= SMALL
        # Also of those already kept: memory then holds a portion, and what is left of the others.
        kept = _once(_joined(kept, _picked(found, good.nonzero()[:, 0])))
    return kept


def grid(size: Size, side: int) -> list[tuple[float, float]]:
    """Clicks `(x, y)` in the middle of `side * side` equal parts of an image.

    Example:
        >>> grid((20, 40), 2)
        [(10.0, 5.0), (30.0, 5.0), (10.0, 15.0), (30.0, 15.0)]
    """
    h, w = size
    steps = [(i + 0.5) / side for i in range(side)]
    return [(w * x, h * y) for y in steps for x in steps]


def _masks(model: Teacher, record: TaskRecord, levels: Levels, clicks: Tensor) -> Scan:
    """The masks of clicks `[P, 2]` in original pixels, with their scores."""
    assert record.prompt is not None
    prompts = [MaskPrompt((Click(x, y),)) for x, y in clicks.tolist()]
    raw = resolve_reference(record.prompt.build)({"prompts": prompts}, levels.frames)
    found = model.decode(record.name, levels, model.prompt(record.name, **raw))
    if not isinstance(found, Masks):
        raise UsageError(f"{record.name} gives no masks of clicks", "leave out --everything")
    (logits,), (masks,) = found.logits, found.to_original(levels.frames)
    expected = found.scores[0] if found.scores else None
    return Scan(masks.cpu(), _scores(logits, expected, levels.frames[0]).cpu(), clicks)


def _scores(logits: Tensor, expected: Tensor | None, frame: Frame) -> Tensor:
    """Scores `[P]` of masks `[P, h, w]` over a canvas."""
    shown = _content(logits, frame)
    inside = (shown > 0).sum((1, 2)).clamp(min=1)
    if expected is None:
        expected = torch.where(shown > 0, shown.sigmoid(), 0).sum((1, 2)) / inside
    narrow, wide = (shown > MARGIN).sum((1, 2)), (shown > -MARGIN).sum((1, 2)).clamp(min=1)
    return expected.float() * narrow / wide


def _content(logits: Tensor, frame: Frame) -> Tensor:
    """The part of maps `[P, h, w]` over a canvas that shows the image."""
    (h, w), (ch, cw), (x0, y0, x1, y1) = logits.shape[1:], frame.canvas, frame.content
    rows = slice(y0 * h // ch, max(-(-y1 * h // ch), 1))
    return logits[:, rows, x0 * w // cw : max(-(-x1 * w // cw), 1)]


def _once(found: Scan) -> Scan:
    """The best of masks that overlap, and all others; best first."""
    order = found.scores.argsort(descending=True, stable=True)
    best = torch.tensor([*distinct_masks(found.masks[order], SAME)], dtype=torch.long)
    return _picked(found, best, order)


def _picked(found: Scan, which: Tensor, order: Tensor | None = None) -> Scan:
    which = which if order is None else order[which]
    return Scan(found.masks[which], found.scores[which], found.clicks[which])


def _joined(*parts: Scan) -> Scan:
    return Scan(
        torch.cat([part.masks for part in parts]),
        torch.cat([part.scores for part in parts]),
        torch.cat([part.clicks for part in parts]),
    )
