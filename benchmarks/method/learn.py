"""Trains the proof's student with labels: the same student, the same images, no teacher.

    python -m benchmarks.method.learn --teacher detector/nano --labels FILE [as `kivfm distill`]

Base, adapter and aligners are those of the distilled student, the decoder has that teacher's form;
what is trained starts from random weights, with the loss that the teacher was trained with, and
with kivfm's views, optimizer and learning rates. What comes out is a run folder, which
`kivfm evaluate` measures as any other.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable, Mapping, Sequence
from functools import cache, partial
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from benchmarks.method.pool_labels import read_samples
from kivfm_core.aligners.latent import LatentAligner
from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig, build_config
from kivfm_core.data.canvas import normalize
from kivfm_core.data.sampler import StepSampler
from kivfm_core.data.unlabeled import Images, find_images
from kivfm_core.data.views import sample_view
from kivfm_core.distillation.assemble import assemble
from kivfm_core.distillation.processes.launch import launched, resolve_precision
from kivfm_core.distillation.state.checkpoint import save_checkpoint
from kivfm_core.distillation.training.schedule import (
    learning_rate,
    make_optimizer,
    set_learning_rate,
)
from kivfm_core.runs.run import Run
from kivfm_core.student.bundle import write_bundle
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders
from training import detector, segmenter
from training.pool import Sample, cut

Judge = Callable[[nn.Module, Mapping[str, Tensor]], Tensor]
# What the nano teachers were trained with.
LOSSES: dict[str, Callable[..., Tensor]] = {
    "detector/nano": detector.label_loss,
    "segmenter/nano": segmenter.label_loss,
}
LOG_EVERY = 50


def main(words: Sequence[str] | None = None) -> None:
    """Trains, and writes a run folder."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.method.learn",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--teacher", required=True, choices=LOSSES, help="whose decoder and tasks")
    parser.add_argument("--labels", type=Path, required=True)
    parser.add_argument("--teachers", required=True, help="of the distilled student")
    parser.add_argument("--data", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--batch-size", type=int)
    parser.add_argument("--image-size", type=int)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--set", action="append", dest="sets", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, required=True)
    args = parser.parse_args(words)
    flags = {
        "teachers": args.teachers, "data.path": args.data, "seed": args.seed,
        "optim.batch_size": args.batch_size, "optim.steps": args.steps,
        "data.image_size": args.image_size,
    }  # fmt: skip
    config = resolve_precision(build_config(None, flags, args.sets).anchored())
    learn(config, args.teacher, args.labels, Run(args.out))


class Learner(nn.Module):
    """A student in a teacher's place, and a decoder of that teacher's form, against labels."""

    def __init__(self, student: Student, teacher: str) -> None:
        super().__init__()
        self.student = student
        self.stand_in = student.stand_in(teacher)
        self.decoder = self.stand_in.decoders.part(self.stand_in.spec.tasks[0].task)

    def forward(self, canvas: Tensor, judge: Judge) -> Tensor:
        """The loss of normalized canvases `[B, 3, S, S]`, as their labels judge it."""
        size = (canvas.shape[-2], canvas.shape[-1])
        return judge(self.decoder, self.stand_in.levels(self.student(canvas), size))


def part_of(whole: Composition, teacher: str) -> Composition:
    """The same student as one who has but one teacher beside its base to stand in for."""
    names = (whole.base, teacher)
    return whole.model_copy(
        update={
            "teachers": tuple(spec for spec in whole.teachers if spec.name in names),
            "aligners": tuple(plan for plan in whole.aligners if plan.teacher in names),
        }
    )


def make_learner(student: Student, teacher: str) -> Learner:
    """Gives a student the decoder that is trained, and levels that are not all zero.

    A student's levels begin at the teacher's mean, which nobody knows here.
    """
    student.decoders[teacher] = Decoders(student.stand_in(teacher).spec)
    for plan in student.composition.of(teacher):
        cast(LatentAligner, student.aligner(teacher, plan.level.name)).head.reset_parameters()
    return Learner(student, teacher)


def learn(config: RunConfig, teacher: str, labels: Path, run: Run) -> None:
    """Trains a student with labels.

    Args:
        config: As for a distillation.
        teacher: Whose tasks it learns.
        labels: As `write_labels` writes them.
        run: What is made.
    """
    plan, optim = part_of(compose(config), teacher), config.optim
    images = find_images(Path(str(config.data.path)))
    with launched(config) as fabric:
        run.write_plan(config, plan)
        torch.manual_seed(config.seed)
        models = assemble(config, plan, fabric.device, print)
        student = models.student
        learner = make_learner(student, teacher).to(fabric.device).train()
        optimizer = make_optimizer(learner, config)
        run.write_environment(config.seed, models.provenance)
        save_checkpoint(run.checkpoints, 0, student, optimizer, fabric.strategy.precision, 1)
        module, wrapped = fabric.setup(learner, optimizer)
        show = _views(config, plan, images, labels)
        steps = StepSampler(
            len(images), 1, optim.batch_size, 0, optim.steps, config.seed, config.data.views
        )
        print(f"on {fabric.device}: {len(images)} images with labels")
        begun = time.perf_counter()
        for step, items in enumerate(steps):
            set_learning_rate(wrapped, learning_rate(step, optim))
            canvases, owners, samples = zip(
                *(show(item.image, item.view) for item in items), strict=True
            )
            canvas = fabric.to_device(torch.stack(canvases)) / 255
            pixels = normalize(canvas, student.spec.input)
            truth = {"owners": torch.stack(owners).long(), "samples": samples}
            loss = module(pixels, partial(LOSSES[teacher], **truth))
            fabric.backward(loss)
            norm = fabric.clip_gradients(
                module, wrapped, max_norm=optim.clip, error_if_nonfinite=False
            )
            if norm is not None and norm.isfinite():  # a batch may have no object at all
                wrapped.step()
            wrapped.zero_grad()
            if (step + 1) % LOG_EVERY == 0 or step + 1 == optim.steps:
                rate = (step + 1) * optim.batch_size / (time.perf_counter() - begun)
                _log(run.path, step + 1, loss.item(), rate)
        student.eval()
        student.decoders[teacher].eval()
        write_bundle(student, run.bundle)


def _log(run: Path, step: int, loss: float, rate: float) -> None:
    entry = {"step": step, "loss": loss, "images_per_second": rate}
    print(entry, flush=True)
    with (run / "metrics.jsonl").open("a") as file:
        file.write(json.dumps(entry) + "\n")


def _views(config: RunConfig, plan: Composition, images: Images, labels: Path) -> Any:
    """From an image and a view to canvas and object numbers in 8 bits, and the labels' words."""
    samples, names, data = read_samples(images, labels), list(images), config.data

    @cache
    def show(image: int, view: int) -> tuple[Tensor, Tensor, Sample]:
        sample = samples[image]
        size = (sample.owners.shape[1], sample.owners.shape[2])
        box = sample_view(size, config.seed, names[image], view, data.smallest, data.whole)
        canvas, owners = cut(sample, box, plan.trunk.input, plan.image_size[0])
        return (canvas * 255).round().byte(), owners.byte(), sample

    return show


if __name__ == "__main__":
    main()
