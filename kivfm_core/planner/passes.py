"""How many views a run uses, and how many of them for the first time. Torch-free."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kivfm_core.config import RunConfig


@dataclass(frozen=True)
class Passes:
    """Numbers of views; the first three by index of the student's canvas size.

    Attributes:
        shown: Views used for fitting and learning together.
        new: Those of them in batches that are not cached as a whole when they are used, if the
            cache was empty before.
        distinct: Different views that exist.
        fitting: Views on which the aligners are fitted.
        learning: Views of the student's steps.
    """

    shown: tuple[int, ...]
    new: tuple[int, ...]
    distinct: tuple[int, ...]
    fitting: int
    learning: int


def count_passes(
    config: RunConfig, sizes: int, images: int | None, first: int | None = None
) -> Passes | None:
    """Counts a run's views; exactly, if there is one process and one canvas size.

    Args:
        config: The run's.
        sizes: Number of the student's canvas sizes.
        images: Number of training images, if that is known.
        first: The step from which a resumed run continues, its aligners already fitted.

    Returns:
        None if views are stored and the number of images is not known.
    """
    optim, views, batch = config.optim, config.data.views, config.optim.batch_size
    start = first or 0
    fitted = -(-optim.calibration // batch) if first is None else 0
    steps = np.concatenate([np.arange(fitted), np.arange(start, max(start, optim.steps))])
    fitting, learning = fitted * batch, (len(steps) - fitted) * batch
    if not views:  # Every view is a fresh one, and sizes are drawn at random.
        share = (round(batch * len(steps) / sizes),) * sizes
        return Passes(share, share, share, fitting, learning)
    if images is None:
        return None
    # The sampler goes through the images epoch by epoch; views take turns over epochs, and sizes
    # over views. A batch is new until every view of every image was used once.
    new = np.unique(steps[(steps - start) * batch < views * images])
    shown, fresh = (
        tuple(
            batch * int(n)
            for n in np.bincount(s * batch // images % views % sizes, minlength=sizes)
        )
        for s in (steps, new)
    )
    distinct = tuple(images * len(range(size, views, sizes)) for size in range(sizes))
    return Passes(shown, fresh, distinct, fitting, learning)
