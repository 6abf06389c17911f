"""The training loop: steps, metrics, checkpoints, and leaving in good order."""

from __future__ import annotations

from contextlib import ExitStack, closing

import torch
from lightning_fabric import Fabric

from kivfm_core.config import RunConfig
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.processes.interrupt import Interrupt
from kivfm_core.distillation.processes.launch import summed
from kivfm_core.distillation.processes.sharding import set_up, unshard
from kivfm_core.distillation.state.checkpoint import save_checkpoint
from kivfm_core.distillation.training.compile import compile_all
from kivfm_core.distillation.training.metrics import Metrics
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.nonfinite import Guard
from kivfm_core.distillation.training.schedule import learning_rate
from kivfm_core.distillation.training.step import Step
from kivfm_core.planner.plan import LEARNING
from kivfm_core.progress import Progress
from kivfm_core.runs.run import Run
from kivfm_core.student.student import Student

LOG_EVERY = 10
PULLS_EVERY = 100


def train(
    run: Run,
    config: RunConfig,
    student: Student,
    optimizer: torch.optim.Optimizer,
    stream: Stream,
    fabric: Fabric,
    watch: Progress,
    interrupt: Interrupt,
    guard: Guard,
    first: int,
) -> None:
    """Trains a student from step `first` to the configured last.

    Raises:
        Interrupted: If a signal asked to stop; the step is finished and saved before.
        KivfmError: If too many steps were skipped, for values that are not finite.
    """
    optim, checkpoint = config.optim, config.checkpoint
    weights = _teacher_weights(config, student)
    distillation = Distillation(student, config.recipe, weights)
    student.set_grad_checkpointing(config.engine.activation_checkpointing)
    if config.engine.compile != "off":
        compile_all([distillation], fabric.device)
    module, wrapped = set_up(fabric, distillation, optimizer)
    make = Step(fabric, module, wrapped, student.spec.input, config, stream.report)
    watch.start(optim.steps, first)
    student.train()
    interrupt.patient = True
    with ExitStack() as stack:
        metrics = None
        if fabric.is_global_zero:
            metrics = stack.enter_context(closing(Metrics(run.path, optim.batch_size, first)))
        for step, (canvas, targets, waited) in enumerate(stream.steps(first, optim.steps), first):
            lr = learning_rate(step, optim)
            loss, losses, fine = make(canvas, targets, step, lr)
            guard.add(step, fine)
            stream.stopwatch.add(LEARNING, optim.batch_size, 0.0)
            if metrics is not None:
                metrics.add(loss, losses, waited)
            done, last = step + 1, step + 1 == optim.steps
            save = done % checkpoint.every == 0 or last
            report = done % LOG_EVERY == 0 or save
            stop = _agreed(interrupt, fabric, report) and not last
            if report or stop:
                skipped = guard.look(student)
                due = done % PULLS_EVERY == 0 or last
                pulls = make.pulls(canvas, targets) if due else {}
                if metrics is not None:
                    watch.step(metrics.write(done, lr, skipped, pulls))
            if save or stop:
                save_checkpoint(
                    run.checkpoints, done, student, optimizer,
                    fabric.strategy.precision, checkpoint.keep,
                )  # fmt: skip
            if stop:
                fabric.barrier()  # a process that is gone would take the others with it
                raise interrupt.stopped()
    interrupt.patient = False
    unshard(student)
    student.eval()
    watch.close()


def _agreed(interrupt: Interrupt, fabric: Fabric, now: bool) -> bool:
    """Whether someone asked to stop: all processes do, or none; one alone would keep them waiting.

    Several processes ask each other `now` and then only.
    """
    if fabric.world_size == 1:
        return interrupt.asked
    return now and bool(summed(fabric)(torch.tensor(float(interrupt.asked))) > 0)


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
