"""How much memory activations take, in a training step and in a frozen pass. Torch-free."""

from __future__ import annotations

from kivfm_core.adapters.plan import cells
from kivfm_core.composition.composition import Composition

FLOAT = 4
WORKING = 64
"""Numbers that a frozen encoder works with at once, for each pixel of its canvas."""


def working_bytes(canvas: tuple[int, int]) -> int:
    """What a frozen encoder takes beside its weights while it is asked about a view, in float32.

    Specs do not tell of layers, so this is what encoders have in common: of those here, 17 to 115
    numbers a pixel were measured. Where attention is written out it can be more: 405, of SAM's at
    1024 pixels.

    Args:
        canvas: Height and width in pixels.
    """
    return FLOAT * WORKING * canvas[0] * canvas[1]


def activation_bytes(composition: Composition, views: int) -> int | None:
    """What a pass of the student keeps for its gradients, on its largest canvases, in float32.

    Counted are the inputs of layers that are trained and of activation functions, as the modules
    use them: the adapters' pyramids, the aligners' hidden grids, and the coordinates that are
    compared. Not counted are the teachers' passes, which keep nothing, the decoders' readouts, and
    what an operation needs while it runs. It is meant to be right within a factor of two.

    Args:
        composition: The plan.
        views: That the student learns from at once.

    Returns:
        None where gradients pass through an encoder, a backbone's that is trained from scratch or
        a base's with an adapter inside or trained in full: no spec tells of its layers.
    """
    if composition.adapter is None or composition.adapter.changes_base:
        return None
    side = max(composition.image_size)
    h, w = composition.trunk_input((side, side))
    trained = composition.extensions[-1:] if composition.kept else composition.adapters
    numbers = 0
    for adapter in trained:
        stored = adapter.activation_numbers(side, h * w)
        if stored is None:
            return None
        numbers += stored
    counts = {plan.name: cells(side, plan.stride) for plan in composition.maps}
    for spec in composition.learned:
        canvas = composition.side(spec)
        for plan in composition.of(spec.name):
            grid = plan.level.grid((canvas, canvas)) if plan.level.kind == "dense" else None
            numbers += plan.activation_numbers(counts, grid)
    return FLOAT * views * numbers
