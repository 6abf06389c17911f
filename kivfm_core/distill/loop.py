"""The training loop: steps, metrics, checkpoints, and leaving in good order."""

from __future__ import annotations

from contextlib import ExitStack, closing
from math import isfinite

import torch
from lightning_fabric import Fabric

from kivfm_core.config import RunConfig
from kivfm_core.data.canvas import normalize
from kivfm_core.distill.checkpoint import save_checkpoint
from kivfm_core.distill.interrupt import Interrupt
from kivfm_core.distill.metrics import Metrics
from kivfm_core.distill.module import Distillation
from kivfm_core.distill.progress import Progress
from kivfm_core.distill.schedule import learning_rate
from kivfm_core.distill.stream import Stream
from kivfm_core.errors import KivfmError
from kivfm_core.run import Run
from kivfm_core.student import Student

LOG_EVERY = 10


def train(
    run: Run,
    config: RunConfig,
    student: Student,
    optimizer: torch.optim.Optimizer,
    stream: Stream,
    fabric: Fabric,
    watch: Progress,
    first: int,
) -> None:
    """Trains a student from step `first` to the configured last.

    Raises:
        Interrupted: If a signal asked to stop; the step is finished and saved before.
        KivfmError: If the loss is no longer finite.
    """
    optim, checkpoint = config.optim, config.checkpoint
    weights = _teacher_weights(config, student)
    seed = config.seed, fabric.global_rank
    module, wrapped = fabric.setup(Distillation(student, config.recipe, weights, seed), optimizer)
    watch.start(optim.steps, first)
    student.train()
    with ExitStack() as stack:
        interrupt = stack.enter_context(Interrupt())
        metrics = None
        if fabric.is_global_zero:
            metrics = stack.enter_context(closing(Metrics(run.path, optim.batch_size, first)))
        for step, (pixels, targets, waited) in enumerate(stream.steps(first, optim.steps), first):
            lr = learning_rate(step, optim)
            for group in wrapped.param_groups:
                group["lr"] = lr
            loss, losses = module(normalize(pixels, student.spec.input), targets, step)
            fabric.backward(loss)
            fabric.clip_gradients(module, wrapped, max_norm=optim.clip, error_if_nonfinite=False)
            wrapped.step()
            wrapped.zero_grad()
            done, last = step + 1, step + 1 == optim.steps
            stop = interrupt.asked and not last
            save = done % checkpoint.every == 0 or last or stop
            if metrics is not None:
                metrics.add(loss, losses, waited)
            if done % LOG_EVERY == 0 or save:
                info = metrics.write(done, lr) if metrics is not None else None
                # All processes stop, or none: one alone would leave the others waiting.
                mean = float(info["loss"]) if info is not None else 0.0
                _check_finite(fabric.broadcast(mean), done)
                if info is not None:
                    watch.step(info)
            if fabric.is_global_zero and save:
                save_checkpoint(run.checkpoints, done, student, optimizer, checkpoint.keep)
            if stop:
                interrupt.leave(run.path)
    student.eval()
    watch.close()


def _teacher_weights(config: RunConfig, student: Student) -> dict[str, float]:
    """Each teacher's share of the loss; they sum to 1."""
    names = [spec.name for spec in student.composition.teachers]
    given = [choice.weight for choice in config.teachers]
    # `installed` is one choice for many teachers.
    weights = given if len(given) == len(names) else given * len(names)
    return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}


def _check_finite(loss: float, step: int) -> None:
    if not isfinite(loss):
        raise KivfmError(
            f"the loss is {loss} at step {step}; the last checkpoint is whole",
            "lower the learning rate: --set optim.lr=0.0005",
        )
