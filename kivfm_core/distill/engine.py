"""The engine: plan, load, fit the aligners, train, and write the run folder."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.bundle import write_bundle
from kivfm_core.cache import MemoryCache
from kivfm_core.compose import Composition, compose
from kivfm_core.config import RunConfig
from kivfm_core.data.canvas import normalize
from kivfm_core.data.images import list_images
from kivfm_core.data.loader import Batch, StepSampler, ViewDataset, load
from kivfm_core.distill.calibrate import calibrate
from kivfm_core.distill.checkpoint import load_checkpoint, save_checkpoint
from kivfm_core.distill.demo import demo_images
from kivfm_core.distill.frozen import Frozen
from kivfm_core.distill.interrupt import Interrupt
from kivfm_core.distill.metrics import Metrics
from kivfm_core.distill.module import Distillation, Targets
from kivfm_core.distill.progress import Progress, Silent
from kivfm_core.distill.schedule import learning_rate, make_optimizer
from kivfm_core.errors import DataError, KivfmError, UsageError
from kivfm_core.run import Run, check_weights, open_run, weights_for
from kivfm_core.student import Student
from kivfm_core.teacher import LoadedTeacher, load_teacher
from kivfm_core.weights import Provenance

LOG_EVERY = 10


def distill(
    config: RunConfig | None = None,
    *,
    out: str | Path | None = None,
    resume: str | Path | None = None,
    progress: Progress | None = None,
) -> Path:
    """Distills the teachers of a configuration into one student.

    Args:
        config: What to do; with `resume`, the run's own configuration is used.
        out: The run folder; `runs/` and the time of day by default.
        resume: A run folder to go on with.
        progress: Watches.

    Returns:
        The run folder.

    Raises:
        UsageError: If the configuration is wrong, or the folder is not empty.
        WeightsError: If a teacher's weights cannot be had.
        DataError: If there are no pictures, or too many bad ones.
    """
    watch = progress or Silent()
    if resume is not None:
        run = open_run(resume)
        config, composition = run.config, run.composition
    elif config is not None:
        run = _new_run(out)
        composition = compose(config)
    else:
        raise UsageError("nothing to distill", "give a configuration, or a run to resume")
    check_weights(config, composition.teachers)
    engine = _Engine(run, config, composition, watch)
    engine.run_all(resumed=resume is not None)
    return run.path


def _new_run(out: str | Path | None) -> Run:
    path = Path(out) if out is not None else Path("runs") / time.strftime("%Y%m%d-%H%M%S")
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise UsageError(
            f"the run folder {path} is not empty",
            f"go on with it: kivfm distill --resume {path}; or choose another: --out {path}-2",
        )
    return Run(path)


class _Engine:
    def __init__(
        self, run: Run, config: RunConfig, composition: Composition, watch: Progress
    ) -> None:
        self.run, self.config, self.composition, self.watch = run, config, composition, watch
        engine = config.engine
        self.fabric = Fabric(
            devices=engine.devices,
            num_nodes=engine.nodes,
            precision=engine.precision,  # pyright: ignore[reportArgumentType]
            strategy=engine.strategy,
        )
        self.bad: set[str] = set()
        gib = 2**30
        self.cache = MemoryCache(int(config.data.memory * gib)) if config.data.views else None
        self.teachers: dict[str, LoadedTeacher] = {}
        self.provenance: dict[str, Provenance | None] = {}

    def run_all(self, resumed: bool) -> None:
        """All stages, in order."""
        config = self.config
        self.fabric.launch()
        torch.manual_seed(config.seed)
        folder = Path(config.data.path) if config.data.path else demo_images(self.watch)
        images = list_images(folder)
        self.student = student = self._build()
        self.run.write_plan(config, self.composition)
        self._say(f"{len(images)} pictures in {folder}")
        contracts = [(t.spec.input, self.composition.side(t.spec)) for t in self.teachers.values()]
        sizes = (student.spec.input, self.composition.image_size)
        self.dataset = ViewDataset(folder, images, config.seed, sizes, contracts)
        optimizer = make_optimizer(student, config.optim)
        first = 0
        if resumed:
            first = load_checkpoint(self.run.checkpoints, student, optimizer)
            self._say(f"resuming at step {first}")
        else:
            kept = self._calibrate(student)
            self._environment(kept)
            if self.fabric.is_global_zero:
                save_checkpoint(self.run.checkpoints, 0, student, optimizer, config.checkpoint.keep)
        self._train(student, optimizer, first)
        if self.fabric.is_global_zero:
            write_bundle(student, self.run.bundle)

    def _say(self, text: str) -> None:
        if self.fabric.is_global_zero:
            self.watch.message(text)

    def _build(self) -> Student:
        for spec in self.composition.teachers:
            teacher = load_teacher(spec, weights_for(spec, self.config))
            self._say(f"{spec.name}: {teacher.provenance}")
            # Channels-last convolutions are up to twice as fast, on CPUs and GPUs alike.
            teacher.to(memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue]
            self.teachers[spec.name] = teacher.to(self.fabric.device)
            self.provenance[spec.name] = teacher.provenance
        student = Student(self.composition)
        base = self.composition.base
        if base is not None:
            student.trunk.load_state_dict(self.teachers[base].encoder.state_dict(), strict=True)
        student.decoders = {name: t.decoders for name, t in self.teachers.items()}
        # The base's own levels come from the student's pass; only what it lacks needs a teacher.
        self.teachers = {
            name: teacher
            for name, teacher in self.teachers.items()
            if any(plan.kind != "identity" for plan in self.composition.of(name))
        }
        return student.to(self.fabric.device)

    def _environment(self, kept: dict[str, float]) -> None:
        if self.fabric.is_global_zero:
            self.run.write_environment(self.config.seed, self.provenance, round_trip=kept)

    def _batches(self, start: int, stop: int) -> Iterator[tuple[Batch, Targets, float]]:
        """Batches, what the frozen networks say about them, and seconds waited for data."""
        data, optim = self.config.data, self.config.optim
        sampler = StepSampler(
            len(self.dataset), len(self.composition.image_size), optim.batch_size,
            start, stop, self.config.seed, data.views, self.cache or (),
            self.fabric.global_rank, self.fabric.world_size,
        )  # fmt: skip
        loader = load(self.dataset, sampler, data.workers)
        frozen = Frozen(self.teachers, self.student, self.cache, self.fabric.to_device)
        for _ in range(start, stop):
            began = time.perf_counter()
            batch = next(loader)
            waited = time.perf_counter() - began
            self._count_bad(batch.bad)
            yield batch, frozen(batch), waited

    def _count_bad(self, names: list[str]) -> None:
        new = set(names) - self.bad
        self.bad |= new
        limit = self.config.data.bad_limit
        if new:
            self._say(f"skipped, cannot be decoded: {', '.join(sorted(new))}")
        if len(self.bad) > limit:
            raise DataError(
                f"{len(self.bad)} pictures cannot be decoded, more than the limit of {limit}",
                f"remove them ({', '.join(sorted(self.bad)[:3])}, ...), "
                f"or --set data.bad_limit={2 * limit}",
            )

    def _calibrate(self, student: Student) -> dict[str, float]:
        steps = -(-self.config.optim.calibration // self.config.optim.batch_size)
        self._say(f"fitting aligners on {steps * self.config.optim.batch_size} views")
        return calibrate(student, (targets for _, targets, _ in self._batches(0, steps)))

    def _teacher_weights(self) -> dict[str, float]:
        names = [spec.name for spec in self.composition.teachers]
        given = [choice.weight for choice in self.config.teachers]
        # `installed` is one choice for many teachers.
        weights = given if len(given) == len(names) else given * len(names)
        return {name: weight / sum(weights) for name, weight in zip(names, weights, strict=True)}

    def _train(self, student: Student, optimizer: torch.optim.Optimizer, first: int) -> None:
        optim, every = self.config.optim, self.config.checkpoint
        weights = self._teacher_weights()
        module, wrapped = self.fabric.setup(
            Distillation(student, self.config.recipe, weights), optimizer
        )
        self.watch.start(optim.steps, first)
        student.train()
        with ExitStack() as stack:
            interrupt = stack.enter_context(Interrupt())
            metrics = None
            if self.fabric.is_global_zero:
                metrics = stack.enter_context(closing(Metrics(self.run.path, optim.batch_size)))
            for step, (batch, targets, waited) in enumerate(
                self._batches(first, optim.steps), start=first
            ):
                lr = learning_rate(step, optim)
                for group in wrapped.param_groups:
                    group["lr"] = lr
                canvas = normalize(self.fabric.to_device(batch.student), student.spec.input)
                loss, losses = module(canvas, targets)
                self.fabric.backward(loss)
                norm = self.fabric.clip_gradients(module, wrapped, max_norm=optim.clip)
                wrapped.step()
                wrapped.zero_grad()
                done = step + 1
                if metrics is not None:
                    metrics.add(loss, losses, waited)
                    if done % LOG_EVERY == 0 or done == optim.steps:
                        info = metrics.write(done, lr)
                        _check_finite(info["loss"], norm, done)
                        self.watch.step(info)
                stop = interrupt.asked
                if done % every.every == 0 or done == optim.steps or stop:
                    if self.fabric.is_global_zero:
                        save_checkpoint(self.run.checkpoints, done, student, optimizer, every.keep)
                if stop and done < optim.steps:
                    interrupt.leave(self.run.path)
        student.eval()
        self.watch.close()


def _check_finite(loss: float, norm: Tensor | None, step: int) -> None:
    if not torch.isfinite(torch.tensor(loss)):
        raise KivfmError(
            f"the loss is {loss} at step {step}; the last checkpoint is whole",
            "lower the learning rate: --set optim.lr=0.0005",
        )
