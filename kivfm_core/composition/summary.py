"""A composition as `kivfm compose` shows it: parts, parameters, costs, downloads, license."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from kivfm_core.composition.composition import Composition, stride_of
from kivfm_core.composition.memory import activation_bytes
from kivfm_core.licenses.terms import Terms, inherited
from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import TeacherSpec

WHOLE = 0.9995
"""A larger share is all."""


def round_trips(kept: Mapping[str, float]) -> str:
    """What the shared latent keeps of the teachers' levels, for a reader.

    Args:
        kept: Share of each level's standardized variance, by `teacher:level`.
    """
    narrowed = [f"{share:.1%} of {name}" for name, share in kept.items() if share < WHOLE]
    others = ["all of every level"] if not narrowed else ["all of the others"]
    return ", ".join(narrowed + others * (len(narrowed) < len(kept)))


def outline(
    composition: Composition, files: Collection[str] = (), views: int = 1
) -> dict[str, Any]:
    """The plan as JSON-able data: parts, parameters, costs, licenses, warnings.

    Args:
        composition: The plan.
        files: The teachers whose weights are given, and need no download.
        views: That the student learns from at once.
    """
    terms = inherited(composition.teachers)
    return {
        "schema": 1,
        "teachers": [spec.name for spec in composition.teachers],
        "base": composition.base,
        "trunk": {"name": composition.trunk.name, "parameters": composition.trunk.parameters},
        "image_size": list(composition.image_size),
        "trunk_size": composition.trunk_size,
        "features": {
            "x": [composition.x_channels],
            **{m.name: [m.channels, f"/{m.stride}"] for m in composition.maps},
        },
        "adapter": None
        if composition.adapter is None
        else {
            "kind": composition.adapter.kind,
            **composition.adapter.outline,
            "parameters": composition.adapter.parameters,
        },
        "extensions": [
            {"maps": [m.name for m in adapter.maps], "parameters": adapter.parameters}
            for adapter in composition.extensions
        ],
        "kept": list(composition.frozen_teachers),
        "aligners": [
            {
                "teacher": a.teacher,
                "level": a.level.name,
                "kind": a.kind,
                "shape": [a.level.channels] + ([f"/{a.level.stride}"] if a.level.stride else []),
                "reads": a.inputs,
                "latent": a.latent,
                "parameters": a.parameters,
            }
            for a in composition.aligners
        ],
        "parameters": {
            "trainable": composition.trainable,
            "total": composition.total,
            "share": composition.trainable / composition.total,
        },
        "cost": _cost(composition, views),
        "downloads": [
            {"teacher": s.name, "source": s.weights.source, "bytes": s.weights.bytes}
            for s in composition.teachers
            if s.name not in files and not get_registry().weights_here(s)
        ],
        "license": terms.as_dict(),
        "warnings": _warnings(composition, terms),
    }


def _cost(composition: Composition, views: int) -> dict[str, float | None]:
    """Lower bounds of the work, the memory that is certain, and an estimate of the activations'.

    The backward pass costs twice the forward pass, in the trained part alone. The base is asked
    once, as the trunk, unless it has levels that the trunk lacks.
    """
    asked = [spec for spec in composition.teachers if spec.name in composition.teachers_to_run]
    largest = max(composition.image_size)
    teachers = sum(gmacs(s, composition.side(s)) for s in asked)
    trunk = gmacs(composition.trunk, composition.trunk_size)
    share = composition.trainable * (largest // composition.maps[0].stride) ** 2 / 1e9
    weights = 4 * (composition.total + sum(s.parameters for s in asked))
    return {
        "teachers_gmacs_per_image": round(teachers, 2),
        "student_gmacs_per_image": round(trunk + share, 2),
        "training_gmacs_per_image": round(teachers + trunk + 3 * share, 2),
        "weights_bytes": weights,
        "optimizer_bytes": 12 * composition.trainable,
        "activations_bytes": activation_bytes(composition, views),
        "activations_views": views,
    }


def gmacs(spec: TeacherSpec, side: int) -> float:
    """A lower bound of an encoder's pass over a canvas, in billions of multiply-adds.

    Parameters x cells of the coarsest dense level: all of a transformer's linear layers, but a
    fraction of a convolutional net, which does most of its work on finer maps that a spec does not
    tell of.

    Args:
        spec: Of the encoder.
        side: Of the canvas, in pixels.
    """
    strides = [stride_of(level) for level in spec.levels if level.kind == "dense"]
    return spec.parameters * (side // max(strides, default=side)) ** 2 / 1e9


def _warnings(composition: Composition, terms: Terms) -> list[str]:
    """What the user should know before starting."""
    notes = [
        f"{source.teacher}: the license of its {source.what} ({source.license}) "
        + (
            "forbids commercial use"
            if source.commercial_use == "no"
            else "does not say what it allows"
        )
        for source in terms.sources
        if source.commercial_use != "yes"
    ]
    if all(spec.role != "general" for spec in composition.teachers):
        notes.append("no general teacher: what is not in the purpose teachers is not kept")
    return notes
