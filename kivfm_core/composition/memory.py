"""How much memory activations take, in a training step and in a frozen pass. Torch-free."""

from __future__ import annotations

from kivfm_core.adapters.plan import cells
from kivfm_core.composition.composition import Composition

# Bytes of a number in float32.
FLOAT = 4
# Numbers that a frozen encoder holds at once for each pixel of its canvas. For those here 17 to 115
# were measured, and 405 for SAM at 1024 pixels, whose attention is written out.
WORKING = 64


def working_bytes(canvas: tuple[int, int]) -> int:
    """Memory beside its weights that a frozen encoder needs for one view, by estimate.

    A spec does not describe layers, so this counts pixels only.

    Args:
        canvas: Height and width in pixels.
    """
    return FLOAT * WORKING * canvas[0] * canvas[1]


def activation_bytes(composition: Composition, views: int) -> int | None:
    """Memory of the activations that a training pass stores for its gradients, by estimate.

    It is for the student's largest canvases in float32, and meant to be right within a factor of
    two. Counted are the inputs of trained layers and of activation functions, as each kind of
    adapter and aligner declares them. Not counted are the teachers' passes, which store nothing,
    the decoders' readouts, and what an operation needs while it runs.

    Args:
        composition: The plan.
        views: Number of views that the student learns from at once.

    Returns:
        None where gradients pass through the trunk, since no spec describes its layers.
    """
    if composition.adapter is None or composition.adapter.changes_base:
        return None
    side = max(composition.image_size)
    h, w = composition.trunk_input((side, side))
    trained = composition.extensions[-1:] if composition.frozen_teachers else composition.adapters
    numbers = 0
    for adapter in trained:
        stored = adapter.activation_numbers(side, h * w)
        if stored is None:
            return None
        numbers += stored
    counts = {plan.name: cells(side, plan.stride) for plan in composition.maps}
    if composition.shared_head is not None and not composition.frozen_teachers:
        v = composition.trunk.level(composition.v_level)
        numbers += composition.shared_head.activation_numbers(counts, v.grid((side, side)))
    for spec in composition.learned:
        canvas = composition.side(spec)
        for plan in composition.of(spec.name):
            grid = plan.level.grid((canvas, canvas)) if plan.level.kind == "dense" else None
            numbers += plan.activation_numbers(counts, grid)
    return FLOAT * views * numbers
