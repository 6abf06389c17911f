"""A teacher and what stands in for it, measured side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import inf
from typing import Any

from kivfm_core.data.batches import Tick
from kivfm_core.errors import DataError
from kivfm_core.evaluation.bootstrap import Draws, Interval, differences, interval, shares
from kivfm_core.evaluation.fidelity import measure_fidelity
from kivfm_core.evaluation.measure import Entry, Other, Score
from kivfm_core.evaluation.result import Row, at_chance, gain, retention
from kivfm_core.evaluation.worklist import Item, Worklist
from kivfm_core.models.model import Role
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.progress import Progress, stage
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.table import FIDELITY, FIDELITY_METRIC
from kivfm_core.teacher import Teacher


@dataclass(frozen=True)
class Comparison:
    """The models that are measured at a teacher's tasks.

    Attributes:
        rivals: By role; the teacher is the first if it is there.
        is_base: Whether the teacher is the student's base.
        work: Where to note what cannot be measured, and what is strange in the labels.
        progress: Where to report.
        shared: The stand-in, on the canvas that all stand-ins share; None if that is not measured.
        team: Processes that share the images.
    """

    rivals: Mapping[Role, Teacher]
    is_base: bool
    work: Worklist
    progress: Progress
    shared: Teacher | None = None
    team: Team = ONE_PROCESS

    @property
    def spec(self) -> TeacherSpec:
        """The teacher's, which its stand-ins have, too."""
        return next(iter(self.rivals.values())).spec

    def entry(self, items: Sequence[Item]) -> Entry:
        """What is measured of items on the same images."""
        data = {item.key: item.data for item in items}
        other = {item.key: Other(item.task, item.meter) for item in items if item.meter}
        return Entry([*self.rivals.values()], data, other, {})

    def rows(
        self,
        items: Sequence[Item],
        entry: Entry,
        scores: Mapping[str, Score],
        shared: Mapping[str, Score],
    ) -> list[Row]:
        """A row an item that has something to count; of the others it is noted why.

        Args:
            items: On the same images.
            entry: What was measured of them.
            scores: By the items' keys.
            shared: The same on the shared canvas; empty if that was not measured.
        """
        rows: list[Row] = []
        for item in items:
            if item.key in scores:
                row = self._row(item, scores[item.key])
                rows.append(row.model_copy(update=self._shared(shared.get(item.key))))
            elif entry.empty:
                self._skip(item, entry.empty[item.key])
        return rows

    def _shared(self, score: Score | None) -> dict[str, Any]:
        """What a row says of the shared canvas."""
        if self.shared is None or score is None:
            return {}
        return {
            "shared_score": score.values[0],
            "shared_canvas": self.shared.spec.input.size,
            "shared_interval": interval(score.draws[0], score.values[0]),
        }

    def measure_fidelity(self, images: Item) -> Row:
        """The row of a teacher that solves no task."""
        # The latent's share of a level is no fidelity of a student.
        models = [model for role, model in self.rivals.items() if role != "bound"]
        score = measure_fidelity(models, images.data, self.tick(FIDELITY))
        return self._row(replace(images, task=FIDELITY, metric=FIDELITY_METRIC), score)

    def _skip(self, item: Item, error: DataError) -> None:
        self.work.skipped.append(f"{self.spec.name}, {item.task}, {item.source}: {error.message}")

    def tick(self, what: str) -> Tick:
        """Where to report how far something of this teacher is."""
        return stage(self.progress, self.told(what))

    def told(self, what: str) -> str:
        """What is done for this teacher, for a reader."""
        return f"{self.spec.name}: {what}"

    def _row(self, item: Item, score: Score) -> Row:
        # Fidelity has no value of the last role, the bound.
        values: dict[str, float] = dict(zip(self.rivals, score.values, strict=False))
        teacher, before, after = map(values.get, ("teacher", "untrained", "student"))
        drawn: dict[str, Draws | None] = dict(zip(self.rivals, score.draws, strict=False))
        ends: dict[str, Any] = {
            role: interval(draws, values[role]) for role, draws in drawn.items()
        }
        none = teacher is not None and at_chance(teacher, score.chance, ends.get("teacher"))
        kept = gained = None
        # By its own predictions a teacher scores 1: the student's score is the share.
        if teacher is not None and after is not None and not none and not item.agreement:
            kept = retention(teacher, after)
            gained = gain(teacher, before, after) if before is not None else None
        # Of a part of the images, what does not occur says nothing of the labels.
        for note in score.notes if item.limit is None else ():
            self.work.note(f"{item.source}: {note}")
        return Row(
            teacher=self.spec.name,
            task=item.task,
            metric=item.metric,
            data=str(item.source),
            limit=item.limit,
            pictures=score.images,
            bad=score.bad,
            objects=score.objects,
            teacher_score=teacher,
            base_score=teacher if self.is_base else None,
            untrained_score=before,
            student_score=after,
            bound_score=values.get("bound"),
            base=self.is_base,
            chance_score=score.chance.score if score.chance else None,
            at_chance=none,
            agreement=item.agreement,
            retention=kept,
            gain=gained,
            retention_interval=_kept(drawn, kept),
            gain_interval=_gained(drawn, gained),
            **{f"{role}_interval": own for role, own in ends.items()},
        )


# Of these two the scores of a draw are paired: all models saw the same images.


def _kept(drawn: Mapping[str, Draws | None], kept: float | None) -> Interval | None:
    """The interval of retention."""
    draws = shares(drawn.get("student"), drawn.get("teacher"))
    return interval(draws, kept, (0.0, inf)) if kept is not None else None


def _gained(drawn: Mapping[str, Draws | None], gained: float | None) -> Interval | None:
    """The interval of gain."""
    teacher, before, after = map(drawn.get, ("teacher", "untrained", "student"))
    draws = shares(differences(after, before), differences(teacher, before))
    return interval(draws, gained, (-inf, inf)) if gained is not None else None
