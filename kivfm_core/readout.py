"""What a decoder computes before it chooses: its differentiable half, for distillation.

A decoder may offer `readout(levels) -> list[Readout]`. The student's levels go through the frozen
teacher's own head, and what comes out is compared with what the teacher's levels give there, so
that the student's effort goes where the teacher's decisions are made (after CrossKD, arXiv
2306.11369, and SimKD, arXiv 2203.14001). A decoder without it is matched by its levels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

Kind = Literal["choice", "binary", "number"]


@dataclass(frozen=True)
class Readout:
    """One kind of statement about every place of a batch.

    Attributes:
        values: `[B, ..., K]`.
        kind: `choice`: logits of one among K; `binary`: of K independent questions; `number`: K
            numbers, in units of which a tenth is worth telling apart.
        weight: `[B, ...]`, how much each place's statement matters; all alike by default.

    Raises:
        ValueError: If the kind is unknown, or there is not one weight a place.
    """

    values: Tensor
    kind: Kind
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuses what would only fail, or silently broadcast, in the first step of a run."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"a readout's kind is one of {get_args(Kind)}, not {self.kind!r}")
        places = self.values.shape[:-1]
        if self.weight is not None and self.weight.shape != places:
            raise ValueError(
                f"a readout of {tuple(places)} places has weights {tuple(self.weight.shape)}"
            )
