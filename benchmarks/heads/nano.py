"""Heads on few labeled scenes beside the decoders that a nano student inherits.

    python -m benchmarks.heads.nano --run RUN [--counts 25,50,100,200,400,800] [--seeds 0,1,2]

RUN is a student of nano teachers, as `python -m benchmarks.nano` makes it. Heads are trained on the
student and on its base alone, from scenes of a seed that nothing else uses. They are scored on the
demo's held-out scenes, like the decoders that the student inherits, which learn from no label here.
Smaller sets of scenes are the beginnings of larger ones. Intervals are over images and seeds; each
draw has the same images for all.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, kivfm, machine, table, write_results
from benchmarks.heads.heads import Job, as_cells, numbers, score
from benchmarks.heads.kept import Kept
from kivfm_core.evaluation.seeds import average
from kivfm_core.heads.table import HEADS

# Whose decoder a student inherits for a task, and the kind of head that is trained for it.
TASKS = {
    "semantic-segmentation": ("segmenter/nano", "fpn"),
    "detection": ("detector/nano", "fcos"),
}
INHERITED = "the inherited decoder, no label"
DEMO = Path("runs/demo-data")
# Of the scenes that heads learn from: another one than the demo's.
SEED = 1000


def main() -> None:
    """Trains, scores, and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.heads.nano", description=__doc__)
    parser.add_argument("--run", type=Path, required=True, help="a student of nano teachers")
    parser.add_argument("--counts", type=numbers, default="25,50,100,200,400,800")
    parser.add_argument("--seeds", type=numbers, default="0,1,2")
    parser.add_argument("--steps", type=int, default=500)
    parser.add_argument("--out", type=Path, default=Path("runs/heads-nano"), help="for the heads")
    args = parser.parse_args()
    os.chdir(ROOT)
    kivfm("scenes", str(DEMO), "--train", "1500", "--val", "150", "--seed", "0")
    for count in args.counts:  # scenes go through the styles, so even spreading would miss some
        more = ("--train", "0", "--val", str(count), "--seed", str(SEED))
        kivfm("scenes", str(_labeled(args.out, count)), *more)
    found = [_measure(args, task) for task, (_, kind) in TASKS.items() if kind in HEADS]
    facts = {"machine": machine(), "run": str(args.run), "seeds": args.seeds, "steps": args.steps}
    print(write_results("heads.nano", {**facts, "tasks": found}, page))


def _labeled(out: Path, count: int) -> Path:
    return out / f"labeled-{count}"


def _measure(args: Any, task: str) -> dict[str, Any]:
    """The inherited decoder, and heads on more and more labels; differences are to the former."""
    teacher, kind = TASKS[task]
    val = str(DEMO / "val")
    drawn = [score(args.run, Job(task, kind, val, val, args.steps), teacher, INHERITED)]
    for base_alone in (False, True):
        whose = "its base alone" if base_alone else "the student"
        for count in args.counts:
            job = Job(task, kind, str(_labeled(args.out, count) / "val"), val, args.steps)
            kept = Kept(args.run, job, base_alone)
            for seed in args.seeds:
                out = args.out / f"{task}-{'base' if base_alone else 'student'}-{count}-{seed}"
                drawn.append(kept.score(f"{whose}, {count} labels/{seed}", seed, out))
    rows = average(drawn, {one.model: one.model.partition("/")[0] for one, _ in drawn})
    return {
        "task": task,
        "kind": kind,
        "metric": rows[0].metric,
        "rows": [one.model_dump(mode="json") for one in rows],
        "catches_up": caught_up(rows, args.counts),
    }


def caught_up(rows: Sequence[Any], counts: Sequence[int]) -> int | None:
    """The least number of labels with which a head on the student is no worse than the decoder.

    Args:
        rows: Averages, by their groups.
        counts: Numbers of labels.
    """
    scores = {one.group: one.score for one in rows}
    enough = (n for n in counts if scores[f"the student, {n} labels"] >= scores[INHERITED])
    return next(enough, None)


def page(record: Mapping[str, Any]) -> list[str]:
    """A table a task, as lines."""
    lines = [
        "# Heads on few labels, nano",
        "",
        f"Heads on frozen features of `{record['run']}` and of its base alone, {record['steps']}"
        f" steps, {len(record['seeds'])} seeds, on 150 held-out scenes. ± is the deviation between"
        " seeds; intervals are 95 %, about images and seeds.",
        "",
    ]
    for task in record["tasks"]:
        head = f"{task['task']}, `{task['kind']}` | {task['metric']} | less the decoder | beyond"
        lines += table(head, [as_cells(one) for one in task["rows"]])
        number = task["catches_up"]
        said = f"with {number} labels" if number else "with none of these numbers of labels"
        lines += ["", f"A head on the student catches up with the decoder {said}.", ""]
    return lines


if __name__ == "__main__":
    main()
