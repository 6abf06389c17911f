"""The training loop: steps, metrics, checkpoints, and leaving in good order."""

from __future__ import annotations

from contextlib import ExitStack, closing

import torch

from kivfm_core.config import RunConfig
from kivfm_core.distillation.context import RunContext
from kivfm_core.distillation.prepare import Prepared
from kivfm_core.distillation.processes.sharding import set_up, unshard
from kivfm_core.distillation.state.checkpoint import save_checkpoint
from kivfm_core.distillation.state.resume import config_at_start
from kivfm_core.distillation.training.compile import compile_all
from kivfm_core.distillation.training.metrics import Metrics
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.schedule import learning_rate
from kivfm_core.distillation.training.step import Step
from kivfm_core.planner.plan import LEARNING
from kivfm_core.processes.interrupt import Interrupt
from kivfm_core.processes.launch import all_reduce
from kivfm_core.registry.redeclared import flatten
from kivfm_core.student.student import Student
from kivfm_core.trackers.trackers import Trackers

# Steps between lines of metrics: each of them waits for the device.
LOG_EVERY = 10

# Steps between comparisons of the teachers' gradients: each takes a pass for every teacher.
GRADIENTS_EVERY = 100


def train(context: RunContext, prepared: Prepared, interrupt: Interrupt, first: int) -> bool:
    """Trains a student from step `first` to the configured last.

    Args:
        context: The run.
        prepared: What is trained, and on what.
        interrupt: Tells when a signal asked to stop.
        first: Steps made before.

    Returns:
        Whether the trained student's features are finite, for any image of this process's last
        step; true if there was none.

    Raises:
        Interrupted: If a signal asked to stop; the step is finished and saved before.
        KivfmError: If too many steps were skipped, for values that are not finite.
    """
    config, fabric, student = context.config, context.fabric, prepared.student
    distillation = Distillation(student, config.recipe, _teacher_weights(config, student))
    student.set_grad_checkpointing(config.engine.activation_checkpointing)
    if config.engine.compile != "off":
        compile_all([distillation], fabric.device)
    module, optimizer = set_up(fabric, distillation, prepared.optimizer)
    context.progress.start(config.optim.steps, first)
    student.train()
    # From here on there is work to lose: a signal waits for the step, and for its checkpoint.
    interrupt.wait_for_step = True
    finite = _make_steps(context, prepared, Step(context, module, optimizer), interrupt, first)
    interrupt.wait_for_step = False
    unshard(student)
    student.eval()
    context.progress.close()
    return finite


def _make_steps(
    context: RunContext, prepared: Prepared, make_step: Step, interrupt: Interrupt, first: int
) -> bool:
    config, run, fabric, good = context.config, context.run, context.fabric, True
    student, stream, total = prepared.student, prepared.stream, config.optim.steps
    with ExitStack() as stack:
        metrics = None
        if context.is_first:
            metrics = stack.enter_context(closing(_open_metrics(context, first)))
        for step, (canvas, targets, waited) in enumerate(stream.steps(first, total), first):
            lr = learning_rate(step, config.optim)
            loss, losses, finite = make_step(canvas, targets, step, lr)
            prepared.skipped.add(step, finite)
            stream.stopwatch.add(LEARNING, config.optim.batch_size, 0.0)
            if metrics is not None:
                metrics.add(loss, losses, waited)
            done, last = step + 1, step + 1 == total
            save = done % config.checkpoint.every == 0 or last
            report = done % LOG_EVERY == 0 or save
            stop = _agree_to_stop(interrupt, context, report) and not last
            # Before the checkpoint, so that a run with too many skipped steps saves none of them.
            if report or stop:
                skipped = prepared.skipped.check(student)
                due = done % GRADIENTS_EVERY == 0 or last
                gradients = make_step.compare_gradients(canvas, targets) if due else {}
                if metrics is not None:
                    context.progress.step(metrics.write(done, lr, skipped, gradients))
            if save or stop:
                save_checkpoint(
                    run.checkpoints, done, student, prepared.optimizer,
                    fabric.strategy.precision, config.checkpoint.keep,
                )  # fmt: skip
            if stop:
                # A process that left before the checkpoint is whole would take the others with it.
                fabric.barrier()
                raise interrupt.stopped()
            if last:
                good = make_step.has_finite_features(canvas, targets)
    return good


def _open_metrics(context: RunContext, first: int) -> Metrics:
    config, run = context.config, context.run
    settings = flatten(config_at_start(config))
    trackers = Trackers(config.log, run, settings, first, context.log)
    return Metrics(run, config.optim.batch_size, first, trackers)


def _agree_to_stop(interrupt: Interrupt, context: RunContext, now: bool) -> bool:
    """Whether a signal asked to stop: all processes stop, or none; one would keep them waiting.

    Asking the others costs a wait, so several processes do it only when it is `now` time to report.
    """
    if context.fabric.world_size == 1:
        return interrupt.requested
    requested = torch.tensor(float(interrupt.requested))
    return now and bool(all_reduce(context.fabric)(requested) > 0)


def _teacher_weights(config: RunConfig, student: Student) -> dict[str, float]:
    """The share of the loss of each teacher to learn from; they sum to 1."""
    names = [spec.name for spec in student.composition.teachers]
    given = [choice.weight for choice in config.teachers]
    # `installed` is one choice for many teachers.
    weights = dict(
        zip(names, given if len(given) == len(names) else given * len(names), strict=True)
    )
    shares = {spec.name: weights[spec.name] for spec in student.composition.learned}
    return {name: weight / sum(shares.values()) for name, weight in shares.items()}
