"""What a decoder computes before it chooses: its differentiable part, for distillation.

A decoder may offer `readout(levels) -> list[Readout]`. The student's levels go through the frozen
decoder of the teacher, and the result is compared with that of the teacher's own levels. So the
student learns most where the teacher's decisions depend on it (after CrossKD, arXiv 2306.11369, and
SimKD, arXiv 2203.14001). For a decoder without it, only levels are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

Kind = Literal["choice", "binary", "number"]


@dataclass(frozen=True)
class Readout:
    """Numbers of one kind about every place of a batch.

    Attributes:
        values: `[B, ..., K]`.
        kind: `choice`: logits of one choice among K; `binary`: logits of K independent yes or no
            questions; `number`: K numbers, in a unit of which a tenth is a difference that matters.
        weight: `[B, ...]`, how much each place counts; all the same by default.

    Raises:
        ValueError: If the kind is unknown, or there is not one weight a place.
    """

    values: Tensor
    kind: Kind
    weight: Tensor | None = None

    def __post_init__(self) -> None:
        """Refuses what would otherwise fail, or silently broadcast, in the first step of a run."""
        if self.kind not in get_args(Kind):
            raise ValueError(f"a readout's kind is one of {get_args(Kind)}, not {self.kind!r}")
        places = self.values.shape[:-1]
        if self.weight is not None and self.weight.shape != places:
            raise ValueError(
                f"a readout of {tuple(places)} places has weights {tuple(self.weight.shape)}"
            )
