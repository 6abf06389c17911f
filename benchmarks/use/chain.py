"""A student of a student: what it keeps of the tasks that the first student kept.

    python -m benchmarks.use.chain [--seeds 3] [--steps 1300] [--dir runs/chain]

The first student is the demo's. The second learns from the first and from the general teacher,
with the same images and settings, and never meets the other teachers. Both are measured on the
same held-out images, with the same decoders. Runs that are done are not made again.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import NANO, kivfm, machine, spread, table, write_results
from benchmarks.jobs import run_once

SETTINGS = "--batch-size 8 --image-size 96 --set data.views=1 --set student.width=192".split()
TRAIN, VAL = 1500, 300


def main() -> int:
    """Trains the chains, measures them, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.use.chain", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=1300)
    parser.add_argument("--dir", type=Path, default=Path("runs/chain"))
    args = parser.parse_args()
    data = args.dir / "data"
    if not data.is_dir():
        kivfm("scenes", str(data), "--train", str(TRAIN), "--val", str(VAL), "--seed", "0")
    chains = [_chain(args.dir, data, seed, args.steps) for seed in range(args.seeds)]
    record = {"machine": machine(), "steps": args.steps, "chains": chains}
    print(write_results("use.chain", record, page))
    return 0


def _chain(folder: Path, data: Path, seed: int, steps: int) -> dict[str, Any]:
    """Scores of the teachers, the first student and the second, by teacher and task."""
    first, second = folder / f"first-{seed}", folder / f"second-{seed}"
    found: list[dict[str, Any]] = []
    for run, teachers in ((first, NANO), (second, f"dino/nano,{first}")):
        words = ["distill", "--teachers", teachers, "--data", str(data / "train/images")]
        words += [*SETTINGS, "--steps", str(steps), "--seed", str(seed), "--out", str(run)]
        commands = [words, ["evaluate", str(run), "--data", str(data / "val")]]
        found.append(run_once(run, commands, lambda words, log: kivfm(*words, log=log)))
    return {"seed": seed, "first": _rows(found[0]), "second": _rows(found[1])}


def _rows(record: Mapping[str, Any]) -> list[dict[str, Any]]:
    return record["evaluation"]["rows"]


def page(record: Mapping[str, Any]) -> list[str]:
    """Scores by task, means of seeds."""
    chains: Sequence[Mapping[str, Any]] = record["chains"]
    rows: list[list[str]] = []
    for task in dict.fromkeys(row["task"] for row in chains[0]["second"]):
        firsts = [_of(chain["first"], task) for chain in chains]
        seconds = [_of(chain["second"], task) for chain in chains]
        kept = [
            b["student_score"] / a["student_score"] for a, b in zip(firsts, seconds, strict=True)
        ]
        columns = (
            (firsts, "teacher_score"),
            (firsts, "student_score"),
            (seconds, "teacher_score"),
            (seconds, "student_score"),
        )
        scores = [[row[who] for row in part] for part, who in columns]
        rows.append([task, *map(spread, scores), spread(kept)])
    return [
        "# A student of a student",
        "",
        f"The first student learns from five nano teachers, the second from the first; "
        f"{record['steps']} steps each, {VAL} held-out images. As a "
        "teacher, and so to the second, the first sees images on one canvas for all tasks, as fine "
        "as the finest of its teachers'. "
        + (f"Mean and standard deviation of {len(chains)} seeds." if chains[1:] else "One seed."),
        "",
        *table(
            "task | teacher | first student | the first as a teacher | second student | "
            "the second keeps of the first",
            rows,
        ),
        "",
    ]


def _of(rows: Sequence[Mapping[str, Any]], task: str) -> Mapping[str, Any]:
    return next(row for row in rows if row["task"] == task)


if __name__ == "__main__":
    sys.exit(main())
