"""The kinds of aligners by name: one line each. Torch-free; a plan names its module by reference.

A new kind is a subclass of `AlignerPlan`, a subclass of `Aligner`, and a line here. A recipe names
the kind for the levels that are not the student's own.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, cast

from pydantic import BeforeValidator, SerializeAsAny

from kivfm_core.aligners.identity_plan import IdentityPlan
from kivfm_core.aligners.joint_learned_plan import JointLearnedIdentityPlan, JointLearnedPlan
from kivfm_core.aligners.joint_plan import JointIdentityPlan, JointPlan
from kivfm_core.aligners.latent_plan import LatentPlan
from kivfm_core.aligners.own_plan import OwnPlan
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.reference import resolve_reference

if TYPE_CHECKING:
    from kivfm_core.aligners.aligner import Aligner

ALIGNERS: dict[str, type[AlignerPlan]] = {
    "latent": LatentPlan,
    "identity": IdentityPlan,
    "own": OwnPlan,
    "joint": JointPlan,
    "joint-identity": JointIdentityPlan,
    "joint-learned": JointLearnedPlan,
    "joint-learned-identity": JointLearnedIdentityPlan,
}


def aligner_kind(kind: str) -> type[AlignerPlan]:
    """The plan's class of a kind.

    Raises:
        ValueError: If there is no such kind; it names those that there are.
    """
    if kind not in ALIGNERS:
        raise ValueError(f"no aligner kind {kind!r}; one of: {', '.join(ALIGNERS)}")
    return ALIGNERS[kind]


def _read(value: Any) -> Any:
    if not isinstance(value, Mapping):
        return value  # a plan already, or nothing that pydantic takes
    fields = cast(Mapping[str, Any], value)
    return aligner_kind(str(fields.get("kind", "latent"))).model_validate(fields)


# A field of this type is read from JSON as the plan of its kind, and written with all its fields.
AnyAlignerPlan = Annotated[SerializeAsAny[AlignerPlan], BeforeValidator(_read)]


def build_aligner(plan: AlignerPlan) -> Aligner:
    """The module of a plan."""
    return resolve_reference(plan.module)(plan)
