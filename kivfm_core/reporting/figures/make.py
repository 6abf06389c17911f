"""Runs a student and its teachers on some images, for the figures of a page."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kivfm_core.data.batches import batches
from kivfm_core.data.unlabeled import find_images
from kivfm_core.errors import KivfmError, UsageError, printable
from kivfm_core.models.model import Model
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.progress import Progress, Silent, stage
from kivfm_core.reporting.figures.compared import Images, compare
from kivfm_core.reporting.figures.encode import encode
from kivfm_core.reporting.figures.features import feature_rows, spread
from kivfm_core.reporting.figures.neighbors import neighbor_rows
from kivfm_core.reporting.figures.seen import Seen, start
from kivfm_core.reporting.gallery import Comparison, Gallery
from kivfm_core.runs.run import Run
from kivfm_core.spec import TeacherSpec

# Networks are run on so many images, unless a user says otherwise.
IMAGES = 32
STUDENT = "student"


# Six parameters beside the model, as the command has flags.
def make_gallery(
    model: str | Path | Run | Model,
    data: str | Path,
    *,
    limit: int = IMAGES,
    labels: Sequence[str] = (),
    accelerator: str = "auto",
    progress: Progress | None = None,
) -> Gallery:
    """Makes the figures of a page: teachers and stand-ins, features, nearest images.

    Teachers whose weights are not on this machine are left out; nothing is fetched.

    Args:
        model: A run or a bundle.
        data: Images without labels: a folder, or a tar.
        limit: At most so many of them, evenly spaced.
        labels: The classes of zero-shot.
        accelerator: Where encoders compute, as in `engine.accelerator`.
        progress: Where to report; nowhere by default.

    Raises:
        UsageError: If the model is a teacher alone.
        DataError: If there are no images, or most cannot be decoded.
    """
    began, opened = time.monotonic(), open_model(model, accelerator)
    if not isinstance(opened, StudentModel):
        raise UsageError(f"{printable(opened.name)} is a teacher", "give a run, or a bundle")
    images, available = _images(Path(data).expanduser(), limit, tuple(labels))
    work = _Work(opened, images, progress or Silent())
    for spec in sorted(opened.specs, key=lambda spec: spec.name != opened.base):
        work.take(spec)
    networks = [*work.networks, work.student()]
    neighbors, common = neighbor_rows(networks, images)
    gallery = Gallery(
        data=str(data),
        images=len(images.paths),
        available=available,
        compared=work.compared,
        features=feature_rows(networks, images),
        neighbors=neighbors,
        common=common,
        notes=work.notes,
        seconds=round(time.monotonic() - began, 1),
    )
    encode([*gallery.figures()])
    return gallery


def _images(path: Path, limit: int, labels: tuple[str, ...]) -> tuple[Images, int]:
    """Some of the images, and how many there are."""
    found = find_images(path)
    names = [found[index] for index in spread(range(len(found)), limit)]
    return Images(tuple(found.folder / name for name in names), tuple(names), labels), len(found)


@dataclass
class _Work:
    """Networks run one after another, and what came out so far."""

    model: StudentModel
    images: Images
    progress: Progress
    networks: list[Seen] = field(default_factory=list[Seen])
    compared: list[Comparison] = field(default_factory=list[Comparison])
    notes: list[str] = field(default_factory=list[str])

    def take(self, spec: TeacherSpec) -> None:
        """Runs a teacher and its stand-in, or notes why it is left out."""
        model, name = self.model, spec.name
        if why := model.why_absent(spec):
            self.notes.append(f"{name} is left out: {why}.")
            return
        seen = start(f"{name} (base)" if name == model.base else name, spec)
        tick = stage(self.progress, f"{name} beside its stand-in")
        try:
            teacher = model.teacher(name)
            assert teacher is not None  # its weights are here
            found = compare(teacher, model.solver(name), self.images, seen, tick, self.notes)
        except KivfmError as error:
            self.notes.append(f"{name} is left out: {printable(error.message)}.")
        else:
            self.networks.append(seen)
            self.compared += found

    def student(self) -> Seen:
        """Runs the student for features of its own."""
        model, encoder = self.model, self.model.encoder
        seen = Seen(STUDENT, model.global_level, model.dense_level)
        tick = stage(self.progress, "the student's features")
        for batch in batches(self.images.paths, encoder.spec.input, tick):
            seen.add(batch.indices, encoder.encode(batch.images, batch.frames))
        return seen
