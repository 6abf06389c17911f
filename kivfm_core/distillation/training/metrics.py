"""What a run records while it trains: `metrics.jsonl`, and the same for its trackers."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from math import isfinite
from typing import Any

from torch import Tensor

from kivfm_core.files import write_text
from kivfm_core.run_files import METRICS, RunFiles
from kivfm_core.trackers.trackers import Trackers

# Of a line of metrics, the numbers that trackers get under the same name.
CURVES = ("loss", "lr", "skipped", "images_per_second", "data_share")


class Metrics:
    """Gathers losses without waiting for the device, and writes them every few steps.

    Args:
        run: The run folder.
        batch_size: Views a step.
        first: Steps made before; what a killed process wrote beyond them is removed.
        trackers: Get what is written, too.
    """

    def __init__(self, run: RunFiles, batch_size: int, first: int, trackers: Trackers) -> None:
        path = run.path / METRICS
        kept = [line for line in read_metrics(run) if line["step"] <= first]
        write_text(path, "".join(f"{json.dumps(line)}\n" for line in kept))
        self.file = path.open("a", encoding="utf-8")
        self.trackers = trackers
        self.batch_size, self.is_new = batch_size, not first
        self.gathered: list[tuple[Tensor, dict[str, Tensor]]] = []
        self.began, self.waited = time.perf_counter(), 0.0

    def add(self, loss: Tensor, losses: dict[str, Tensor], waited: float) -> None:
        """Takes a step's losses, and the seconds that it waited for data."""
        self.gathered.append((loss.detach(), {k: v.detach() for k, v in losses.items()}))
        self.waited += waited

    def write(
        self, step: int, lr: float, skipped: int, gradients: Mapping[str, Tensor]
    ) -> dict[str, Any]:
        """Writes the averages since the last time, of losses that are finite; returns them."""
        count, seconds = len(self.gathered), time.perf_counter() - self.began
        pairs = [(float(x), {k: float(v) for k, v in by.items()}) for x, by in self.gathered]
        pairs = [(loss, by) for loss, by in pairs if isfinite(loss)]
        info: dict[str, Any] = {"step": step}
        if self.is_new and pairs:
            # The first loss is from before the first step.
            info["untrained"], self.is_new = pairs[0][1], False
        if pairs:
            info["loss"] = sum(loss for loss, _ in pairs) / len(pairs)
            info["losses"] = {n: sum(by[n] for _, by in pairs) / len(pairs) for n in pairs[0][1]}
        values = {name: float(value) for name, value in gradients.items()}
        if finite := {name: value for name, value in values.items() if isfinite(value)}:
            info["pulls"] = finite
        info |= {
            "lr": lr,
            "skipped": skipped,
            "images_per_second": count * self.batch_size / seconds,
            "data_share": self.waited / seconds,
        }
        self.file.write(json.dumps(info) + "\n")
        self.file.flush()
        self.trackers.log(_curves(info), step)
        self.gathered, self.waited, self.began = [], 0.0, time.perf_counter()
        return info

    def close(self) -> None:
        """Closes the file and the trackers."""
        self.file.close()
        self.trackers.close()


def _curves(info: Mapping[str, Any]) -> dict[str, float]:
    """A line of metrics as numbers by name; a group's, such as `losses`, as `loss/NAME`."""
    curves: dict[str, float] = {k: v for k, v in info.items() if k in CURVES}
    for group, word in (("losses", "loss"), ("pulls", "pull")):
        curves |= {f"{word}/{name}": value for name, value in info.get(group, {}).items()}
    return curves


def read_metrics(run: RunFiles) -> list[dict[str, Any]]:
    """The lines of a run's metrics, without what is none: half a line is left by a kill."""
    path = run.path / METRICS
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    return [found for line in text.splitlines() if (found := _parse(line)) is not None]


def _parse(line: str) -> dict[str, Any] | None:
    try:
        found: Any = json.loads(line)
        return found if isinstance(found["step"], int) else None
    except (ValueError, KeyError, TypeError):
        return None
