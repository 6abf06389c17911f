"""Processes that share images, played by threads: quick, and patches hold in all of them."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Barrier
from typing import Any, TypeVar

from kivfm_core.processes.team import Team

_T = TypeVar("_T")


@dataclass(frozen=True)
class Thread(Team):
    """One of them; what they tell each other is copied, as between processes."""

    barrier: Barrier = field(default_factory=lambda: Barrier(1))
    told: list[bytes] = field(default_factory=lambda: [b""])

    def gather(self, value: Any) -> list[Any]:
        self.told[self.rank] = pickle.dumps(value)
        self.barrier.wait(60)
        found = [pickle.loads(text) for text in self.told]
        self.barrier.wait(60)
        return found


def in_threads(work: Callable[[Team], _T], world: int = 2) -> list[_T]:
    """What some work gives in each of several threads."""
    barrier, told = Barrier(world), [b""] * world

    def run(rank: int) -> _T:
        try:
            return work(Thread(rank, world, barrier, told))
        except BaseException:
            barrier.abort()
            raise

    with ThreadPoolExecutor(world) as pool:
        return list(pool.map(run, range(world)))
