"""Text against pixels: how well words find their places, by the student and by its teachers.

    python -m benchmarks.joint.words RUN --data LABELED [--beside RUN] [--limit N]

RUN is of a recipe with a shared head, and has a teacher of words. A word's score at a place is read
from what is shared: as the student predicts it, as all teachers agree on it, and as each teacher's
dense levels alone give it, the teacher of words' own among them. `--beside` adds another run's
student: its stand-in for the teacher of words in that teacher's place. LABELED has masks.

For every image and every class that it shows: the average precision of the class's pixels, and
whether the best pixel is one of them. Intervals are of draws of images, the same for all.
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, cast

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.metrics import average_precision_score
from torch import Tensor

from benchmarks.common import machine, table, write_results
from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.shared_map import along
from kivfm_core.composition.words import word_source, word_specs
from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.evaluation.bootstrap import differences, draw_means, interval
from kivfm_core.evaluation.worklist import list_work
from kivfm_core.geometry import Frame
from kivfm_core.layers.resample import resample
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import RunModel
from kivfm_core.predictions import maps_to_original
from kivfm_core.tasks.meters.open_vocabulary import OpenVocabulary
from kivfm_core.teacher import Teacher

STUDENT, AGREED, CHANCE = "the student", "all teachers, where they agree", "chance"
MEASURES = ("average precision", "pointing")


class Readings:
    """What is shared in an image, as each of several gives it.

    Args:
        run: With a shared head.
        beside: Another run, whose student is measured in the place of the teacher of words.
    """

    def __init__(self, run: RunModel, beside: RunModel | None) -> None:
        (self.spec,) = word_specs(run.composition)
        self.student, self.words = run.student, run.solver(self.spec.name)
        plan = run.composition
        self.teachers = {spec.name: run.teacher(spec.name) for spec in plan.teachers}
        self.dense = [a for a in plan.aligners if a.level.kind == "dense"]
        self.source, _ = word_source(self.spec)
        self.beside = beside.solver(self.source) if beside else None

    def __call__(self, pixels: Tensor) -> tuple[dict[str, Tensor], Frame]:
        """Shared coordinates `[K, h, w]` on the student's canvas, by whose they are."""
        canvas, frames = make_canvases([pixels], self.words.spec.input)
        (own,) = self.words.encode(canvas, frames).values()
        grid = (own.shape[-2], own.shape[-1])
        found = {STUDENT: own}
        by_teacher = defaultdict[str, list[Tensor]](list)
        for name, teacher in self.teachers.items():
            by_teacher[name] += self._parts(name, teacher, pixels, frames, grid)
        every = [z for parts in by_teacher.values() for z in parts]
        head = self.student.shared_head
        assert head is not None
        found[AGREED] = head.agreed(every)
        found |= {name: _sum(parts) for name, parts in by_teacher.items()}
        if self.beside is not None:
            parts = [*self._parts(self.source, self.beside, pixels, frames, grid)]
            found[f"the other run's student as {self.source}"] = _sum(parts)
        return {name: z[0] for name, z in found.items()}, frames[0]

    def _parts(
        self, name: str, who: Teacher, pixels: Tensor, frames: list[Frame], grid: tuple[int, int]
    ) -> Iterator[Tensor]:
        """What each dense level says, on the student's canvas; `who` gives them."""
        canvas, own = make_canvases([pixels], who.spec.input)
        levels = who.encode(canvas, own)
        for plan in self.dense:
            if plan.teacher == name:
                aligner = cast(JointAligner, self.student.aligner(name, plan.level.name))
                z = aligner.shared_map.shared(aligner.to_latent(levels[plan.level.name]))
                yield resample(z, own, frames, grid)


def _sum(parts: Sequence[Tensor]) -> Tensor:
    return torch.stack([*parts]).sum(0)


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint.words", description=__doc__)
    parser.add_argument("run")
    parser.add_argument("--data", required=True)
    parser.add_argument("--beside")
    parser.add_argument("--limit", type=int)
    args = parser.parse_args()
    runs = [cast(RunModel, open_model(r, "cpu")) for r in (args.run, args.beside) if r]
    readings = Readings(runs[0], runs[1] if args.beside else None)
    work = list_work([readings.spec], [args.data], None, args.limit)
    data = work.teachers[readings.spec.name][0].data
    meter = OpenVocabulary(cast(Any, data), None)
    with torch.no_grad():
        found = _measure(readings, meter)
    rows = [_row(name, parts, found[STUDENT]) for name, parts in found.items()]
    facts = {"runs": [_about(run) for run in runs], "images": len(data.paths), "rows": rows}
    print(write_results("joint.words", {"machine": machine(), **facts}, page))


def _about(model: RunModel) -> str:
    assert model.run is not None
    config = model.run.config
    return f"{config.recipe}, {config.optim.steps} steps of {config.optim.batch_size} views"


def _measure(readings: Readings, meter: OpenVocabulary) -> dict[str, NDArray[np.float64]]:
    """`[N, 3]` by whose reading it is: sums over the classes of each image, and their number."""
    prompt = meter.prompt(readings.words, (), ())
    found = defaultdict[str, list[NDArray[np.float64]]](list)
    for index, path in enumerate(meter.data.paths):
        zs, frame = readings(to_tensor(open_image(path)))
        target = meter.data.semantic(index, meter.space)
        classes = [int(c) for c in np.unique(target) if c > 0]
        areas = [float((target == c).mean()) for c in classes]
        found[CHANCE].append(np.array([sum(areas), sum(areas), len(classes)]))
        for name, z in zs.items():
            scores = maps_to_original(along(z[None], prompt)[0], frame).flatten(1).numpy()
            each = [_one(target.ravel() == c, scores[c - 1]) for c in classes]
            found[name].append(np.array([*np.sum(each, 0), len(classes)]) if each else np.zeros(3))
    return {name: np.stack(rows) for name, rows in found.items()}


def _one(shown: NDArray[np.bool_], scores: NDArray[np.float32]) -> tuple[float, float]:
    return float(average_precision_score(shown, scores)), float(shown[scores.argmax()])


def _row(name: str, parts: NDArray[np.float64], student: NDArray[np.float64]) -> dict[str, Any]:
    """Means with intervals, and how far the student is ahead."""
    row: dict[str, Any] = {"by": name}
    for place, measure in enumerate(MEASURES):
        draws, theirs = (draw_means(x[:, place], x[:, 2]) for x in (parts, student))
        value, best = (float(x[:, place].sum() / x[:, 2].sum()) for x in (parts, student))
        row[measure] = {
            "value": value,
            "interval": interval(draws, value),
            "student ahead": best - value,
            "ahead interval": interval(differences(theirs, draws), best - value, (-1.0, 1.0)),
        }
    return row


def page(record: Mapping[str, Any]) -> list[str]:
    """The table, with what it means."""
    columns = " | ".join(f"{measure} | the student is ahead by" for measure in MEASURES)
    rows = [[row["by"], *(cell for m in MEASURES for cell in _cells(row[m]))]
            for row in record["rows"]]  # fmt: skip
    other = f", the other run's of {record['runs'][1]}" if record["runs"][1:] else ""
    return [
        "# Text against pixels",
        "",
        f"The student is of {record['runs'][0]}{other}. {record['images']} labeled images; "
        "the mean over the classes of every image. Brackets: 95 % intervals, of draws of images.",
        "",
        *table(f"by | {columns}", rows),
        "",
    ]


def _cells(found: Mapping[str, Any]) -> Sequence[str]:
    def shown(value: float, ends: Sequence[float]) -> str:
        return f"{value:.3f} [{ends[0]:.3f}, {ends[1]:.3f}]"

    return (
        shown(found["value"], found["interval"]),
        shown(found["student ahead"], found["ahead interval"]),
    )


if __name__ == "__main__":
    main()
