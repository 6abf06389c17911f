"""What a decoder says before it chooses: the differentiable half of a decoder, for distillation.

A decoder may offer `readout(levels) -> list[Readout]`. The student's levels go through the frozen
teacher's own head, and what comes out is compared with what the teacher's levels give there, so
that the student's effort goes where the teacher's decisions are made (after CrossKD, arXiv
2306.11369, and SimKD, arXiv 2203.14001). A decoder without it is matched by its levels alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from torch import Tensor


@dataclass(frozen=True)
class Readout:
    """One kind of statement about every place of a batch.

    Attributes:
        values: `[B, ..., K]`.
        kind: `choice`: logits of one among K; `binary`: of K independent questions; `number`: K
            numbers, in units of which a tenth is worth telling apart.
        weight: `[B, ...]`, how much each place's statement matters; all alike by default.
    """

    values: Tensor
    kind: Literal["choice", "binary", "number"]
    weight: Tensor | None = None
