"""Adapters: what is trained on a frozen base. Plans count without torch, `build` makes modules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field

from kivfm_core.adapters.full_plan import FullPlan
from kivfm_core.adapters.inner_plan import InnerPlan, plan_inner
from kivfm_core.adapters.plan import AdapterPlan, MapPlan, NoPlan
from kivfm_core.adapters.side_plan import SidePlan, plan_side

if TYPE_CHECKING:
    from torch import nn

    from kivfm_core.spec import Attachment

__all__ = ["AdapterPlan", "AnyPlan", "FullPlan", "InnerPlan", "Kind", "MapPlan", "SidePlan",
           "build_adapter", "plan_adapter", "plan_side"]  # fmt: skip

Kind = Literal["side", "bottleneck", "lora", "full", "none"]
AnyPlan = Annotated[SidePlan | InnerPlan | FullPlan | NoPlan, Field(discriminator="kind")]
"""As it is read from a composition."""


def plan_adapter(
    kind: Kind,
    attachments: Sequence[Attachment],
    x_channels: int,
    v: MapPlan,
    finest: int,
    width: int | None = None,
    weights: int = 0,
) -> AnyPlan:
    """Plans the adapter of a base.

    Args:
        kind: `none` leaves the base as it is: there are aligners only.
        attachments: The base's attachment points, shallow to deep.
        x_channels: Channels of the base's global level.
        v: The base's dense level.
        finest: The finest stride that a selected teacher has, in pixels.
        width: Channels of a side adapter at the base's stride; of an inner one's branches.
        weights: How many the base has.

    Raises:
        UsageError: If the base has no place for this kind, or the width does not suit it.
    """
    if kind == "side":
        return plan_side(attachments, x_channels, v, finest, width)
    if kind == "full":
        return FullPlan(weights=weights)
    return NoPlan() if kind == "none" else plan_inner(kind, attachments, width)


def build_adapter(plan: AdapterPlan, trunk: nn.Module | None = None) -> nn.Module:
    """The module of a plan; at its start it changes nothing.

    Args:
        plan: Of any kind.
        trunk: The base, which full fine-tuning has the shape of.
    """
    from torch import nn

    from kivfm_core.adapters.full import FullAdapter
    from kivfm_core.adapters.inner import InnerAdapter
    from kivfm_core.adapters.side import SideAdapter

    if isinstance(plan, SidePlan):
        return SideAdapter(plan)
    if isinstance(plan, FullPlan) and trunk is not None:
        return FullAdapter(trunk)
    return InnerAdapter(plan) if isinstance(plan, InnerPlan) else nn.Identity()
