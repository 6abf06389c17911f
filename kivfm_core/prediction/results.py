"""From predictions in original pixels to a drawing and rows: what the built-in tasks' records name.

Each function draws what was found in one image, and returns a row for each thing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from torch import Tensor
from torchvision.ops import masks_to_boxes

from kivfm_core.geometry import MaskPrompt
from kivfm_core.prediction.draw import Drawing, palette
from kivfm_core.prediction.draw_prompts import draw_prompts
from kivfm_core.prediction.everything import Scan

# So many classes are listed.
TOP = 5

Names = Sequence[str] | None
Rows = list[dict[str, Any]]


def _name(names: Names, index: int) -> str:
    return names[index].strip("_") if names and index < len(names) else f"class {index}"


def draw_classes(drawing: Drawing, logits: Tensor, names: Names, points: Tensor) -> Rows:
    """The most probable classes of `logits [K]`."""
    probability, index = logits.float().softmax(dim=0).topk(min(TOP, len(logits)))
    found = [
        {"label": _name(names, i), "probability": p}
        for p, i in zip(probability.tolist(), index.tolist(), strict=True)
    ]
    drawing.lines([f"{item['probability']:6.1%}  {item['label']}" for item in found])
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
    by_object = "masks" in item  # masks of one class may touch: every object has its own color
    keys = range(len(found)) if by_object else item["labels"].tolist()
    colors = [palette(key + 1) for key in keys]
    if by_object:
        drawing.masks(item["masks"], colors)
        for entry, mask in zip(found, item["masks"], strict=True):
            entry["area"] = int(mask.sum())
    texts = [f"{entry['label']} {entry['score']:.2f}" for entry in found]
    drawing.boxes(item["boxes"].flip(0), texts[::-1], colors[::-1])  # the best on top
    return found


def draw_class_map(drawing: Drawing, logits: Tensor, names: Names, points: Tensor) -> Rows:
    """The classes of a map `[K, H, W]` by their share of the image, largest first."""
    label = logits.argmax(dim=0)
    counts = label.flatten().bincount()
    present = [i for i in counts.argsort(descending=True).tolist() if counts[i] > 0]
    found = [{"label": _name(names, i), "share": int(counts[i]) / label.numel()} for i in present]
    drawn = [i for i in present if _name(names, i) != "background"]
    if drawn:
        masks = label == label.new_tensor(drawn)[:, None, None]
        drawing.masks(masks, [palette(i or 255) for i in drawn])
    lines = [f"{item['share']:6.1%}  {item['label']}" for item in found[:TOP]]
    drawing.lines(lines, [palette(i) for i in present[:TOP]])
    return found


def draw_masks(
    drawing: Drawing, found: Tensor, names: Names, prompts: Sequence[MaskPrompt]
) -> Rows:
    """The masks `[P, H, W]` of prompts."""
    colors = [palette(i + 1) for i in range(len(found))]
    drawing.masks(found, colors)
    draw_prompts(drawing, prompts, colors)
    rows: Rows = []
    for mask, prompt in zip(found, prompts, strict=True):
        box = masks_to_boxes(mask[None])[0].tolist() if mask.any() else None
        row = {"area": int(mask.sum()), "box": box, "prompt": _as_row(prompt)}
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
