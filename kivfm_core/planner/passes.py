"""How many views a run shows, and how many of them for the first time. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kivfm_core.config import RunConfig


@dataclass(frozen=True)
class Passes:
    """Views by index of the student's canvas size.

    Attributes:
        shown: In fitting and learning together.
        new: Those of them in batches that are not whole in a cache, if it was empty before.
        distinct: Different ones that there are.
        fitting: Views that the aligners are fitted on.
        learning: Views of the student's steps.
    """

    shown: tuple[int, ...]
    new: tuple[int, ...]
    distinct: tuple[int, ...]
    fitting: int
    learning: int


def count_passes(
    config: RunConfig, sizes: int, pictures: int | None, first: int | None = None
) -> Passes | None:
    """Counts a run's views; exactly, if there is one process and one canvas size.

    Args:
        config: The run's.
        sizes: Number of the student's canvas sizes.
        pictures: How many there are, if that is known.
        first: The step that a resumed run goes on from, with its aligners fitted.

    Returns:
        None where stored views are wanted and the number of pictures is not known.
    """
    optim, views, batch = config.optim, config.data.views, config.optim.batch_size
    start = first or 0
    fitted = -(-optim.calibration // batch) if first is None else 0
    steps = np.concatenate([np.arange(fitted), np.arange(start, max(start, optim.steps))])
    fitting, learning = fitted * batch, (len(steps) - fitted) * batch
    if not views:  # Sizes are drawn.
        share = (round(batch * len(steps) / sizes),) * sizes
        return Passes(share, share, share, fitting, learning)
    if pictures is None:
        return None
    # As the sampler goes through the pictures: epoch by epoch, and sizes take turns with views.
    new = np.unique(steps[(steps - start) * batch < views * pictures])
    shown, fresh = (
        tuple(
            batch * int(n)
            for n in np.bincount(s * batch // pictures % views % sizes, minlength=sizes)
        )
        for s in (steps, new)
    )
    distinct = tuple(pictures * len(range(size, views, sizes)) for size in range(sizes))
    return Passes(shown, fresh, distinct, fitting, learning)
