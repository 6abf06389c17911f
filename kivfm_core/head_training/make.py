"""From a student and labels to a run whose student has one more decoder."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from shlex import quote
from typing import Any

import torch

from kivfm_core.composition.composition import Composition
from kivfm_core.composition.head import plan_head
from kivfm_core.errors import DataError, UsageError
from kivfm_core.files import new_folder
from kivfm_core.geometry import Frame
from kivfm_core.head_training.examples import Examples, Validation, fits
from kivfm_core.head_training.labels import balance, class_names, load_labels
from kivfm_core.head_training.settings import HeadSettings
from kivfm_core.head_training.start import Start, find_start
from kivfm_core.head_training.train import Learner, Trained, Trainer
from kivfm_core.head_training.unfreeze import Changes, Unfrozen
from kivfm_core.heads.head import Head, Target
from kivfm_core.heads.table import HEADS, HeadKind
from kivfm_core.heads.targets import count_classes
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.progress import Progress, reporter, stage
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.derived import check_is_free, config_for, held, write_derived
from kivfm_core.runs.heads import copy_records, write_record
from kivfm_core.runs.run import Run
from kivfm_core.student.student import Student
from kivfm_core.task import LabeledImages
from kivfm_core.teacher import Decoders, Teacher

# In the new run's folder until the head is trained: where a killed try goes on.
UNFINISHED = "head-training"


@dataclass(frozen=True)
class HeadResult:
    """A head that was trained.

    Attributes:
        run: The new run's folder.
        head: `head/NAME`, its name among the student's teachers.
        metric: What its score is called.
        score: The best score on the validation's images.
        best_step: After how many steps it was reached.
        steps: Steps made.
        images: How many images it learned from.
        classes: The names of its classes.
        notes: What a reader should know of the labels, a line each.
        changes: How far each level of each stand-in moved, by teacher and level, if the student
            was trained, too: root mean squares over those before, on the validation's images.
    """

    run: Path
    head: str
    metric: str
    score: float
    best_step: int
    steps: int
    images: int
    classes: tuple[str, ...]
    notes: tuple[str, ...]
    changes: Changes = field(default_factory=dict[str, dict[str, float]])


def train_head(
    model: str | Path | Run | Model,
    settings: HeadSettings,
    out: str | Path,
    *,
    base_alone: bool = False,
    weights: str | Path | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> HeadResult:
    """Trains a decoder on a student's own features, and writes a run whose student has it, too.

    The student stays as it is, unless the settings unfreeze it. On a teacher, the student is that
    teacher as it is. The same call goes on where an earlier one was stopped.

    Args:
        model: A finished run, or a teacher by its name; it stays as it is.
        settings: What to train, on which labels, and how.
        out: The new run's folder.
        base_alone: Takes the base of the run's student, as it was, on canvases as large.
        weights: A file for a teacher's weights, as `NAME=FILE` or `FILE`.
        accelerator: Where the student computes; the head computes on the CPU.
        progress: Where to report; by default in a notebook, and nowhere else.

    Raises:
        UsageError: If the kind does not solve the task, the student has a head of this name, no
            head or no such training suits it, or another process is writing to one of the two.
        DataError: If the labels cannot be used.
    """
    kind = find_kind(settings.task, settings.kind)
    opened = open_model(model, accelerator, weights)
    start, path, report = find_start(opened, base_alone), Path(out), reporter(progress)
    check_is_free(path, UNFINISHED)
    again = f"the same command, with --out {quote(str(path))}"
    with start.hold(again):
        train = load_labels(settings.data, settings.task, settings.limit)
        val = load_labels(settings.val, settings.task)
        classes = class_names(train, settings.data, settings.task)
        unfreeze, reads = settings.unfreeze, settings.reads
        plan = plan_head(start.plan, settings.name, kind, classes, unfreeze, reads)
        student = extended(start.load(), plan, settings.seed)
        with held(path, again, UNFINISHED):
            reader = opened.there(student.stand_in(plan.teachers[-1].name))
            made = _Work(reader, kind, train, val, classes, settings, report)
            trained, changes = made.train(path / UNFINISHED)
            _write(start, path, student, _record(made, trained, changes))
    return HeadResult(
        path, plan.teachers[-1].name, made.record.metric, trained.best, trained.best_step,
        trained.step, len(made.examples.usable), classes, tuple(made.notes), changes,
    )  # fmt: skip


def find_kind(task: str, kind: str) -> HeadKind:
    """The kind of this name.

    Raises:
        UsageError: If there is none, or it does not solve the task.
    """
    solving = [name for name, own in HEADS.items() if own.task == find_task(task).name]
    if not solving:
        able = ", ".join(dict.fromkeys(own.task for own in HEADS.values()))
        raise UsageError(f"no kind of head solves {task}", f"heads solve: {able}")
    if kind not in solving:
        raise UsageError(f"no head of the kind {kind!r} solves {task}", f"--kind {solving[0]}")
    return HEADS[kind]


def default_kind(task: str) -> str:
    """The first kind that solves a task.

    Raises:
        UsageError: If there is none.
    """
    found = next((name for name, kind in HEADS.items() if kind.task == task), "")
    return find_kind(task, found).name


def extended(whole: Student, plan: Composition, seed: int) -> Student:
    """A student with one more head, whose weights are random.

    Args:
        whole: The student without it.
        plan: The plan with it, as the last of the teachers.
        seed: Of its weights.
    """
    student = Student(plan)
    student.take_over(whole)
    spec = plan.teachers[-1]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        student.decoders[spec.name] = Decoders(spec).eval()
    return student.requires_grad_(False).eval()


class _Work:
    """A head, what it learns from, and what it is validated on."""

    # Seven things that a caller has at hand.
    def __init__(
        self,
        model: Teacher,
        kind: HeadKind,
        train: LabeledImages,
        val: LabeledImages,
        classes: tuple[str, ...],
        settings: HeadSettings,
        report: Progress,
    ) -> None:
        self.model, self.settings, self.classes, self.report = model, settings, classes, report
        self.record, self.val = find_task(settings.task), val
        self.notes = [f"{settings.data}: {n}" for n in train.notes]
        self.notes += [f"{settings.val}: {n}" for n in val.notes if n not in train.notes]
        find = resolve_reference(kind.target)

        def target(index: int, frame: Frame) -> Target:
            return find(train, index, frame, classes)

        # Features are kept only where they stay the same.
        self.keep = settings.unfreeze == "none" and fits(
            model, len(train.paths) + len(val.paths), kind.target_bytes
        )
        self.examples = Examples(
            model, train, target, settings.batch_size, settings.seed, settings.augment
        )
        self.validation = Validation(model, val, self.keep)
        # Labels of which no class is known are refused before anything is computed.
        self._meter()

    def _meter(self) -> Any:
        return resolve_reference(self.record.meter)(self.val, self.classes)

    def train(self, folder: Path) -> tuple[Trained, Changes]:
        """Trains the head; a try that was stopped goes on from the folder."""
        if self.keep and not self.settings.augment:
            self.examples.keep(stage(self.report, f"{self.settings.name}: features"))
            self._say_balance()
        if len(self.examples.usable) < 2:
            raise DataError(f"{self.settings.data} has fewer than two images", "give more")
        learner = self._learner()
        trainer = Trainer(learner, self.score, self.settings, folder)
        trained = trainer.run(self.report)
        learner.requires_grad_(False).eval()
        if not isinstance(learner, Unfrozen):
            return trained, {}
        what = stage(self.report, f"{self.settings.name}: what moved")
        return trained, learner.changes(self.val.paths, what)

    def _learner(self) -> Learner:
        """The head, and what of its student is trained with it."""
        stand_in: Any = getattr(self.model, "model", self.model)  # it may be on a device
        head: Head = stand_in.decoders.part(self.settings.task).requires_grad_(True)
        part, keep = self.settings.unfreeze, self.settings.keep
        if part == "none":
            return Learner(head, self.examples)
        if not keep:
            self.notes.append("nothing held the stand-ins where they were (--keep 0)")
        return Unfrozen(head, self.examples, stand_in.student, part, keep)

    def score(self) -> float:
        """The head's score on the validation's images, by the task's own meter."""
        meter = self._meter()
        for seen in self.validation():
            found = self.model.decode(self.settings.task, seen.levels)
            meter.update(found, seen.indices, seen.levels.frames)
        return float(meter.compute())

    def _say_balance(self) -> None:
        images = f"{len(self.examples.usable)} images"
        if not self.classes:
            self.report.message(images)
            return
        counts = torch.zeros(len(self.classes), dtype=torch.long)
        for _, target, _ in self.examples.kept.values():
            counts += count_classes(target, len(self.classes))
        what = {"classification": "images", "semantic-segmentation": "pixels"}
        line = balance(counts, self.classes, what.get(self.settings.task, "objects"))
        self.notes.append(line)
        self.report.message(f"{images}, {line}")


def _record(made: _Work, trained: Trained, changes: Changes) -> dict[str, Any]:
    return {
        "schema": 1,
        "settings": {**made.settings.model_dump(mode="json"), "lr": made.settings.rate},
        "classes": list(made.classes),
        "images": len(made.examples.usable),
        "metric": made.record.metric,
        "score": trained.best,
        "best_step": trained.best_step,
        "steps": trained.step,
        "scores": [[step, score] for step, score in trained.scores.items()],
        "notes": made.notes,
        "changes": changes,
    }


def _write(start: Start, path: Path, student: Student, record: dict[str, Any]) -> None:
    """Writes the new run in the place of what was there to go on from."""
    plan = student.composition
    before = extended(start.load(untrained=True), plan, record["settings"]["seed"])
    with new_folder(path) as aside:
        config = config_for(plan, start.config, start.files)
        facts = start.environment(plan)
        new = write_derived(aside, path, (before, student), config, facts, start.data)
        if start.run is not None:
            copy_records(start.run, new, plan)
        write_record(new, plan.teachers[-1].name, record)
