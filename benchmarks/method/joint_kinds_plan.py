"""Kinds of aligners that only the suite `joint` has, without torch."""

from __future__ import annotations

from typing import ClassVar

from kivfm_core.aligners.joint_learned_plan import JointLearnedPlan
from kivfm_core.aligners.joint_plan import JointPlan


class UnfittedPlan(JointLearnedPlan):
    """A joint aligner whose way from the shared head starts at random."""

    module: ClassVar[str] = "benchmarks.method.joint_kinds:UnfittedAligner"
    native_kind: ClassVar[str] = "joint-identity"

    kind: str = "joint-unfitted"


class AlonePlan(JointPlan):
    """A head of a level's own, compared in the coordinates of the joint fit."""

    module: ClassVar[str] = "benchmarks.method.joint_kinds:AloneAligner"

    kind: str = "joint-alone"


KINDS = {"joint-unfitted": UnfittedPlan, "joint-alone": AlonePlan}
