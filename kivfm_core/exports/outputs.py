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


def boxes(decoders: Decoders, task: str, levels: Levels, prompt: Any) -> Outputs:
    """`boxes [B, N, 4]` and `scores [B, N, K]`, before suppression.

    Raises:
        UsageError: If the decoder does not give them.
    """
    part: Any = decoders.part(task)
    if not hasattr(part, "candidates"):
        raise UsageError(
            f"the decoder of {decoders.spec.name} cannot be exported: it has no `candidates`",
            "export the features: leave --task",
        )
    found: Candidates = part.candidates(levels)
    rule = {"threshold": found.threshold, "iou": found.iou, "most": found.most}
    return {"boxes": found.boxes, "scores": found.scores}, {"suppression": rule}
