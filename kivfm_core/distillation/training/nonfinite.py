"""Values that are not finite: the step is skipped, kept for inspection, and counted."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import torch
from torch import Tensor

from kivfm_core.data.images import listed
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.processes.sharding import whole
from kivfm_core.errors import KivfmError
from kivfm_core.files import new_folder
from kivfm_core.student.bundle import save_tensors
from kivfm_core.student.student import Student

KEEP = 3
"""Skipped steps whose batch and student are kept."""

NotFinite = dict[str, list[str]]
"""By `TEACHER:LEVEL`, the pictures for which it holds NaN or infinity."""


class Guard:
    """Watches for skipped steps without waiting for the device.

    Args:
        run: The run folder; what a skipped step saw goes to `bad-steps`.
        limit: Steps that may be skipped.
        stream: Gives a step's batch again.
        rank: This process.
        say: Told of every skipped step.
    """

    def __init__(
        self, run: Path, limit: int, stream: Stream, rank: int, say: Callable[[str], None]
    ) -> None:
        self.run, self.limit, self.stream, self.rank, self.say = run, limit, stream, rank, say
        self.made: list[tuple[int, Tensor]] = []
        self.skipped = 0

    def finite(self, student: Student, stop: int) -> Iterator[Targets]:
        """The targets of the first steps, without those that are not finite.

        Raises:
            KivfmError: If there are too many of these, or nothing else.
        """
        good, why, wrong = 0, "", NotFinite()
        for step, (canvas, targets, _) in enumerate(self.stream.steps(0, stop)):
            wrong = not_finite(targets, self.stream.image_names(step))
            if not wrong:
                good += 1
                yield targets
                continue
            why = self._note(step, student.trained(), canvas, targets, wrong)
            self._check(why, wrong)
        if not good:
            raise self._error(why, wrong)

    def add(self, step: int, fine: Tensor) -> None:
        """Takes, as a tensor on the device, whether a step was made."""
        self.made.append((step, fine))

    def look(self, student: Student) -> int:
        """Waits for the steps that were added; returns how many were skipped.

        A step's batch is a function of its number, so it need not be kept until now.

        Raises:
            KivfmError: If too many were skipped.
        """
        fine: list[bool] = torch.stack([fine for _, fine in self.made]).tolist()
        skipped = [step for (step, _), good in zip(self.made, fine, strict=True) if not good]
        self.made = []
        trained = whole(student.trained()) if skipped else {}
        for step in skipped:
            canvas, targets, _ = next(self.stream.steps(step, step + 1))
            wrong = not_finite(targets, self.stream.image_names(step))
            self._check(self._note(step, trained, canvas, targets, wrong), wrong)
        return len(skipped)

    def _note(
        self, step: int, trained: Mapping[str, Tensor], canvas: Tensor, targets: Targets,
        wrong: NotFinite,
    ) -> str:  # fmt: skip
        self.skipped += 1
        why = "; ".join(f"{level} is not finite for {listed(p)}" for level, p in wrong.items())
        why = why or "the loss or its gradient is not finite"
        if wrong or not self.rank:  # all processes skip it, and those that know why say so
            self.say(f"skipped step {step}: {why}")
        if self.skipped <= KEEP:
            name = f"step-{step:06d}" + (f"-rank-{self.rank}" if self.rank else "")
            with new_folder(self.run / "bad-steps" / name) as folder:
                save_tensors({"canvas": canvas, **targets.named()}, folder / "batch.safetensors")
                save_tensors(trained, folder / "student.safetensors")
                facts = {"schema": 1, "step": step, "pictures": self.stream.image_names(step)}
                report = json.dumps({**facts, "not_finite": wrong}, indent=1)
                (folder / "report.json").write_text(report, encoding="utf-8")
        return why

    def _check(self, why: str, wrong: NotFinite) -> None:
        if self.skipped > self.limit:
            raise self._error(why, wrong)

    def _error(self, why: str, wrong: NotFinite) -> KivfmError:
        limit = f"optim.bad_limit={self.limit}"
        message = f"{self.skipped} steps were skipped, {limit} is allowed; the last: {why}"
        if wrong:
            return KivfmError(
                message,
                f"take out these pictures or that teacher, all is in {self.run / 'bad-steps'}",
            )
        again = f"kivfm distill --resume {self.run} --allow-changes --set optim.lr=0.0005"
        return KivfmError(message, f"lower the learning rate: {again}")


def not_finite(targets: Targets, pictures: list[str]) -> NotFinite:
    """What of a batch's levels is not finite."""
    found: NotFinite = {}
    for name, level in targets.named().items():
        fine: list[bool] = level.isfinite().flatten(1).all(1).tolist()
        if not all(fine):
            found[name] = [p for p, good in zip(pictures, fine, strict=True) if not good]
    return found
