"""Full fine-tuning of the base: its size, without torch."""

from __future__ import annotations

from typing import ClassVar, Self

from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest


class FullPlan(AdapterPlan):
    """A change to every weight of the base.

    Attributes:
        weights: Number of the base's parameters.
    """

    module: ClassVar[str] = "kivfm_core.adapters.full:FullAdapter"
    changes_base: ClassVar[bool] = True

    kind: str = "full"
    weights: int

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """One number for each of the base's; it has no width."""
        return cls(weights=request.base_parameters)

    @property
    def parameters(self) -> int:
        """As many as the base has."""
        return self.weights
