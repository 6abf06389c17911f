"""Aligners: between a teacher's level and the shared latent. `plan` counts, `build` makes them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kivfm_core.aligners.plan import AlignerPlan

if TYPE_CHECKING:
    from kivfm_core.aligners.base import Aligner

__all__ = ["AlignerPlan", "build_aligner"]


def build_aligner(plan: AlignerPlan) -> Aligner:
    """The module of a plan."""
    from kivfm_core.aligners.identity import IdentityAligner
    from kivfm_core.aligners.latent import LatentAligner

    return {"identity": IdentityAligner, "latent": LatentAligner}[plan.kind](plan)
