"""Which teacher is measured at which task on which source, settled before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.images import upright_size
from kivfm_core.data.label_spaces import label_names
from kivfm_core.data.sources import Source, find_data, load_data, parse_data
from kivfm_core.errors import DataError, UsageError, did_you_mean, printable
from kivfm_core.evaluation.measure import MeterKind
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task, get_tasks
from kivfm_core.spec import TeacherSpec
from kivfm_core.task import LabeledImages, Measured
from kivfm_core.tasks.table import KNN


@dataclass(frozen=True)
class Item:
    """A task of a teacher on a source.

    Attributes:
        task: Its name.
        metric: What its score is called.
        source: Where the data comes from.
        data: What the source holds for the task.
        limit: At most so many of its images were taken; None if all were.
        agreement: Whether the data is what the teacher predicts itself.
        meter: What measures it; None for the task's own meter.
    """

    task: str
    metric: str
    source: Source
    data: LabeledImages
    limit: int | None = None
    agreement: bool = False
    meter: MeterKind | None = None

    @property
    def key(self) -> str:
        """Tells it from others on the same images."""
        return self.task if self.meter is None else f"{self.task} ({self.metric})"


@dataclass
class Worklist:
    """What will be measured.

    Attributes:
        teachers: Each teacher's items.
        knn: k-NN's items; their data is `ClassData`.
        images: Any item, whose images are for teachers that solve no task.
        skipped: What cannot be measured, and why.
        notes: What was repaired or passed over when labels were read, a line each.
    """

    teachers: dict[str, list[Item]] = field(default_factory=dict[str, list[Item]])
    knn: list[Item] = field(default_factory=list[Item])
    images: Item | None = None
    skipped: list[str] = field(default_factory=list[str])
    notes: list[str] = field(default_factory=list[str])

    def note(self, line: str) -> None:
        """Adds a note, unless it is there."""
        if line not in self.notes:
            self.notes.append(line)


def list_work(
    specs: Sequence[TeacherSpec],
    data: Sequence[str],
    tasks: Sequence[str] | None = None,
    limit: int | None = None,
) -> Worklist:
    """Finds what teachers can be measured on.

    Args:
        specs: The teachers.
        data: `[TASK=][FORMAT:]PATH`, as a user gives them.
        tasks: Only these; all that there are by default.
        limit: At most so many images of each source.

    Raises:
        UsageError: If a task is unknown, or no data is given.
        DataError: If a task's own source does not fit it, or nothing can be measured.
    """
    finder, work, refused = _Finder(data, tasks, limit), Worklist(), dict[str, DataError]()
    for spec in specs:
        items = work.teachers[spec.name] = list[Item]()
        for task in spec.tasks:
            if task.task in finder.tasks:
                items += _items(spec, task.task, finder, work, refused)
    measured = {item.task for items in work.teachers.values() for item in items}
    # A source of a task's own fits some of those that solve it: a head has classes of its own.
    for task, error in refused.items():
        if task in finder.sources and task not in measured:
            raise error
    if KNN.name in finder.tasks:
        for item in finder.find(KNN):
            data_of = item.data
            if isinstance(data_of, ClassData) and len(set(data_of.targets)) < len(data_of.targets):
                work.knn.append(item)
    found = [item for items in work.teachers.values() for item in items] + work.knn
    if not found:
        sources = ", ".join(str(s) for group in finder.sources.values() for s in group)
        nobody = f"{', '.join(spec.name for spec in specs)}: not for {', '.join(finder.tasks)}"
        reasons = "; ".join(dict.fromkeys(work.skipped)) or nobody
        raise DataError(
            f"nothing in {sources} can be evaluated: {reasons}",
            "kivfm evaluate --help lists the formats",
        )
    work.images, work.notes = found[0], list(finder.notes)
    return work


def _items(
    spec: TeacherSpec, name: str, finder: _Finder, work: Worklist, why: dict[str, DataError]
) -> list[Item]:
    """The items of one task of a teacher; what it cannot be measured on is noted as skipped."""
    items, refused = list[Item](), len(work.skipped)
    task, classes = find_task(name), label_names(spec.task(name).labels)
    for item in finder.find(task):
        try:
            # A meter refuses data whose classes are none of the teacher's.
            resolve_reference(task.meter)(item.data, classes)
        except DataError as error:
            why.setdefault(name, error)
            work.skipped.append(f"{spec.name}, {name}, {item.source}: {error.message}")
        else:
            items.append(item)
    if not items and len(work.skipped) == refused:
        work.skipped.append(f"{spec.name}, {name}: no data for it")
    return items


class _Finder:
    """Finds every task's data in the sources, each read once.

    A task that was given its own source must find its data there; one that was not takes what the
    common sources hold for it.
    """

    def __init__(self, data: Sequence[str], tasks: Sequence[str] | None, limit: int | None):
        known: dict[str, Measured] = {**get_tasks(), KNN.name: KNN}
        unknown = [task for task in tasks or () if task not in known]
        if unknown:
            hint = did_you_mean(unknown[0], known, f"tasks: {', '.join(known)}")
            raise UsageError(f"unknown task {unknown[0]!r}", hint)
        if not data:
            raise UsageError("no data to evaluate on", "--data FOLDER, or --data TASK=FOLDER")
        self.sources, self.tasks, self.limit = parse_data(data, known), tasks or known, limit
        self.read: dict[tuple[Source, str], Item | None] = {}
        self.checked = set[tuple[Source, type[LabeledImages]]]()
        # As keys: the tasks of one source read the same labels, and each note is for a reader once.
        self.notes: dict[str, None] = {}

    def find(self, task: Measured) -> list[Item]:
        """Every source that has something for a task, with what it has."""
        own = task.name in self.sources
        found: list[Item] = []
        for source in self.sources.get(task.name, self.sources.get("", [])):
            key = source, task.name
            if key not in self.read:
                data = load_data(source, task) if own else find_data(source, task)
                self.read[key] = self._taken(task, source, data) if data else None
                self.notes |= {f"{source}: {note}": None for note in (data.notes if data else ())}
            item = self.read[key]
            if item is not None:
                found.append(item)
        return found

    def _taken(self, task: Measured, source: Source, data: LabeledImages) -> Item:
        # A limit that leaves no image out is none.
        cuts = self.limit is not None and self.limit < len(data.paths)
        limit = self.limit if cuts else None
        taken = data.take(limit)
        key = source, type(data)
        if key not in self.checked:  # a source is the same images for all tasks of its format
            _check_sizes(taken)
            self.checked.add(key)
        return Item(task.name, task.metric, source, taken, limit)


def _check_sizes(data: LabeledImages) -> None:
    """Refuses labels for images of another size, before any model runs; decodes nothing."""
    for index, path in enumerate(data.paths):
        size = data.size(index)
        if size is None:
            continue
        try:
            width, height = upright_size(path)
        except DataError:
            continue  # it is counted when it cannot be decoded
        if (height, width) != size:
            raise DataError(
                f"{printable(path)} is {width} x {height} pixels (upright, as viewers show it),"
                f" its labels are for {size[1]} x {size[0]}",
                "correct width and height in the label file",
            )
