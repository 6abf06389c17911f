"""Heads in one process: a network runs once an image, for heads of all seeds, whatever they read.

They are trained by the code of `kivfm head`, on the features that it would keep.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from benchmarks.heads.heads import NAME, Job, row
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.head import plan_head
from kivfm_core.evaluation.bootstrap import resample
from kivfm_core.evaluation.seeds import Drawn
from kivfm_core.geometry import Frame
from kivfm_core.head_training.examples import Examples, Validation
from kivfm_core.head_training.labels import class_names, load_labels
from kivfm_core.head_training.make import extended
from kivfm_core.head_training.settings import HeadSettings
from kivfm_core.head_training.start import find_start
from kivfm_core.head_training.train import Learner, Origin, Trainer
from kivfm_core.heads.head import Target
from kivfm_core.heads.table import HEADS
from kivfm_core.models.open import open_model
from kivfm_core.progress import reporter
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.teacher import Decoders


class Kept:
    """What a frozen network gives for a job's images, and heads on it.

    Args:
        run: A run; its student is the network.
        job: The task, the labels and the steps.
        base_alone: Takes the base of the student alone.
        canvas: Side of the heads' canvases in pixels; None: as `kivfm head` takes them.
    """

    def __init__(
        self, run: Path, job: Job, base_alone: bool = False, canvas: int | None = None
    ) -> None:
        self.job, self.canvas = job, canvas
        opened = open_model(str(run), "cpu")
        self.start = find_start(opened, base_alone)
        self.origin = Origin(opened.name, opened.sha256, base_alone)
        self.train, self.val = (load_labels(one, job.task) for one in (job.train, job.val))
        self.classes = class_names(self.train, job.train, job.task)
        plan = self._plan(None)
        self.model = extended(self.start.load(), plan, 0).stand_in(plan.teachers[-1].name)
        self.examples = self._examples(0)
        self.examples.keep()
        self.validation = Validation(self.model, self.val, keep=True)
        for _ in self.validation():
            pass

    def _plan(self, reads: Sequence[str] | None) -> Composition:
        kind = HEADS[self.job.kind]
        plan = plan_head(self.start.plan, NAME, kind, self.classes, "none", reads)
        if self.canvas is None:
            return plan
        sizes = {"size": self.canvas, "train_sizes": (self.canvas,)}
        spec = plan.teachers[-1]
        smaller = spec.model_copy(update={"input": spec.input.model_copy(update=sizes)})
        return plan.model_copy(update={"teachers": (*plan.teachers[:-1], smaller)})

    def _examples(self, seed: int) -> Examples:
        find = resolve_reference(HEADS[self.job.kind].target)

        def target(index: int, frame: Frame) -> Target:
            return find(self.train, index, frame, self.classes)

        return Examples(self.model, self.train, target, 16, seed, augmented=False)

    def score(self, name: str, seed: int, out: Path, reads: Sequence[str] | None = None) -> Drawn:
        """Trains a head, and scores it once, after its last step: none is chosen by its score.

        Args:
            name: What its row is called.
            seed: Of its start and of the order of images.
            out: Where a killed try goes on.
            reads: The features that it reads; None: all.

        Returns:
            Its score, with the draws of that.
        """
        job = self.job
        examples = self._examples(seed)
        examples.kept, examples.usable = self.examples.kept, self.examples.usable
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            head = Decoders(self._plan(reads).teachers[-1]).part(job.task).requires_grad_(True)
        settings = HeadSettings(
            task=job.task, kind=job.kind, name=NAME, data=job.train, val=job.val, seed=seed,
            steps=job.steps, every=job.steps, reads=None if reads is None else tuple(reads),
        )  # fmt: skip
        learner = Learner(head, examples)
        Trainer(learner, lambda: 0.0, settings, out, self.origin).run(reporter(None))
        learner.eval()
        meter = resolve_reference(find_task(job.task).meter)(self.val, self.classes)
        with torch.no_grad():
            for seen in self.validation():
                meter.update(head(seen.levels), seen.indices, seen.levels.frames)
        value = float(meter.compute())
        print(f"{name}: {job.task} {value:.3f}", flush=True)
        images = range(len(self.val.paths))
        return row(name, job, value, len(images)), resample([meter], images, len(images))[0]
