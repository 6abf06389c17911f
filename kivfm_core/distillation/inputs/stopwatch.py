"""Measures how long the parts of a run's work take, without waiting for the device."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Generator
from contextlib import contextmanager

import torch


class Stopwatch:
    """Sums up seconds and views of each part of the work.

    A GPU computes asynchronously: Python only queues its work. So times on a GPU are measured by
    events in its queue, which are read once they have passed.

    Args:
        device: The device that computes.
    """

    def __init__(self, device: torch.device) -> None:
        self.gpu = device.type == "cuda"
        self.seconds: dict[str, float] = {}
        self.views: dict[str, int] = {}
        self.running: deque[tuple[str, torch.cuda.Event, torch.cuda.Event]] = deque()

    def add(self, name: str, views: int, seconds: float) -> None:
        """Adds views and seconds that were measured elsewhere."""
        self.views[name] = self.views.get(name, 0) + views
        self.seconds[name] = self.seconds.get(name, 0.0) + seconds

    @contextmanager
    def time(self, name: str, views: int) -> Generator[None]:
        """Measures work on some views."""
        if self.gpu:
            start, stop = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            yield
            stop.record()
            self.add(name, views, 0.0)
            self.running.append((name, start, stop))
            self._collect()
        else:
            began = time.perf_counter()
            yield
            self.add(name, views, time.perf_counter() - began)

    @contextmanager
    def rest(self, name: str) -> Generator[None]:
        """Measures a stage without the parts that are measured within it.

        Its end must wait for the device, as reading a loss does. It is also measured when it is
        interrupted. Its views are added by `add`.
        """
        began, before = time.perf_counter(), self.total
        try:
            yield
        finally:
            stage = time.perf_counter() - began
            self.add(name, 0, max(0.0, stage - (self.total - before)))

    @property
    def total(self) -> float:
        """All seconds so far."""
        self._collect()
        return sum(self.seconds.values())

    def _collect(self) -> None:
        while self.running and self.running[0][2].query():
            name, start, stop = self.running.popleft()
            self.seconds[name] += start.elapsed_time(stop) / 1000
