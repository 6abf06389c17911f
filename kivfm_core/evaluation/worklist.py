"""Which teacher is measured at which task on which source, settled before anything is loaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.label_spaces import label_names
from kivfm_core.data.sources import KNN, Data, Source, find_data, load_data, parse_data
from kivfm_core.errors import DataError, UsageError
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.table import MEASURES, TASKS


@dataclass(frozen=True)
class Item:
    """A task of a teacher on a source."""

    task: str
    source: Source
    data: Data


@dataclass
class Plan:
    """What will be measured.

    Attributes:
        teachers: Each teacher's items.
        knn: k-NN's sources.
        pictures: Any pictures and where they come from, for teachers that solve no task.
        skipped: What cannot be measured, and why.
    """

    teachers: dict[str, list[Item]] = field(default_factory=dict[str, list[Item]])
    knn: list[tuple[Source, ClassData]] = field(default_factory=list[tuple[Source, ClassData]])
    pictures: tuple[Source, Data] | None = None
    skipped: list[str] = field(default_factory=list[str])


class Planner:
    """Finds every task's data in the sources, each read once.

    A task that was given its own source must find its data there; one that was not takes what the
    common sources hold for it.
    """

    def __init__(self, data: Sequence[str], tasks: Sequence[str] | None, limit: int | None):
        unknown = [task for task in tasks or () if task not in TASKS]
        if unknown:
            raise UsageError(f"unknown task {unknown[0]!r}", f"tasks: {', '.join(TASKS)}")
        if not data:
            raise UsageError("no data to evaluate on", "--data FOLDER, or --data TASK=FOLDER")
        self.sources, self.tasks, self.limit = parse_data(data), tasks or TASKS, limit
        self.known: dict[tuple[Source, str], Data | None] = {}

    def plan(self, specs: Sequence[TeacherSpec]) -> Plan:
        """Plans the measurement of teachers.

        Raises:
            DataError: If a task's own source does not fit it, or nothing can be measured.
        """
        plan = Plan()
        for spec in specs:
            items = plan.teachers[spec.name] = list[Item]()
            for task in spec.tasks:
                if task.task in self.tasks:
                    items += self._items(spec, task.task, plan)
        if KNN in self.tasks:
            for source, data in self._find(KNN):
                if isinstance(data, ClassData) and len(set(data.targets)) < len(data.targets):
                    plan.knn.append((source, data))
        found = [(item.source, item.data) for items in plan.teachers.values() for item in items]
        found += plan.knn
        if not found:
            sources = ", ".join(str(s) for group in self.sources.values() for s in group)
            reasons = "; ".join(dict.fromkeys(plan.skipped))
            raise DataError(f"nothing in {sources} can be evaluated: {reasons}",
                            "kivfm evaluate --help lists the formats")  # fmt: skip
        plan.pictures = found[0]
        return plan

    def _items(self, spec: TeacherSpec, task: str, plan: Plan) -> list[Item]:
        items: list[Item] = []
        space = label_names(spec.task(task).labels)
        for source, data in self._find(task):
            try:
                MEASURES[task].start(data, space)
            except DataError as error:
                if task in self.sources:
                    raise
                plan.skipped.append(f"{spec.name}, {task}, {source}: {error.message}")
            else:
                items.append(Item(task, source, data))
        if not items:
            plan.skipped.append(f"{spec.name}, {task}: no data for it")
        return items

    def _find(self, task: str) -> list[tuple[Source, Data]]:
        """Every source that has something for a task, with what it has."""
        own = task in self.sources
        found: list[tuple[Source, Data]] = []
        for source in self.sources.get(task, self.sources.get("", [])):
            if (source, task) not in self.known:
                data = load_data(source, task) if own else find_data(source, task)
                self.known[source, task] = data.take(self.limit) if data else None
            data = self.known[source, task]
            if data is not None:
                found.append((source, data))
        return found
