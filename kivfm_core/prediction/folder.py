"""Labels many images with a model: batch by batch, and on where an earlier call stopped.

What is kept for an image is its name. The saver's journal says which images are done.
"""

from __future__ import annotations

import time
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from kivfm_core.data.ahead import ahead
from kivfm_core.data.batches import Batch, batches
from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.formats.reading import ReadingNotes
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.data.members import open_at
from kivfm_core.data.named_images import NamedImages, find_named
from kivfm_core.data.remote.url import refuse_url
from kivfm_core.data.saving.journal import NAME
from kivfm_core.data.saving.record import SavedImage
from kivfm_core.data.saving.saver import Saver, check_name
from kivfm_core.data.saving.table import SAVERS, open_saver
from kivfm_core.errors import DataError, UsageError, printable
from kivfm_core.geometry import Frame
from kivfm_core.models.model import Model
from kivfm_core.prediction.draw import Drawing
from kivfm_core.prediction.everything import Scan, scan
from kivfm_core.prediction.labels import SavedClasses, save_everything
from kivfm_core.prediction.overwrite import DRAWINGS, remove_save
from kivfm_core.prediction.predict import find_solver
from kivfm_core.prediction.prompts import Given, gather, pointed
from kivfm_core.prediction.results import draw_everything
from kivfm_core.prediction.solver import Solver, to_original
from kivfm_core.prediction.wanted import Wanted, item
from kivfm_core.predictions import Predictions
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Progress, reporter
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.run import Run
from kivfm_core.task import TaskRecord
from kivfm_core.teacher import Teacher

# Of a batch; or all masks of one image.
Found = Predictions | Scan
# The kinds of files that drawings are written as; others become PNG.
_DRAWABLE = frozenset((".jpg", ".jpeg", ".png", ".webp", ".bmp"))


@dataclass(frozen=True)
class Labeled:
    """What was done with many images.

    Attributes:
        out: The folder of the labels.
        format: In which they were saved.
        images: How many were labeled by this call.
        before: How many were labeled before.
        broken: What is wrong with the others, a line each.
        notes: What the format could not hold, and which images changed after they were labeled, a
            line each.
        seconds: How long it took, without loading the model.
    """

    out: str
    format: str
    images: int
    before: int
    broken: tuple[str, ...]
    notes: tuple[str, ...]
    seconds: float

    @property
    def images_per_second(self) -> float | None:
        """How many images were labeled in a second; None if there were none."""
        return round(self.images / self.seconds, 2) if self.images and self.seconds else None

    def as_dict(self) -> dict[str, Any]:
        """All of it, ready for JSON."""
        return {"schema": 1, **vars(self), "images_per_second": self.images_per_second}


# As many parameters as the command has flags; most calls give four.
def predict_folder(
    model: str | Path | Run | Model | Teacher,
    images: str | Path | Sequence[str | Path],
    task: str,
    out: str | Path,
    *,
    save: str | None = None,
    draw: bool = False,
    overwrite: bool = False,
    teacher: str | None = None,
    prompt: Mapping[str, Any] | None = None,
    wanted: Wanted | None = None,
    accelerator: str = "auto",
    progress: Progress | None = None,
    team: Team = ONE_PROCESS,
) -> Labeled:
    """Solves a task for many images and saves the results as labels.

    Called again with the same arguments, it goes on where it was stopped. Images that cannot be
    decoded are counted and named.

    Args:
        model: A run, a bundle's folder, or a teacher's name, as `predict` takes it.
        images: A folder, a pattern such as `photos/**/*.jpg`, images; a tar; a URL.
        task: What to solve.
        out: Folder for the labels, and beside them the images that are files here.
        save: Format of the labels; by default the first that can hold them, such as `coco`.
        draw: Whether results are drawn, too, into the folder `drawings` of `out`.
        overwrite: Whether earlier labels in `out` are removed first.
        teacher: Which of a student's teachers to stand in for, where several solve the task.
        prompt: What the task has to be told, such as `{"labels": ["cat", "dog"]}`.
        wanted: What of the predictions is kept: threshold, classes, suppression.
        accelerator: Where the encoder computes, as in `engine.accelerator`.
        progress: Where to report; by default in a notebook, and nowhere else.
        team: Processes that share the images; each of them calls this.

    Raises:
        UsageError: If arguments do not fit each other, or those that `out` has labels of.
        DataError: If there is no image, or all of them are broken.
    """
    refuse_url(out, "labels are written to a disk", "-o labels")
    asked = gather(find_task(task), **(prompt or {}))
    solver = find_solver(model, asked, teacher, wanted or Wanted(), accelerator)
    kind, folder = _choose_format(solver.record, save), Path(out)
    classes = SavedClasses.choose(solver.names, solver.wanted)
    found = team.once(lambda: find_named(images, without=folder))
    if overwrite and team.is_first:
        remove_save(folder)
    with _open(kind, folder, classes, _about(solver, draw), team) as saver:
        return _Work(solver, classes, found, saver, draw).run(reporter(progress), kind)


def _choose_format(record: TaskRecord, save: str | None) -> str:
    if record.saved is None:
        raise UsageError(f"results of {record.name} are no labels", "predict one image at a time")
    fitting = [name for name, kind in SAVERS.items() if record.saved.part in kind.holds]
    if save is not None and save not in fitting:
        known = save in SAVERS
        why = f"{save} cannot hold what {record.name} gives" if known else f"no format {save!r}"
        raise UsageError(why, f"--save one of: {', '.join(fitting)}")
    return save or fitting[0]


def _about(solver: Solver, draw: bool) -> dict[str, Any]:
    """What has to be the same for labels to go on; named in the error if it is not."""
    wanted = solver.wanted
    return {
        "task": solver.record.name,
        "teacher": solver.spec.name,
        "model": _weights(solver.source),
        "threshold": wanted.threshold,
        "only": list(wanted.classes) if wanted.classes else None,
        "top": wanted.top if draw else None,
        "suppress": wanted.suppress,
        "prompt": _told(solver.asked),
        "draw": draw,
    }


def _told(asked: Given) -> dict[str, Any]:
    """What the task is told, as JSON can hold it."""
    pointed_at = asked.file.records if asked.file else asked.prompts
    prompts = [repr(prompt) for prompt in pointed_at]
    told = {"labels": asked.labels, "prompts": prompts, "everything": asked.everything}
    return {key: value for key, value in told.items() if value}


def _weights(model: Model | Teacher) -> str:
    """A hash of the weights; empty for a teacher that was loaded by the caller."""
    return model.sha256 if isinstance(model, Model) else ""


def _open(
    kind: str, out: Path, classes: SavedClasses, about: Mapping[str, Any], team: Team
) -> Saver:
    try:
        if about["draw"] and (out / DRAWINGS).exists() and not (out / NAME).exists():
            raise UsageError(
                f"{printable(out / DRAWINGS)} is there already", "give a folder without drawings"
            )
        return open_saver(kind, out, classes.names, about, team)
    except UsageError as error:
        if (out / NAME).exists() and "otherwise" in error.message:
            raise UsageError(error.message, "--overwrite, or another folder") from error
        raise


def _joined(parts: Sequence[tuple[Labeled, ReadingNotes]]) -> Labeled:
    """What several processes did together."""
    notes = ReadingNotes()
    for _, own in parts:
        notes.join(own)
    all_done = [done for done, _ in parts]
    broken = [line for done in all_done for line in done.broken]
    return replace(
        all_done[0],
        images=sum(done.images for done in all_done),
        before=sum(done.before for done in all_done),
        broken=tuple(sorted(broken)),
        notes=notes.lines(),
        seconds=max(done.seconds for done in all_done),
    )


@dataclass(frozen=True)
class _Work:
    solver: Solver
    classes: SavedClasses
    found: NamedImages
    saver: Saver
    draw: bool
    # What is wrong with images that could be decoded, a line each.
    refused: list[str] = field(default_factory=list[str])

    def run(self, progress: Progress, kind: str) -> Labeled:
        """Labels the images that are not done, several processes each its own."""
        names, saver = self.found.names, self.saver
        saver.reserve(names)
        share = saver.team.share(len(names))
        left = [index for index in share if names[index] not in saver.done]
        total, before = len(share), len(share) - len(left)
        for name in (names[index] for index in share):
            if saver.changed(name, self.found.path(name)):
                saver.notes.add("images that changed after they were labeled", name)
        reader = ImageReader(len(left), limit=len(left))
        began, done = time.monotonic(), 0

        def report(step: int) -> None:
            rate = done / max(time.monotonic() - began, 1e-9)
            progress.step({"step": step, "images_per_second": rate})

        saved = self.solver.record.saved
        if saved and saved.part == "masks" and SAVERS[kind].masks_note:
            progress.message(f"note: {SAVERS[kind].masks_note}")
        progress.start(total, before)
        for batch, predictions in ahead(self._predicted(left, reader)):
            for place, index in enumerate(batch.indices):
                try:
                    self._save(names[index], batch, predictions, place)
                    done += 1
                except DataError as error:  # a name, say, that the format cannot hold
                    self.refused.append(error.message)
            report(before + batch.read)
        report(total)
        made = Labeled(
            str(saver.folder), kind, done, before, (*reader.broken, *self.refused), (),
            round(time.monotonic() - began, 3),
        )  # fmt: skip
        whole = _joined(saver.team.gather((made, saver.notes)))
        if whole.broken and not whole.images and not whole.before:
            raise DataError(f"none of the {len(names)} images could be labeled: {whole.broken[0]}")
        return whole

    def _predicted(
        self, left: Sequence[int], reader: ImageReader
    ) -> Generator[tuple[Batch, Found]]:
        paths = [self.found.path(name) for name in self.found.names]
        for batch in batches(paths, self.solver.spec.input, reader=reader, only=left):
            if self.solver.asked.points_at or self.solver.asked.everything:
                yield from self._pointed(batch)
            else:
                yield batch, self.solver.solve(batch.images, batch.frames)

    def _pointed(self, batch: Batch) -> Generator[tuple[Batch, Found]]:
        """Image by image, since each has its own size, and may have its own prompts."""
        for place, index in enumerate(batch.indices):
            frame, canvas = batch.frames[place], batch.images[place : place + 1]
            one = replace(batch, indices=[index], images=canvas, frames=[frame])
            if self.solver.asked.everything:
                yield one, scan(self.solver, canvas, frame)
                continue
            try:
                given = self.solver.asked.of(self.found.names[index], frame.original)
            except UsageError as error:  # a click outside of it, or no prompt for it
                self.refused.append(f"{printable(self.found.names[index])}: {error.message}")
            else:
                yield one, self.solver.solve(canvas, [frame], given)

    def _save(self, name: str, batch: Batch, predictions: Found, place: int) -> None:
        frame, saved = batch.frames[place], self.solver.record.saved
        assert saved is not None
        if isinstance(predictions, Scan):  # in the image's pixels already
            found, parts = predictions, save_everything(predictions)
        else:
            (found,) = to_original(self.solver.record, item(predictions, place), [frame])
            parts = resolve_reference(saved.build)(found, self.classes)
        (height, width), source = frame.original, self.found.path(name)
        check_name(name)  # a stranger's, if it comes from a tar
        if self.draw:
            self._draw(name, found, frame)
        # What lies in a tar or at a URL stays there: it may be more than this disk holds.
        laid = source if source.is_file() else None
        self.saver.add(SavedImage(name, width, height, source=laid, **parts))

    def _draw(self, name: str, found: Any, frame: Frame) -> None:
        """Draws what was found on the image, which is decoded anew: kept, images would pile up."""
        solver = self.solver
        drawing = Drawing(to_tensor(open_at(self.found.path(name))), wanted=solver.wanted)
        if isinstance(found, Scan):
            draw_everything(drawing, found)
        else:
            points = pointed(solver.record, solver.asked.of(name, frame.original))
            resolve_reference(solver.record.draw)(drawing, found, solver.names, points)
        file = self.saver.folder / DRAWINGS / name
        suffix = file.suffix.lower() in _DRAWABLE
        drawing.save(file if suffix else file.with_name(f"{file.name}.png"))
