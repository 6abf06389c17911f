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
class Item:
    """One view of one image, asked for.

    Attributes:
        image: Index of the image.
        view: Index of the view of it.
        size: Index of the student's canvas size.
        known: Whether the whole batch is stored already, canvases and all.
    """

    image: int
    view: int
    size: int
    known: bool = False

    @property
    def key(self) -> Key:
        """What the frozen networks' answers depend on, within a run."""
        return self.image, self.view, self.size


class StepSampler:
    """The items of every step from `start` to `stop`, this process's share of them.

    Args:
        images: Number of images.
        sizes: Number of student canvas sizes; one is drawn a step, or a stored view.
        batch_size: Views a step, over all processes.
        start: First step.
        stop: One after the last step.
        seed: Of the run.
        views: Stored views of an image; 0: a fresh one in every epoch.
        known: Whether a view's answers are stored.
        rank: This process.
        world: Number of processes.
    """

    def __init__(
        self, images: int, sizes: int, batch_size: int, start: int, stop: int, seed: int,
        views: int = 0, known: Container[Key] = (), rank: int = 0, world: int = 1,
    ) -> None:  # fmt: skip
        self.images, self.sizes, self.batch_size = images, sizes, batch_size
        self.start, self.stop, self.seed, self.rank, self.world = start, stop, seed, rank, world
        self.views, self.known = views, known

    def __len__(self) -> int:
        return self.stop - self.start

    def __iter__(self) -> Iterator[list[Item]]:
        order = lru_cache(maxsize=2)(self._order)
        for step in range(self.start, self.stop):
            places = range(step * self.batch_size, (step + 1) * self.batch_size)
            epochs = [divmod(place, self.images) for place in places]
            if self.views:  # A stored view keeps its size: they take turns.
                size = epochs[0][0] % self.views % self.sizes
            else:
                size = int(np.random.default_rng([self.seed, 1, step]).integers(self.sizes))
            keys = [
                (int(order(epoch)[place]), epoch % self.views if self.views else epoch, size)
                for epoch, place in epochs[self.rank :: self.world]
            ]
            # All or none: encoders answer a little differently to batches of another size.
            known = all(key in self.known for key in keys)
            yield [Item(*key, known=known) for key in keys]

    def _order(self, epoch: int) -> np.ndarray:
        return np.random.default_rng([self.seed, 2, epoch]).permutation(self.images)
