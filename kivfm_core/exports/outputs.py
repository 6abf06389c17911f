"""From levels to the tensors of an export: what the built-in tasks' records name.

Each function returns tensors by name, and what someone who uses them has to know.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor

from kivfm_core.errors import UsageError
from kivfm_core.predictions import Candidates
from kivfm_core.teacher import Decoders, Levels

Outputs = tuple[dict[str, Tensor], dict[str, Any]]


def logits(decoders: Decoders, task: str, levels: Levels, prompt: Any) -> Outputs:
    """`logits [B, K]` of images, or `[B, K, h, w]` over the canvas."""
    found: Any = decoders.decode(task, levels, prompt)
    return {"logits": found.logits}, {}


def depth(decoders: Decoders, task: str, levels: Levels, prompt: Any) -> Outputs:
    """`depth [B, h, w]` over the canvas."""
    found: Any = decoders.decode(task, levels, prompt)
    return {"depth": found.depth}, {"depth": {"kind": found.kind}}


def boxes(decoders: Decoders, task: str, levels: Levels, prompt: Any) -> Outputs:
    """`boxes [B, N, 4]` and `scores [B, N, K]`, before suppression.

    Raises:
        UsageError: If the decoder does not give them.
    """
    found: Candidates = _method(decoders, task, "candidates", "it chooses its boxes")(levels)
    return _chosen(found)


def instances(decoders: Decoders, task: str, levels: Levels, prompt: Any) -> Outputs:
    """`boxes [B, N, 4]`, `scores [B, N, K]` and `masks`, before suppression.

    Raises:
        UsageError: If the decoder does not give them.
    """
    why = "its masks follow boxes that it chooses"
    found: Candidates = _method(decoders, task, "masked_candidates", why)(levels)
    tensors, facts = _chosen(found)
    rule = {"region": found.region, "threshold": found.mask_threshold}
    assert found.masks is not None
    return {**tensors, "masks": found.masks}, {**facts, "masks": rule}


def masks(decoders: Decoders, task: str, levels: Levels, prompt: Any) -> Outputs:
    """`logits [B, P, h, w]` over the canvas, and `scores [B, P]` if the decoder has any.

    Raises:
        UsageError: If the decoder does not give them.
    """
    method = _method(decoders, task, "masks_at", "it sorts prompts by their form")
    logits, scores = method(levels, prompt["points"], prompt["labels"])
    rule = {"region": "canvas", "threshold": 0.0}
    return {"logits": logits, **({} if scores is None else {"scores": scores})}, {"masks": rule}


def _chosen(found: Candidates) -> Outputs:
    rule = {"threshold": found.threshold, "iou": found.iou, "most": found.most}
    return {"boxes": found.boxes, "scores": found.scores}, {"suppression": rule}


def _method(decoders: Decoders, task: str, name: str, why: str) -> Any:
    """The method of a decoder that gives tensors of shapes that no image changes."""
    part: Any = decoders.part(task)
    if not hasattr(part, name):
        raise UsageError(
            f"the decoder of {decoders.spec.name} cannot be exported: {why} image by image, which"
            f" no graph of fixed shapes does, and it has no `{name}` that does without",
            "export the features, and decode them in Python: leave out --task",
        )
    return getattr(part, name)
