"""Adapters: what is trained on a frozen base. `plan` counts without torch, `build` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kivfm_core.adapters.plan import AdapterPlan, MapPlan, plan_adapter

if TYPE_CHECKING:
    from kivfm_core.adapters.side import SideAdapter

__all__ = ["AdapterPlan", "MapPlan", "build_adapter", "plan_adapter"]


def build_adapter(plan: AdapterPlan) -> SideAdapter:
    """The module of a plan; at its start it changes nothing."""
    from kivfm_core.adapters.side import SideAdapter

    return {"side": SideAdapter}[plan.kind](plan)
