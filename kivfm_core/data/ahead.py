"""Work done ahead, in threads: what is needed next is made while the last is used. Torch-free.

Pillow decodes and torch computes without Python's lock, so threads do here what processes would,
and share memory.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from itertools import islice
from typing import Any, TypeVar

_T = TypeVar("_T")
_R = TypeVar("_R")
_END: Any = object()


def count_workers() -> int:
    """Threads that keep the cores of this process busy with decoding; more than eight gain little.

    On Linux, those that it may use are counted, not those of the machine.
    """
    cores = getattr(os, "sched_getaffinity", None)
    return min(8, len(cores(0)) if cores else os.cpu_count() or 1)


def in_order(work: Callable[[_T], _R], items: Iterable[_T], workers: int) -> Generator[_R]:
    """Results in the order of the items; at most two a worker wait to be taken.

    Args:
        work: Called with an item, in a thread.
        items: What is worked on.
        workers: How many threads.
    """
    left = iter(items)
    pool = ThreadPoolExecutor(workers)
    try:
        waiting = deque(pool.submit(work, item) for item in islice(left, 2 * workers))
        while waiting:
            done = waiting.popleft().result()
            waiting.extend(pool.submit(work, item) for item in islice(left, 1))
            yield done
    finally:
        pool.shutdown(cancel_futures=True)


def ahead(items: Generator[_T], count: int = 1) -> Generator[_T]:
    """The same items, the next ones made in a thread while the last is used.

    Args:
        items: Makes them; it is closed at the end.
        count: How many are made ahead.
    """
    pool = ThreadPoolExecutor(1)
    try:
        waiting = deque[Future[_T]](pool.submit(next, items, _END) for _ in range(count))
        while (item := waiting.popleft().result()) is not _END:
            waiting.append(pool.submit(next, items, _END))
            yield item
            del item  # or it would be held while the next is awaited
    finally:
        pool.shutdown(cancel_futures=True)
        items.close()
