"""Values that are not finite: the step is skipped, saved for inspection, and counted."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping

import torch
from torch import Tensor

from kivfm_core.data.images import listed
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.processes.sharding import whole
from kivfm_core.errors import KivfmError
from kivfm_core.files import new_folder
from kivfm_core.run_files import BAD_STEPS, STUDENT_STATE, checkpoint_name
from kivfm_core.student.bundle import save_tensors
from kivfm_core.student.student import Student

# Skipped steps whose batch and student are saved.
SAVED = 3

# By `TEACHER:LEVEL`, the images for which it holds NaN or infinity.
NotFinite = dict[str, list[str]]


class SkippedSteps:
    """Counts the steps that are skipped, reports them, and stops a run with too many.

    Whether a step was skipped is decided on the device. It is looked up only now and then, since
    each look waits for the device.

    Args:
        context: The run; its `optim.bad_limit` is how many steps may be skipped.
        stream: Gives a step's batch again.
    """

    def __init__(self, context: RunContext, stream: Stream) -> None:
        self.folder, self.limit = context.run.path / BAD_STEPS, context.config.optim.bad_limit
        self.run, self.stream = context.run, stream
        self.rank, self.log = context.fabric.global_rank, context.log_anywhere
        self.waiting: list[tuple[int, Tensor]] = []
        self.skipped = self.lost = 0

    def finite_targets(self, student: Student, stop: int) -> Iterator[Targets]:
        """The targets of the steps before `stop`, without those that are not finite.

        Raises:
            KivfmError: If too many are not finite, or all.
        """
        good, why, wrong = 0, "", NotFinite()
        for step, (canvas, targets, _) in enumerate(self.stream.steps(0, stop)):
            wrong = not_finite(targets, self.stream.image_names(step))
            if not wrong:
                good += 1
                yield targets._replace(canvas=canvas)
                continue
            why = self._record(step, student.trained(), canvas, targets, wrong)
            self._check_limit(why, wrong)
        if not good:
            raise self._error(why, wrong)

    def add(self, step: int, finite: Tensor) -> None:
        """Takes, as a boolean scalar on the device, whether a step was made."""
        self.waiting.append((step, finite))

    def check(self, student: Student) -> int:
        """Waits for the steps that were added; returns how many were skipped.

        Raises:
            KivfmError: If too many were skipped.
        """
        made: list[bool] = torch.stack([finite for _, finite in self.waiting]).tolist()
        skipped = [step for (step, _), good in zip(self.waiting, made, strict=True) if not good]
        self.waiting = []
        self.lost += len(skipped)
        trained = whole(student.trained()) if skipped else {}
        for step in skipped:
            # A step's batch follows from its number, so none had to be held until now.
            canvas, targets, _ = next(self.stream.steps(step, step + 1))
            wrong = not_finite(targets, self.stream.image_names(step))
            self._check_limit(self._record(step, trained, canvas, targets, wrong), wrong)
        return len(skipped)

    def nearly_all(self, steps: int) -> str:
        """What to say of a run of which nearly all steps were skipped; empty for any other.

        Args:
            steps: How many this process was to make.
        """
        if self.lost <= 0.9 * steps:
            return ""
        return (
            f"{self.lost} of {steps} steps were skipped, since values were not finite: the "
            f"student in {self.run.path} has hardly been trained"
        )

    def _record(
        self, step: int, trained: Mapping[str, Tensor], canvas: Tensor, targets: Targets,
        wrong: NotFinite,
    ) -> str:  # fmt: skip
        """Counts, reports and saves a skipped step; returns why it was skipped."""
        self.skipped += 1
        why = "; ".join(f"{level} is not finite for {listed(p)}" for level, p in wrong.items())
        why = why or "the loss or its gradient is not finite"
        # All processes skip a step together. Those that have the images at fault name them; a loss
        # without such images is reported once.
        if wrong or not self.rank:
            self.log(f"skipped step {step}: {why}")
        if self.skipped <= SAVED:
            name = checkpoint_name(step) + (f"-rank-{self.rank}" if self.rank else "")
            with new_folder(self.folder / name) as folder:
                save_tensors({"canvas": canvas, **targets.named()}, folder / "batch.safetensors")
                save_tensors(trained, folder / STUDENT_STATE)
                facts = {"schema": 1, "step": step, "pictures": self.stream.image_names(step)}
                report = json.dumps({**facts, "not_finite": wrong}, indent=1)
                (folder / "report.json").write_text(report, encoding="utf-8")
        return why

    def _check_limit(self, why: str, wrong: NotFinite) -> None:
        if self.skipped > self.limit:
            raise self._error(why, wrong)

    def _error(self, why: str, wrong: NotFinite) -> KivfmError:
        limit = f"optim.bad_limit={self.limit}"
        message = f"{self.skipped} steps were skipped, {limit} is allowed; the last: {why}"
        if wrong:
            return KivfmError(
                message,
                f"leave out these images or that teacher; their batches are in {self.folder}",
            )
        again = f"kivfm distill --resume {self.run.path} --allow-changes --set optim.lr=0.0005"
        return KivfmError(message, f"lower the learning rate: {again}")


def not_finite(targets: Targets, images: list[str]) -> NotFinite:
    """The levels of a batch that are not finite, and for which images."""
    found: NotFinite = {}
    for name, level in targets.named().items():
        finite: list[bool] = level.isfinite().flatten(1).all(1).tolist()
        if not all(finite):
            found[name] = [image for image, good in zip(images, finite, strict=True) if not good]
    return found
