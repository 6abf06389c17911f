"""Which view of which image every step sees. Torch-free.

It is a function of (seed, step) alone, never of workers, ranks or order.
"""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

Key = tuple[int, int, int]


@dataclass(frozen=True)
class ViewItem:
    """One view of one image, to be loaded.

    Attributes:
        image: Index of the image.
        view: Index of the view of this image.
        size: Index of the student's canvas size.
        known: Whether everything of the whole batch is cached, its canvases included.
    """

    image: int
    view: int
    size: int
    known: bool = False

    @property
    def key(self) -> Key:
        """What the outputs of the frozen networks depend on, within a run."""
        return self.image, self.view, self.size


class StepSampler:
    """The items of this process for every step from `start` to `stop`.

    Args:
        images: Number of images.
        sizes: Number of student canvas sizes. One is drawn for each step; stored views take turns.
        batch_size: Views in a step, over all processes.
        start: First step.
        stop: One after the last step.
        seed: The run's random seed.
        views: Number of stored views of an image; 0: a fresh view in every epoch.
        known: The views of which all outputs are cached.
        rank: Index of this process.
        world: Number of processes.
    """

    # Ten numbers from as many places: a record of them would only repeat their names.
    def __init__(
        self, images: int, sizes: int, batch_size: int, start: int, stop: int, seed: int,
        views: int = 0, known: Container[Key] = (), rank: int = 0, world: int = 1,
    ) -> None:  # fmt: skip
        self.images, self.sizes, self.batch_size = images, sizes, batch_size
        self.start, self.stop, self.seed, self.rank, self.world = start, stop, seed, rank, world
        self.views, self.known = views, known

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[ViewItem]]:
        order = lru_cache(maxsize=2)(self._order)
        for step in range(self.start, self.stop):
            places = range(step * self.batch_size, (step + 1) * self.batch_size)
            epochs = [divmod(place, self.images) for place in places]
            if self.views:  # A stored view always has the same size, since its outputs are cached.
                size = epochs[0][0] % self.views % self.sizes
            else:
                size = int(np.random.default_rng([self.seed, 1, step]).integers(self.sizes))
            keys = [
                (int(order(epoch)[place]), epoch % self.views if self.views else epoch, size)
                for epoch, place in epochs[self.rank :: self.world]
            ]
            # A batch is cached as a whole or computed as a whole: the outputs of an encoder differ
            # in their last bits with the batch size.
            known = all(key in self.known for key in keys)
            yield [ViewItem(*key, known=known) for key in keys]

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 2, epoch]).permutation(self.images)
