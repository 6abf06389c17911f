"""The engine: plan, load, fit the aligners, train, and write the run folder."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric

from kivfm_core.composition.compose import compose
from kivfm_core.composition.summary import round_trips
from kivfm_core.config import RunConfig
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distillation.assemble import assemble
from kivfm_core.distillation.costs import plan_costs, save_rates, write_costs
from kivfm_core.distillation.demo_data import data_path
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.interrupt import Interrupt, Interrupted
from kivfm_core.distillation.processes.launch import (
    all_reduce,
    find_machine,
    launched,
    rank_logger,
    resolve_precision,
)
from kivfm_core.distillation.state.checkpoint import (
    has_checkpoint,
    load_checkpoint,
    save_checkpoint,
)
from kivfm_core.distillation.state.disk_full import report_full_disk
from kivfm_core.distillation.state.resume import ResumePlan, check, config_at_start, plan_resume
from kivfm_core.distillation.training.calibrate import calibrate
from kivfm_core.distillation.training.compile import compile_all
from kivfm_core.distillation.training.loop import train
from kivfm_core.distillation.training.nonfinite import SkippedSteps
from kivfm_core.distillation.training.schedule import make_optimizer
from kivfm_core.errors import UsageError
from kivfm_core.planner.placement import place, planned_machine
from kivfm_core.planner.plan import FITTING, LEARNING
from kivfm_core.progress import Progress, Silent
from kivfm_core.runs.run import Run, open_run
from kivfm_core.student.bundle import write_bundle


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
        config: What to do; with `resume`, the run's own configuration by default.
        out: The run folder; `runs/` and the time of day by default.
        resume: A run folder to go on with.
        steps: With `resume`, another length for the run; the learning rate follows it.
        allow_changes: With `resume`, go on although teachers, weights, pictures or settings are
            not those that the run began with.
        progress: Watches.

    Returns:
        The run folder.

    Raises:
        UsageError: If the configuration is wrong, or not the resumed run's, or the folder is not
            empty.
        WeightsError: If a teacher's weights cannot be had, or are not the resumed run's.
        DataError: If there are no pictures, or too many bad ones.
        Interrupted: If a signal asked to stop.
    """
    watch = progress or Silent()
    if resume is not None:
        run = open_run(resume)
        wanted = resolve_precision(config.anchored() if config is not None else run.config)
        if steps is not None:
            optim = wanted.optim.model_copy(update={"steps": steps})
            wanted = wanted.model_copy(update={"optim": optim})
        plan = plan_resume(run, wanted, allow_changes)
    elif config is not None:
        config = resolve_precision(config.anchored())
        plan = ResumePlan(config, compose(config))
        run = _new_run(out)
    else:
        raise UsageError("nothing to distill", "give a configuration, or a run to resume")
    _work(run, plan, watch, allow_changes)
    return run.path


def _new_run(out: str | Path | None) -> Run:
    path = Path(out) if out is not None else Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    run = Run(path)
    if not run.is_new:
        raise UsageError(
            f"the run folder {path} is not empty",
            f"go on with it: kivfm distill --resume {path}; or choose another: --out {path}-2",
        )
    run.forget_plan()
    return run


def _work(run: Run, plan: ResumePlan, watch: Progress, allow_changes: bool) -> None:
    """All stages, in order, in as many processes as are asked for."""
    with Interrupt(run.path) as interrupt, launched(plan.config) as fabric:
        # Where the run is made after the time of day, processes may disagree.
        run = Run(Path(fabric.broadcast(str(run.path))))
        watch = watch if fabric.is_global_zero else Silent()
        with report_full_disk(f"kivfm distill --resume {run.path}"):
            _stages(fabric, run, plan, watch, interrupt, allow_changes)


def _stages(
    fabric: Fabric, run: Run, plan: ResumePlan, watch: Progress, interrupt: Interrupt,
    allow_changes: bool,
) -> None:  # fmt: skip
    config, composition, say = plan.config, plan.composition, watch.message
    resumed = has_checkpoint(run.checkpoints)
    if fabric.is_global_zero and not resumed:
        run.write_plan(config, composition)
    say(f"on {fabric.device}, precision {config.engine.precision}")
    torch.manual_seed(config.seed)
    # First what can fail for want of a file; the demo scenes take a minute to draw.
    machine = planned_machine(config, find_machine(fabric.device))
    placements = place(config, composition, machine)
    models = assemble(config, composition, fabric.device, say, placements)
    student = models.student
    if config.engine.compile == "all":
        here = [t.encoder for name, t in models.teachers.items() if not placements[name].offloaded]
        compile_all(here, fabric.device)
    with fabric.rank_zero_first(local=True):
        path = data_path(config, watch)
    images = find_images(path)
    stream = Stream(config, composition, models.frozen, images, fabric, say)
    here = rank_logger(fabric, say)
    guard = SkippedSteps(run.path, config.optim.bad_limit, stream, fabric.global_rank, here)
    optimizer, precision = make_optimizer(student, config), fabric.strategy.precision
    facts: dict[str, Any] = {"pictures": stream.digest, "configuration": config_at_start(config)}
    first, batch = 0, config.optim.batch_size
    if resumed:
        changes = [*plan.changes, *run.changes(models.provenance, stream.digest)]
        check(run, changes, allow_changes)
        anew = any(change.startswith("optim.optimizer:") for change in changes)
        first = load_checkpoint(run.checkpoints, student, optimizer, precision, anew=anew)
        if anew:
            say("another optimizer than before: it remembers nothing of the steps made")
        costs = plan_costs(config, composition, stream, fabric, say, first)
        say(f"resuming at step {first}")
        if fabric.is_global_zero:
            run.write_plan(config, composition)
            if changes:
                facts["round_trip"] = run.environment["round_trip"]
                facts["changes"] = run.environment.get("changes", []) + changes
                facts["earlier"] = [
                    *run.environment.get("earlier", []),
                    run.environment["argv"],
                ]
                run.write_environment(config.seed, models.provenance, **facts)
    else:
        costs = plan_costs(config, composition, stream, fabric, say)
        steps = -(-config.optim.calibration // batch)
        say(f"fitting aligners on {steps * batch} views")
        stream.stopwatch.add(FITTING, steps * batch, 0.0)
        with stream.stopwatch.rest(FITTING):
            fitted = calibrate(student, guard.finite(student, steps), all_reduce(fabric))
        kept = {**models.round_trip, **fitted}
        say(f"the shared latent keeps {round_trips(kept)}")
        if fabric.is_global_zero:
            run.write_environment(config.seed, models.provenance, round_trip=kept, **facts)
            save_checkpoint(
                run.checkpoints, 0, student, optimizer, precision, config.checkpoint.keep
            )
    try:
        with stream.stopwatch.rest(LEARNING):
            train(run, config, student, optimizer, stream, fabric, watch, interrupt, guard, first)
    except Interrupted:
        if fabric.is_global_zero:
            save_rates(costs, stream, say)
        raise
    if bad := stream.count_bad():
        say(f"{bad} pictures were skipped, since they cannot be decoded")
    if fabric.is_global_zero:
        write_bundle(student, run.bundle)
        write_costs(run, costs, stream, say)
