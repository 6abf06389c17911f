"""Full fine-tuning as an adapter: a change to every weight of the base, zero at the start.

The frozen base stays as it is, beside the changes; the student's own pass uses the sums. Weight
decay draws the changes to zero, and so the student to its base.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.func import functional_call

from kivfm_core.adapters.adapter import Adapter, RunBase
from kivfm_core.adapters.full_plan import FullPlan
from kivfm_core.layers.trunk_output import TrunkOutput


class FullAdapter(Adapter):
    """Changes to a base's weights.

    Args:
        plan: Its size.
        trunk: The base, for the shapes of its weights.
    """

    def __init__(self, plan: FullPlan, trunk: nn.Module) -> None:
        super().__init__(plan)
        self.changes = nn.ParameterList(
            nn.Parameter(torch.zeros_like(weight)) for weight in trunk.parameters()
        )

    def forget(self) -> None:
        """Changes nothing, as at the start."""
        for change in self.changes:
            nn.init.zeros_(change)

    def adapt(self, canvas: Tensor, trunk: TrunkOutput, run_base: RunBase) -> dict[str, Tensor]:
        """`x` and `V` of the changed base."""
        return run_base(self).features

    def forward(self, trunk: nn.Module, x: Tensor) -> Mapping[str, Tensor]:
        """The changed base's levels for its input `[B, 3, H, W]`."""
        pairs = zip(trunk.named_parameters(), self.changes, strict=True)
        return functional_call(trunk, {name: w + change for (name, w), change in pairs}, (x,))
