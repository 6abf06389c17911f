"""The kinds of adapters by name: one line each. Torch-free; a plan names its module by reference.

A new kind is a subclass of `AdapterPlan`, a subclass of `Adapter`, and a line here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BeforeValidator, SerializeAsAny

from kivfm_core.adapters.depths_plan import DepthsPlan
from kivfm_core.adapters.full_plan import FullPlan
from kivfm_core.adapters.inner_plan import BottleneckPlan, LoraPlan
from kivfm_core.adapters.none import NoPlan
from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest
from kivfm_core.adapters.side_plan import SidePlan
from kivfm_core.reference import resolve_reference

if TYPE_CHECKING:
    from torch import nn

    from kivfm_core.adapters.adapter import Adapter

ADAPTERS: dict[str, type[AdapterPlan]] = {
    "side": SidePlan,
    "bottleneck": BottleneckPlan,
    "lora": LoraPlan,
    "full": FullPlan,
    "depths": DepthsPlan,
    "none": NoPlan,
}

# The kind that is added when a finished student learns further teachers. It must leave the base,
# x and V alone, so that the earlier teachers' stand-ins stay as they are.
EXTENSION = "side"


def check_adapter_kind(kind: str) -> str:
    """The name of a kind, as it is.

    Raises:
        ValueError: If there is no such kind; it names those that there are.
    """
    if kind not in ADAPTERS:
        raise ValueError(f"no adapter kind {kind!r}; one of: {', '.join(ADAPTERS)}")
    return kind


def _read(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value  # a plan already, or nothing that pydantic takes
    fields = cast(Mapping[str, Any], value)
    return ADAPTERS[check_adapter_kind(str(fields.get("kind")))].model_validate(fields)


# A field of this type is read from JSON as the plan of its kind, and written with all its fields.
AnyAdapterPlan = Annotated[SerializeAsAny[AdapterPlan], BeforeValidator(_read)]


def plan_adapter(kind: str, request: AdapterRequest) -> AdapterPlan:
    """Plans an adapter of a kind.

    Raises:
        ValueError: If there is no such kind.
        UsageError: If the base has no place for this kind, or the width does not suit it.
    """
    return ADAPTERS[check_adapter_kind(kind)].plan(request)


def build_adapter(plan: AdapterPlan, trunk: nn.Module | None = None) -> Adapter:
    """The module of a plan; untrained, it changes nothing.

    Args:
        plan: Of any kind.
        trunk: The base, which some kinds take shapes from.
    """
    return resolve_reference(plan.module)(plan, trunk)
