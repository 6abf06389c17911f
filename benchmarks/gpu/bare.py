"""Plain loops on one batch that is on the device: images a second, and operations an image."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch.profiler import ProfilerActivity, profile
from torch.utils.flop_counter import FlopCounterMode

from benchmarks.reuse.loops import Loop
from kivfm_core.config import RunConfig


class Bare:
    """Two loops over the same networks: teachers run in every step, and only once.

    Args:
        config: A run's.
        device: Where it computes.
    """

    def __init__(self, config: RunConfig, device: str) -> None:
        self.loop = Loop(config, device)
        batch = next(self.loop.batches(0))
        teachers = [canvases.to(device) for canvases in batch.teachers]
        self.batch = replace(batch, student=batch.student.to(device), teachers=teachers)
        self.low = torch.autocast(self.loop.device.type, torch.bfloat16)
        with self.low:
            self.said = self.loop.ask(self.batch)
        self.loops = {"online": self.online, "cached": self.cached}
        self.gflops = {answers: self._count(answers) for answers in self.loops}

    def online(self) -> None:
        """A step that runs the teachers."""
        with self.low:
            self.loop.learn(self.batch.student, self.loop.ask(self.batch))

    def cached(self) -> None:
        """A step with what they said before."""
        with self.low:
            self.loop.learn(self.batch.student, self.said)

    def compile(self) -> None:
        """Compiles the student with its losses, and the teachers."""
        loop = self.loop
        for module in (loop.module, *(t.encoder for t in loop.parts.teachers.values())):
            module.compile()

    def measure(self, steps: int) -> Iterator[dict[str, Any]]:
        """Images a second of both, after three steps each.

        Args:
            steps: That are timed.
        """
        for answers, step in self.loops.items():
            for _ in range(3):
                step()
            began = self._now()
            for _ in range(steps):
                step()
            rate = len(self.batch.student) * steps / (self._now() - began)
            yield {"answers": answers, "images_per_second": rate, "gflops": self.gflops[answers]}

    def profile(self, file: Path) -> None:
        """Writes where the time of an online step goes, kernel by kernel."""
        gpu = self.loop.device.type == "cuda"
        kinds = [ProfilerActivity.CPU, ProfilerActivity.CUDA]
        with profile(activities=kinds if gpu else kinds[:1]) as seen:
            for _ in range(3):
                self.online()
        by = "self_cuda_time_total" if gpu else "self_cpu_time_total"
        file.write_text(seen.key_averages().table(sort_by=by, row_limit=30))

    def _count(self, answers: str) -> float:
        with FlopCounterMode(display=False) as counter:
            self.loops[answers]()
        return counter.get_total_flops() / len(self.batch.student) / 1e9

    def _now(self) -> float:
        if self.loop.device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter()
