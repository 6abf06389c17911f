"""Full fine-tuning as an adapter: what is added to every weight of the base, zero at the start.

The base stays as it is, beside the changes: the student's own pass takes the sums. Weight decay
draws the changes to zero, so the student to its base.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call


class FullAdapter(nn.Module):
    """Changes to a base's weights.

    Args:
        trunk: The base, for the shapes of its weights.
    """

    def __init__(self, trunk: nn.Module) -> None:
        super().__init__()
        self.changes = nn.ParameterList(
            nn.Parameter(torch.zeros_like(weight)) for weight in trunk.parameters()
        )

    def forget(self) -> None:
        """Changes nothing, as at the start."""
        for change in self.changes:
            nn.init.zeros_(change)

    def forward(self, trunk: nn.Module, x: Tensor) -> dict[str, Tensor]:
        """What the changed base says of its input `[B, 3, H, W]`."""
        pairs = zip(trunk.named_parameters(), self.changes, strict=True)
        return functional_call(trunk, {name: w + change for (name, w), change in pairs}, (x,))
