"""From predictions in original pixels to a drawing and rows: what the built-in tasks' records name.

Each function draws what was found in one image, and returns a row for each thing. A row's mask goes
to `Prediction.masks`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from kivfm_core.geometry import MaskPrompt
from kivfm_core.prediction.colors import color_of
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.draw_prompts import draw_prompts
from kivfm_core.prediction.everything import Scan
from kivfm_core.prediction.result import MASK
from kivfm_core.prediction.wanted import Names, distinct

# Unless a user says otherwise, of boxes that overlap by more than this only the best is drawn.
OVERLAP = 0.7

Rows = list[dict[str, Any]]


def _name(names: Names, index: int) -> str:
    return names[index].strip("_") if names and index < len(names) else f"class {index}"


def draw_classes(drawing: Drawing, logits: Tensor, names: Names, points: Tensor) -> Rows:
    """The most probable classes of `logits [K]`."""
    probability, chosen = logits.float().softmax(dim=0), drawing.wanted.indices(names)
    order = probability.argsort(descending=True).tolist()
    index = [i for i in order if chosen is None or i in chosen][: drawing.wanted.top]
    shares = probability[index].tolist()
    found = [
        {"label": _name(names, i), "probability": p} for i, p in zip(index, shares, strict=True)
    ]
    drawing.bars([item["label"] for item in found], shares, [color_of(i) for i in index])
    return found


def draw_boxes(drawing: Drawing, item: dict[str, Tensor], names: Names, points: Tensor) -> Rows:
    """The confident objects of `{boxes, scores, labels}`; a decoder's masks are not shown."""
    boxes = {key: value for key, value in item.items() if key != "masks"}
    return draw_objects(drawing, boxes, names, points)


def draw_objects(drawing: Drawing, item: dict[str, Tensor], names: Names, points: Tensor) -> Rows:
    """The confident objects of `{boxes, scores, labels, masks?}`, best first."""
    order = item["scores"].argsort(descending=True)
    order = order[item["scores"][order] >= drawing.threshold]
    item = {key: value[order] for key, value in item.items()}
    rows = zip(
        item["boxes"].tolist(), item["scores"].tolist(), item["labels"].tolist(), strict=True
    )
    found: Rows = [
        {"label": _name(names, label), "score": score, "box": _rounded(box)}
        for box, score, label in rows
    ]
    if "masks" in item:
        for entry, mask in zip(found, item["masks"], strict=True):
            entry |= {"area": int(mask.sum()), MASK: mask}
    _draw_distinct(drawing, item, names)
    return found


def _draw_distinct(drawing: Drawing, item: dict[str, Tensor], names: Names) -> None:
    """Draws one box for one thing, the best on top."""
    overlap = drawing.wanted.suppress or OVERLAP
    shown = distinct(item["boxes"], item["scores"], overlap).flip(0)
    labels = item["labels"][shown].tolist()
    colors = [color_of(label) for label in labels]
    if "masks" in item:
        drawing.masks(item["masks"][shown], colors)
    scores = item["scores"][shown].tolist()
    texts = [f"{_name(names, i)} {score:.2f}" for i, score in zip(labels, scores, strict=True)]
    unnamed = drawing.boxes(item["boxes"][shown], texts, colors)
    if unnamed:
        crowd = list(dict.fromkeys(labels[i] for i in reversed(unnamed)))
        drawing.legend([_name(names, i) for i in crowd], [color_of(i) for i in crowd])


def draw_class_map(drawing: Drawing, logits: Tensor, names: Names, points: Tensor) -> Rows:
    """The classes of a map `[K, H, W]` by their share of the image, largest first."""
    label, chosen = logits.argmax(dim=0), drawing.wanted.indices(names)
    counts = label.flatten().bincount()
    present = [
        i
        for i in counts.argsort(descending=True).tolist()
        if counts[i] > 0 and (chosen is None or i in chosen)
    ]
    found = [{"label": _name(names, i), "share": int(counts[i]) / label.numel()} for i in present]
    drawn = [i for i in present if _name(names, i) != "background"]
    colors = [color_of(i) for i in drawn]
    for i, color in zip(drawn, colors, strict=True):  # one by one: a mask a class takes memory
        drawing.masks((label == i)[None], [color])
    shares = {item["label"]: item["share"] for item in found}
    named = [_name(names, i) for i in drawn]
    if drawn:
        drawing.legend([f"{name}  {shares[name]:.1%}" for name in named], colors)
    return found


def draw_words(drawing: Drawing, logits: Tensor, names: Names, points: Tensor) -> Rows:
    """The named things of a map `[K, H, W]`, by their share of the image, largest first.

    Where no name fits, there is none of them.
    """
    none = logits.new_zeros(1, *logits.shape[1:])
    found = draw_class_map(
        drawing, torch.cat([logits, none]), [*(names or ()), "background"], points
    )
    return [row for row in found if row["label"] != "background"]


def draw_masks(
    drawing: Drawing, found: Tensor, names: Names, prompts: Sequence[MaskPrompt]
) -> Rows:
    """The masks `[P, H, W]` of prompts."""
    # Takes longer to import than torch, and other tasks do without.
    from torchvision.ops import masks_to_boxes

    colors = [color_of(i) for i in range(len(found))]
    drawing.masks(found, colors)
    draw_prompts(drawing, prompts, colors)
    rows: Rows = []
    for mask, prompt in zip(found, prompts, strict=True):
        box = masks_to_boxes(mask[None])[0].tolist() if mask.any() else None
        row = {"area": int(mask.sum()), "box": box, "prompt": _as_row(prompt), MASK: mask}
        positive = [[click.x, click.y] for click in prompt.clicks if click.positive]
        rows.append({"point": positive[0], **row} if positive else row)
    return rows


def draw_everything(drawing: Drawing, found: Scan) -> Rows:
    """All masks of an image, with their scores."""
    rows = draw_masks(drawing, found.masks, None, found.prompts())
    scores = found.scores.tolist()
    return [{"score": round(s, 4), **row} for s, row in zip(scores, rows, strict=True)]


def _as_row(prompt: MaskPrompt) -> dict[str, Any]:
    """A prompt as in a file of prompts."""
    row: dict[str, Any] = {"points": [[click.x, click.y] for click in prompt.clicks]}
    row["labels"] = [int(click.positive) for click in prompt.clicks]
    return row if prompt.box is None else {**row, "box": [*prompt.box]}


def _rounded(values: Sequence[float]) -> list[float]:
    return [round(value, 2) for value in values]
