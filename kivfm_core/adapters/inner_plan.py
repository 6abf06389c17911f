"""Adapters inside the base's own pass: their places and parameters, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from kivfm_core.adapters.plan import AdapterPlan
from kivfm_core.errors import UsageError
from kivfm_core.spec import Attachment

RATIO = 4
"""Of a block's channels to a bottleneck's, as in SAK (arXiv 2410.14633)."""
LORA_RANK = 16


class InnerPlan(AdapterPlan):
    """Branches inside the base.

    Attributes:
        places: Attachment points, each a block of the base, shallow to deep.
        rank: Width of each branch.
    """

    kind: Literal["bottleneck", "lora"]
    places: tuple[Attachment, ...]
    rank: int

    @property
    def parameters(self) -> int:
        """Trainable parameters of all branches."""
        channels = sum(place.channels for place in self.places)
        if self.kind == "lora":  # to and from the rank, beside `qkv` and `proj`
            return (1 + 3 + 1 + 1) * self.rank * channels
        return 2 * self.rank * channels + 3 * channels + self.rank * len(self.places)

    @property
    def outline(self) -> dict[str, Any]:
        """Which blocks have branches, and how narrow these are."""
        return {"blocks": [place.module for place in self.places], "rank": self.rank}


def plan_inner(
    kind: Literal["bottleneck", "lora"], attachments: Sequence[Attachment], rank: int | None
) -> InnerPlan:
    """Plans a branch beside every block of a base.

    Args:
        kind: Of the branches.
        attachments: The base's attachment points.
        rank: Width of each branch; by default a quarter of its block's, or LoRA's usual 16.

    Raises:
        UsageError: If LoRA is wanted beside blocks that are no transformer's.
    """
    if kind == "lora" and any(place.layout != "NLC" for place in attachments):
        raise UsageError(
            "LoRA goes beside a transformer's attention, and the base's blocks give maps",
            "--set student.adapter=bottleneck",
        )
    usual = LORA_RANK if kind == "lora" else max(8, attachments[-1].channels // RATIO)
    return InnerPlan(kind=kind, places=tuple(attachments), rank=rank or usual)
