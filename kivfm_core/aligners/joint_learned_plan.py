"""A joint aligner whose maps between a level and the shared space are trained with the student.

The module is the joint aligner's, and the fit is where its maps start. What holds them from
collapse is in the loss: `kivfm_core/distillation/training/hold.py`.
"""

from __future__ import annotations

from typing import ClassVar

from kivfm_core.aligners.joint_plan import JointIdentityPlan, JointPlan


class JointLearnedPlan(JointPlan):
    """A joint aligner that has learned its way to the shared coordinates and back."""

    native_kind: ClassVar[str] = "joint-learned-identity"
    learned: ClassVar[bool] = True

    kind: str = "joint-learned"


class JointLearnedIdentityPlan(JointIdentityPlan):
    """The level is the student's own x or V, and has learned its part in what is shared."""

    learned: ClassVar[bool] = True

    kind: str = "joint-learned-identity"

    @property
    def parameters(self) -> int:
        """The two matrices: inference needs none of them, but they are trained."""
        return 2 * self.level.channels * self.shared
