"""A run from its configuration to its student: prepare, begin or resume, train, finish."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kivfm_core.composition.compose import compose
from kivfm_core.composition.summary import percents, round_trips
from kivfm_core.config import RunConfig
from kivfm_core.data.remote.url import locate, refuse_url
from kivfm_core.data.unlabeled import check_images
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.costs import plan_costs, save_measured_rates, write_costs
from kivfm_core.distillation.demo_data import demo_warning
from kivfm_core.distillation.prepare import Prepared, prepare
from kivfm_core.distillation.processes.launch import launched, resolve_precision
from kivfm_core.distillation.state.checkpoint import (
    latest_checkpoint,
    load_checkpoint,
    named_latest,
    save_checkpoint,
)
from kivfm_core.distillation.state.disk_full import report_full_disk
from kivfm_core.distillation.state.hold import hold
from kivfm_core.distillation.state.resume import (
    ResumePlan,
    check_changes,
    config_at_start,
    plan_resume,
)
from kivfm_core.distillation.training.failure import Failure, find_failure
from kivfm_core.distillation.training.fit_shared import fit_aligners
from kivfm_core.distillation.training.loop import train
from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.planner.plan import FITTING, LEARNING, RunPlan
from kivfm_core.processes.interrupt import Interrupt, Interrupted
from kivfm_core.processes.launch import all_reduce
from kivfm_core.progress import Progress, Silent, reporter
from kivfm_core.runs.run import Run, open_run
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.card import TrainedOn


def distill(
    config: RunConfig | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    steps: int | None = None,
    allow_changes: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Distills the teachers of a configuration into one student.

    Args:
        config: The configuration; with `resume`, the run's own by default.
        out: The run folder; `runs/` and the time of day by default.
        resume: A run folder to go on with.
        steps: With `resume`, another length for the run; the learning rate follows it.
        allow_changes: With `resume`, go on although teachers, weights, images or settings are
            not those that the run began with.
        progress: Where to report; by default in a notebook, and nowhere else.

    Returns:
        The run folder.

    Raises:
        UsageError: If the configuration is wrong, or not the resumed run's; or the folder is taken.
        WeightsError: If a teacher's weights cannot be had, or are not the resumed run's.
        DataError: If there are no images, or too many bad ones.
        Interrupted: If a signal asked to stop.
        KivfmError: If the work failed, the run diverged, or a tracker's package is missing.
    """
    if resume is not None:
        run = open_run(resume)
        plan = plan_resume(run, _resumed_config(run, config, steps), allow_changes)
    elif config is not None:
        config = resolve_precision(config.anchored())
        plan = ResumePlan(config, compose(config))
        run = _new_run(out)
        if config.data.path is not None:
            # Before weights are loaded or fetched: a typing error must not cost a download.
            check_images(locate(config.data.path))
    else:
        raise UsageError("nothing to distill", "give a configuration, or a run to resume")
    with Interrupt(run.path) as interrupt, launched(plan.config, run.path) as fabric:
        # Each process may have read another time of day: the first one's folder counts.
        run = Run(Path(fabric.broadcast(str(run.path))))
        report = reporter(progress) if fabric.is_global_zero else Silent()
        context = RunContext(fabric, run, plan.config, plan.composition, report)
        with report_full_disk(f"kivfm distill --resume {run.path}"), hold(context, resume is None):
            _run_stages(context, plan.changes, allow_changes, interrupt)
    return run.path


def _resumed_config(run: Run, config: RunConfig | None, steps: int | None) -> RunConfig:
    wanted = resolve_precision(config.anchored() if config is not None else run.config)
    if steps is None:
        return wanted
    optim = wanted.optim.model_copy(update={"steps": steps})
    return wanted.model_copy(update={"optim": optim})


def _new_run(out: str | Path | None) -> Run:
    refuse_url(out or "", "a run is written to a disk", "--out runs/photos")
    run = Run(Path(out) if out is not None else _unused(time.strftime("%Y%m%d-%H%M%S")))
    # Again once the folder is held; here, before anything is loaded or launched.
    run.check_is_new()
    return run


def _unused(name: str) -> Path:
    """A new folder for a run, by the time of day: two may begin in one second."""
    folder, number = Path("runs") / name, 1
    while folder.exists():
        number += 1
        folder = folder.with_name(f"{name}-{number}")
    return folder


@dataclass(frozen=True)
class Start:
    """Where training starts.

    Attributes:
        step: Steps made before.
        costs: What the rest of the run is planned to cost.
    """

    step: int
    costs: RunPlan


def _run_stages(
    context: RunContext, changes: Sequence[str], allow_changes: bool, interrupt: Interrupt
) -> None:
    """All stages in order, in each of the run's processes."""
    # A run that was stopped before its first checkpoint has nothing to resume: it begins again.
    checkpoint = latest_checkpoint(context.run.checkpoints)
    if checkpoint is None:
        # Before anything is loaded, so that a run stopped while loading is a run, too.
        context.write_plan()
    elif named_latest(context.run.checkpoints) != checkpoint.name:
        context.log(f"checkpoints/latest is lost: {checkpoint.name} is the newest whole one")
    if warning := demo_warning(context.config, context.composition.teachers):
        context.log(warning)  # before weights are fetched
    prepared = prepare(context)
    if checkpoint is not None:
        start = resume_training(context, prepared, changes, allow_changes)
    else:
        start = begin(context, prepared)
    try:
        with prepared.stream.stopwatch.rest(LEARNING):
            finite = train(context, prepared, interrupt, start.step)
    except Interrupted:
        if context.is_first:
            save_measured_rates(start.costs, prepared.stream, context.log)
        raise
    failure = find_failure(context, prepared, context.config.optim.steps - start.step, finite)
    finish(context, prepared, start.costs, failure)
    if failure is not None:
        raise KivfmError(failure.message, failure.hint)


def begin(context: RunContext, prepared: Prepared) -> Start:
    """Fits the aligners of a new run, and saves the untrained student as its first checkpoint."""
    config, run, fabric = context.config, context.run, context.fabric
    student, stream = prepared.student, prepared.stream
    costs = plan_costs(context, stream)
    batch = config.optim.batch_size
    steps = -(-config.optim.calibration // batch)
    context.log(f"fitting aligners on {steps * batch} views")
    stream.stopwatch.add(FITTING, steps * batch, 0.0)
    with stream.stopwatch.rest(FITTING):
        targets = prepared.skipped.finite_targets(student, steps)
        fitted, shared = fit_aligners(student, targets, all_reduce(fabric))
    # The aligners of an earlier run's teachers stay, with the round trips measured there.
    trips = {**prepared.models.round_trip, **fitted}
    context.log(f"the shared latent keeps {round_trips(trips)}")
    if shared:
        context.log(f"the others' shared coordinates explain {percents(shared['others'])}")
    if before := prepared.models.shared:
        shared = {**before, **{part: before.get(part, {}) | new for part, new in shared.items()}}
    if context.is_first:
        # The environment before the checkpoint, since resuming from a checkpoint needs both.
        facts = {"round_trip": trips, **_facts(context, prepared)}
        facts |= {"shared": shared} if shared else {}
        run.write_environment(config.seed, prepared.models.provenance, **facts)
        save_checkpoint(
            run.checkpoints, 0, student, prepared.optimizer,
            fabric.strategy.precision, config.checkpoint.keep,
        )  # fmt: skip
    return Start(0, costs)


def resume_training(
    context: RunContext, prepared: Prepared, changes: Sequence[str], allow_changes: bool
) -> Start:
    """Restores the latest checkpoint of a run.

    Args:
        context: The run.
        prepared: What is restored.
        changes: Which settings are not as the run began, a line each.
        allow_changes: Whether these, and other weights or images, are allowed.

    Raises:
        UsageError: If something is not as the run began, and that is not allowed.
    """
    run, stream = context.run, prepared.stream
    # Settings were compared before loading; hashes of weights and images are known only now.
    changes = [*changes, *run.changes(prepared.models.provenance, stream.digest)]
    check_changes(run, changes, allow_changes)
    new_optimizer = any(change.startswith("optim.optimizer:") for change in changes)
    step = load_checkpoint(
        run.checkpoints, prepared.student, prepared.optimizer,
        context.fabric.strategy.precision, anew=new_optimizer,
    )  # fmt: skip
    if new_optimizer:
        context.log("another optimizer than before: its state starts empty")
    costs = plan_costs(context, stream, step)
    context.log(f"resuming at step {step}")
    context.write_plan()
    if context.is_first and changes:
        _record_changes(context, prepared, changes)
    return Start(step, costs)


def finish(
    context: RunContext, prepared: Prepared, costs: RunPlan, failure: Failure | None
) -> None:
    """Writes the student, and what the run cost and whether it failed."""
    # All processes count together, since each of them saw other images.
    if bad := prepared.stream.count_bad():
        context.log(f"{bad} images were skipped, since they cannot be decoded")
    if context.is_first:
        # Costs first: a kill between them leaves no student that passes for a good one.
        write_costs(context, costs, prepared.stream, failure.message if failure else None)
        path, images = context.config.data.path, prepared.stream.dataset.images
        data = TrainedOn(folder=Path(path).name if path else "the demo scenes", images=len(images))
        write_bundle(prepared.student, context.run.bundle, data=data)


def _facts(context: RunContext, prepared: Prepared) -> dict[str, Any]:
    """What later resumes are compared with."""
    digest = prepared.stream.digest
    return {"pictures": digest, "configuration": config_at_start(context.config)}


def _record_changes(context: RunContext, prepared: Prepared, changes: Sequence[str]) -> None:
    """Once allowed, changes are how the run is from now on; what it was before is listed."""
    known = context.run.environment
    facts = _facts(context, prepared)
    facts |= {"round_trip": {}, **{k: known[k] for k in ("round_trip", "shared") if k in known}}
    facts["changes"] = [*known.get("changes", []), *changes]
    facts["earlier"] = [*known.get("earlier", []), known.get("argv", [])]
    # What the student started from was not loaded again.
    weights = {**context.run.provenance, **prepared.models.provenance}
    context.run.write_environment(context.config.seed, weights, **facts)
