"""The plan of a student that is one teacher as it is, so that heads can be put on it. Torch-free.

The teacher is frozen, and nothing is distilled into it. So the scores of its heads measure its own
features, and can be compared with the scores of the same heads on a distilled student.
"""

from __future__ import annotations

from kivfm_core.adapters.depths_plan import DepthsPlan
from kivfm_core.aligners.identity_plan import IdentityPlan
from kivfm_core.aligners.own_plan import OwnPlan
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.plan_parts import find_features, own_aligner
from kivfm_core.composition.student_teacher import whole_images
from kivfm_core.errors import UsageError
from kivfm_core.spec import TeacherSpec


def plan_alone(spec: TeacherSpec, like: Composition | None = None) -> Composition:
    """Plans a student whose features are a teacher's levels and its maps at several depths.

    It stands in for the teacher exactly, on all canvases but panoramas.

    Args:
        spec: The teacher.
        like: A student with this teacher as its base: heads get canvases as large as on that one.

    Raises:
        UsageError: If no head could read it.
    """
    if not any(level.kind == "dense" for level in spec.levels):
        raise UsageError(
            f"{spec.name} has no dense level, so it carries no head", "kivfm teachers list"
        )
    features, contract = find_features(spec), spec.input
    native = (features.x_level, features.v_level)
    if any(level.kind == "global" for level in spec.levels if level not in native):
        raise UsageError(f"{spec.name} has several global levels, so it carries no head")
    size = whole_images(like).size if like else contract.train_side()
    longest = contract.max_size or 2 * contract.size
    largest = max(size, longest if contract.policy == "short-side" else contract.size)
    return Composition(
        teachers=(spec,),
        base=spec.name,
        trunk=spec,
        trunk_size=like.trunk_size if like else largest,
        x_level=features.x_level.name if features.x_level else None,
        v_level=features.v_level.name,
        adapter=DepthsPlan.plan(features.request((), None)),
        aligners=tuple(
            own_aligner(
                IdentityPlan if level in native else OwnPlan, spec.name, level, features.x_channels
            )
            for level in spec.levels
        ),
        image_size=(size,),
    )
