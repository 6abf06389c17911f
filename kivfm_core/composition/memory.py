"""How much memory activations take, in a training step and in a frozen pass. Torch-free."""

from __future__ import annotations

from itertools import pairwise

from kivfm_core.adapters import AdapterPlan, FullPlan, InnerPlan, SidePlan
from kivfm_core.adapters.side_plan import EXPANSION
from kivfm_core.aligners.plan import AlignerPlan
from kivfm_core.composition.composition import Composition

FLOAT = 4
ATTENTION = 12
"""Maps that a transformer block keeps beside its input: norms, queries, keys, values, its MLP's."""

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
    if composition.adapter is None or isinstance(composition.adapter, InnerPlan | FullPlan):
        return None
    side = max(composition.image_size)
    h, w = composition.trunk_input((side, side))
    trained = composition.extensions[-1:] if composition.kept else composition.adapters
    numbers = sum(_adapter(adapter, side, h * w) for adapter in trained)
    for spec in composition.learned:
        canvas = composition.side(spec)
        for plan in composition.of(spec.name):
            grid = plan.level.grid((canvas, canvas)) if plan.level.kind == "dense" else None
            numbers += _aligner(plan, composition, side, grid)
    return FLOAT * views * numbers


def _adapter(plan: AdapterPlan, side: int, trunk: int) -> int:
    """Numbers that an adapter keeps of a view, where the trunk's input has so many pixels."""
    if not isinstance(plan, SidePlan):
        return 0
    cells = [_cells(side, stride) for stride in plan.strides]
    widths = plan.widths
    stem = 3 * side**2 + 2 * (widths[0] // 2) * _cells(side, 2)
    maps = [width * n for width, n in zip(widths, cells, strict=True)]
    down = sum(n * _block(size) for n, size in zip(plan.depths, maps, strict=True))
    between = 2 * sum(maps[:-1])
    taps = sum(2 * tap.channels * (trunk // tap.stride**2) for tap in plan.taps)
    offered = maps[plan.finest :]
    up = sum(_block(fine) + coarse for fine, coarse in pairwise(offered))
    return stem + down + between + taps + up + 2 * sum(offered)


def _block(size: int) -> int:
    """Of a block on a map of `size` numbers: convolution, norm, and the bottleneck's two layers."""
    return (3 + 2 * EXPANSION) * size


def _aligner(
    plan: AlignerPlan, composition: Composition, side: int, grid: tuple[int, int] | None
) -> int:
    """Numbers that an aligner keeps of a view, and the distance between coordinates."""
    compared = 4 * plan.latent * (grid[0] * grid[1] if grid else 1)
    if plan.kind == "identity":
        return compared
    there = {m.name: _cells(side, m.stride) for m in composition.maps if m.name in plan.maps}
    cells = grid[0] * grid[1] if grid else min(there.values())
    hidden = 2 * plan.hidden * cells
    if plan.projector == "convolution" and grid:
        hidden += plan.hidden * cells
    if plan.projector == "attention":
        hidden += ATTENTION * plan.hidden * cells
    # A finer map is resized before it is read, a coarser one after.
    read = sum(
        channels * (2 * cells if there[name] > cells else there[name])
        for name, channels in plan.maps.items()
    )
    return read + hidden + compared


def _cells(side: int, stride: int) -> int:
    return (-(-side // stride)) ** 2
