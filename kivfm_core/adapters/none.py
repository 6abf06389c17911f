"""No adapter: the base stays as it is, and only aligners are trained."""

from __future__ import annotations

from typing import ClassVar, Self

from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest


class NoPlan(AdapterPlan):
    """Nothing is trained on the base."""

    module: ClassVar[str] = "kivfm_core.adapters.adapter:Adapter"  # which adds nothing
    kind: str = "none"

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """Whatever the base is."""
        return cls()
