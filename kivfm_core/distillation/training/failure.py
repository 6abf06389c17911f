"""Whether a run that made its last step failed all the same: it diverged, or hardly learned.

Such a run says so, and its record does. Its student is written, for whoever wants to look at it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from shlex import quote
from statistics import fmean
from typing import Any

from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.prepare import Prepared
from kivfm_core.distillation.training.metrics import read_metrics

# A run whose loss ends so many times as high as an untrained student's has diverged. No run of ours
# that was well came to more than 1.3.
DIVERGED = 2.0


@dataclass(frozen=True)
class Failure:
    """Why a run failed.

    Attributes:
        message: What is wrong with its student.
        hint: What to do about it.
    """

    message: str
    hint: str


def find_failure(
    context: RunContext, prepared: Prepared, made: int, finite: bool
) -> Failure | None:
    """Looks whether a run that made its last step failed; all of its processes have to call it.

    Args:
        context: The run.
        prepared: Knows how many steps were skipped.
        made: Steps that were to be made this time; none where a run was at its end already.
        finite: Whether the trained student's features are finite.
    """
    found = _look(context, prepared, made, finite) if context.is_first else None
    return context.fabric.broadcast(found)


def _look(context: RunContext, prepared: Prepared, made: int, finite: bool) -> Failure | None:
    run, folder = context.run, prepared.skipped.folder
    another = f"kivfm distill --config {quote(str(run.config_file))} --out ANOTHER"
    slower = f"lower the learning rate: {another} --set optim.lr={context.config.optim.lr / 5:g}"
    if not made:  # nothing new is known of it
        said = run.costs.get("failed")
        return Failure(said, slower) if said else None
    if lost := prepared.skipped.nearly_all(made):
        return Failure(lost, f"look into {folder}, then: {another}")
    if not finite:
        return Failure(f"the features of the student in {run.path} are not finite", slower)
    rise = loss_rise(read_metrics(run))
    if rise > DIVERGED:
        return Failure(
            f"diverged: the loss in {run.path} ended at {rise:.3g} times that of the untrained "
            "student",
            slower,
        )
    return None


def loss_rise(lines: Sequence[Mapping[str, Any]]) -> float:
    """How many times as high as in the beginning a run's loss was in the end.

    The loss is the mean of the teachers' own: decoders count the same in it at every step. In the
    beginning, that is the untrained student's, or an earlier version's first line; in the end, the
    mean of the last tenth of the lines.

    Args:
        lines: Of `metrics.jsonl`.

    Example:
        >>> loss_rise([{"untrained": {"a": 1, "b": 3}}, {"losses": {"a": 2, "b": 4}}])
        1.5
    """
    losses = [fmean(line["losses"].values()) for line in lines if line.get("losses")]
    if not losses:
        return 0.0
    start = next((fmean(line["untrained"].values()) for line in lines[:1] if "untrained" in line),
                 losses[0])  # fmt: skip
    return fmean(losses[-max(1, len(losses) // 10) :]) / start if start > 0 else 0.0
