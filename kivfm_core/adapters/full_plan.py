"""Full fine-tuning of the base: its size, without torch."""

from __future__ import annotations

from typing import Literal

from kivfm_core.adapters.plan import AdapterPlan


class FullPlan(AdapterPlan):
    """A change to every weight of the base.

    Attributes:
        weights: How many the base has.
    """

    kind: Literal["full"] = "full"
    weights: int

    @property
    def parameters(self) -> int:
        """As many as the base has."""
        return self.weights
