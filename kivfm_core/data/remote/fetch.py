"""Reads the bytes of images at URLs: from the cache on this disk, or by requests ahead of time.

Torch-free.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import cache
from threading import Lock
from typing import TypeVar

from kivfm_core.data.remote.objects import read_object
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.data.remote.url_cache import UrlCache, user_cache

# Requests at once: at 20 ms each, 800 images a second.
REQUESTS = 16
# Images that are fetched ahead of the one in use.
AHEAD = 32
# Parts that wait to be read, at most, so that those that nobody reads do not pile up.
_WAITING = 1024

_T = TypeVar("_T")


class Fetcher:
    """Fetches parts of objects in threads.

    Args:
        kept: The cache on this disk.
    """

    def __init__(self, kept: UrlCache) -> None:
        self.kept = kept
        self.pool = ThreadPoolExecutor(REQUESTS)
        self.lock = Lock()
        self.coming: dict[Part, Future[bytes]] = {}

    def ahead(self, parts: Iterable[Part]) -> None:
        """Begins to fetch parts that will be read soon, in this order.

        Those that nobody reads make room for later ones, the oldest first.
        """
        for part in parts:
            with self.lock:
                if part in self.coming:
                    continue
                if len(self.coming) >= _WAITING:
                    self.coming.pop(next(iter(self.coming))).cancel()
                self.coming[part] = self.pool.submit(self._fetch, part)

    def read(self, part: Part) -> bytes:
        """The bytes of a part.

        Raises:
            OSError: If they cannot be read, also when tried again.
        """
        with self.lock:
            coming = self.coming.pop(part, None)
        return coming.result() if coming is not None else self._fetch(part)

    def _fetch(self, part: Part) -> bytes:
        path, start, size, _ = part
        assert isinstance(path, Url)
        if (content := self.kept.get(part)) is None:
            content = read_object(path, start, size)
            self.kept.put(part, content)
        return content


@cache
def fetcher() -> Fetcher:
    """The fetcher of this process."""
    return Fetcher(user_cache())


def fetched_ahead(
    items: Iterable[_T], parts: Callable[[_T], Iterable[Part]], count: int = AHEAD
) -> Iterator[_T]:
    """Yields the same items, and fetches what the next ones need while one is used.

    Args:
        items: Whatever needs images.
        parts: What an item needs, in the order in which it will be read.
        count: How many items are looked at, the one in use included.
    """
    window = deque[_T]()
    for item in items:
        wanted = [part for part in parts(item) if isinstance(part.path, Url)]
        if wanted:
            fetcher().ahead(wanted)
        window.append(item)
        while len(window) >= (count if wanted else 1):
            yield window.popleft()
    yield from window


if hasattr(os, "register_at_fork"):
    # Threads end with a fork: a loader process has a fetcher of its own.
    os.register_at_fork(after_in_child=fetcher.cache_clear)
