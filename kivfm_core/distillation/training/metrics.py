"""What a run records while it trains: `metrics.jsonl` and TensorBoard."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from math import isfinite
from typing import Any

from torch import Tensor
from torch.utils.tensorboard.writer import SummaryWriter

from kivfm_core.files import write_text
from kivfm_core.run_files import METRICS, TENSORBOARD, RunFiles


class Metrics:
    """Gathers losses without waiting for the device, and writes them every few steps.

    Args:
        run: The run folder.
        batch_size: Views a step.
        first: Steps made before; what a killed process wrote beyond them is removed.
    """

    def __init__(self, run: RunFiles, batch_size: int, first: int = 0) -> None:
        path = run.path / METRICS
        kept = [line for line in read_metrics(run) if line["step"] <= first]
        write_text(path, "".join(f"{json.dumps(line)}\n" for line in kept))
        self.file = path.open("a", encoding="utf-8")
        # TensorBoard's files cannot be cut; it hides what lies beyond the first new step.
        self.board = SummaryWriter(str(run.path / TENSORBOARD), purge_step=first + 1)
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
            self.board.add_scalar("loss", info["loss"], step)
            for name, value in info["losses"].items():
                self.board.add_scalar(f"loss/{name}", value, step)
            self.board.flush()
        values = {name: float(value) for name, value in gradients.items()}
        if finite := {name: value for name, value in values.items() if isfinite(value)}:
            info["pulls"] = finite
            for name, value in finite.items():
                self.board.add_scalar(f"pull/{name}", value, step)
        info |= {
            "lr": lr,
            "skipped": skipped,
            "images_per_second": count * self.batch_size / seconds,
            "data_share": self.waited / seconds,
        }
        self.file.write(json.dumps(info) + "\n")
        self.file.flush()
        self.gathered, self.waited, self.began = [], 0.0, time.perf_counter()
        return info

    def close(self) -> None:
        """Closes both files."""
        self.file.close()
        self.board.close()


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
