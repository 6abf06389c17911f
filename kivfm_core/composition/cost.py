"""What a student costs: multiply-adds an image, and bytes of memory. Torch-free."""

from __future__ import annotations

from kivfm_core.composition.composition import Composition, stride_of
from kivfm_core.composition.memory import activation_bytes
from kivfm_core.spec import TeacherSpec


def estimate_cost(composition: Composition, views: int) -> dict[str, float | None]:
    """Lower bounds of the work, the memory that is certain, and an estimate of the activations'.

    The backward pass costs twice the forward pass, in the trained part alone. The base runs once,
    as the trunk, unless it has levels that the trunk lacks.

    Args:
        composition: The student's plan.
        views: That the student learns from at once.
    """
    frozen = [spec for spec in composition.teachers if spec.name in composition.teachers_to_run]
    largest = max(composition.image_size)
    teachers = sum(gmacs(spec, composition.side(spec)) for spec in frozen)
    trunk = gmacs(composition.trunk, composition.trunk_size)
    trained = composition.trainable * (largest // composition.maps[0].stride) ** 2 / 1e9
    weights = 4 * (composition.total + sum(spec.parameters for spec in frozen))
    return {
        "teachers_gmacs_per_image": round(teachers, 2),
        "student_gmacs_per_image": round(trunk + trained, 2),
        "training_gmacs_per_image": round(teachers + trunk + 3 * trained, 2),
        "weights_bytes": weights,
        # Adam's two moments and the gradient, 4 bytes each.
        "optimizer_bytes": 12 * composition.trainable,
        "activations_bytes": activation_bytes(composition, views),
        "activations_views": views,
    }


def gmacs(spec: TeacherSpec, side: int) -> float:
    """A lower bound of an encoder's pass over a canvas, in billions of multiply-adds.

    Parameters x cells of the coarsest dense level: all of a transformer's linear layers, but only
    a fraction of a convolutional network, which does most of its work on finer maps that a spec
    does not list.

    Args:
        spec: Of the encoder.
        side: Of the canvas, in pixels.
    """
    strides = [stride_of(level) for level in spec.levels if level.kind == "dense"]
    return spec.parameters * (side // max(strides, default=side)) ** 2 / 1e9
