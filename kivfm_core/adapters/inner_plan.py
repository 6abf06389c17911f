"""Adapters inside the base's own pass: their blocks and parameters, without torch."""

from __future__ import annotations

from typing import Any, ClassVar, Self

from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest
from kivfm_core.errors import UsageError
from kivfm_core.spec import Attachment

# A block's channels over its bottleneck's, as in SAK (arXiv 2410.14633).
RATIO = 4
LORA_RANK = 16


class InnerPlan(AdapterPlan):
    """A narrow branch beside every block of the base.

    Attributes:
        other: The kind to take where the base has no place for this one.
        places: The base's blocks, its attachment points, shallow to deep. Stored under this name;
            code reads `blocks`.
        rank: Width of each branch.
    """

    changes_base: ClassVar[bool] = True
    other: ClassVar[str]

    places: tuple[Attachment, ...]
    rank: int

    @property
    def blocks(self) -> tuple[Attachment, ...]:
        """The base's blocks, shallow to deep."""
        return self.places

    @property
    def outline(self) -> dict[str, Any]:
        """The blocks that have branches, and the branches' width."""
        return {"blocks": [block.module for block in self.blocks], "rank": self.rank}


class BottleneckPlan(InnerPlan):
    """Beside whole blocks (Houlsby et al., arXiv 1902.00751)."""

    module: ClassVar[str] = "kivfm_core.adapters.inner:BottleneckAdapter"
    other: ClassVar[str] = "side"

    kind: str = "bottleneck"

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """By default a branch is a quarter as wide as its block."""
        blocks = request.attachments
        rank = request.width or max(8, blocks[-1].channels // RATIO)
        return cls(places=blocks, rank=rank)

    @property
    def parameters(self) -> int:
        """A norm and two linear maps in each branch."""
        channels = sum(block.channels for block in self.blocks)
        return 2 * self.rank * channels + 3 * channels + self.rank * len(self.blocks)


class LoraPlan(InnerPlan):
    """Beside a transformer's attention projections (LoRA, arXiv 2106.09685)."""

    module: ClassVar[str] = "kivfm_core.adapters.inner:LoraAdapter"
    other: ClassVar[str] = "bottleneck"

    kind: str = "lora"

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """By default of LoRA's usual rank.

        Raises:
            UsageError: If the base's blocks are no transformer's.
        """
        if any(block.layout != "NLC" for block in request.attachments):
            raise UsageError(
                "LoRA goes beside a transformer's attention, and the base's blocks give maps",
                "--set student.adapter=bottleneck",
            )
        return cls(places=request.attachments, rank=request.width or LORA_RANK)

    @property
    def parameters(self) -> int:
        """Two linear maps without bias in each branch, one beside `qkv` and one beside `proj`."""
        # Of C channels, `qkv` maps C to 3C and `proj` C to C; each branch goes by way of the rank.
        return (1 + 3 + 1 + 1) * self.rank * sum(block.channels for block in self.blocks)
