"""A fifth teacher for a finished student of four, with a space that teachers share and without.

    python -m benchmarks.joint.added [--teacher segmenter/nano] [--seeds 3] [--steps 800]
                                     [--dir runs/joint-added]

For each recipe and seed, a student of the other nano teachers is distilled, then `--from` it one of
all five, with as many steps. Both are measured on the same held-out images. Recipes have their own
numbers of parameters, which are listed. Runs that are done are not made again.
"""

from __future__ import annotations

import argparse
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.common import NANO, kivfm, machine, spread, table, write_results
from benchmarks.jobs import run_once
from benchmarks.use.chain import SETTINGS, TRAIN, VAL
from kivfm_core.composition.composition import read_composition

RECIPES = ("kpu", "kpu-joint")
BASE, *PURPOSE = NANO.split(",")


def main() -> None:
    """Trains the pairs, measures them, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.joint.added", description=__doc__)
    parser.add_argument("--teacher", default="segmenter/nano", choices=PURPOSE)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=800)
    parser.add_argument("--dir", type=Path, default=Path("runs/joint-added"))
    args = parser.parse_args()
    data = args.dir / "data"
    if not data.is_dir():
        kivfm("scenes", str(data), "--train", str(TRAIN), "--val", str(VAL), "--seed", "0")
    rows = [_pair(args, data, recipe, seed) for seed in range(args.seeds) for recipe in RECIPES]
    facts = {"teacher": args.teacher, "steps": args.steps, "rows": rows}
    print(write_results("joint.added", {"machine": machine(), **facts}, page))


def _pair(args: argparse.Namespace, data: Path, recipe: str, seed: int) -> dict[str, Any]:
    """A student before and after it is given the teacher."""
    first, second = (args.dir / f"{recipe}-{seed}{end}" for end in ("", "-added"))
    others = [name for name in PURPOSE if name != args.teacher]
    length = ["--steps", str(args.steps), "--seed", str(seed)]
    distill = {
        first: ["--teachers", ",".join([BASE, *others]), "--recipe", recipe, *SETTINGS,
                "--data", str(data / "train/images")],
        second: ["--from", str(first), "--add-teacher", args.teacher],
    }  # fmt: skip
    before, after = (
        run_once(
            run,
            [["distill", *words, *length, "--out", str(run)],
             ["evaluate", str(run), "--data", str(data / "val")]],
            lambda words, log: kivfm(*words, log=log),
        )
        for run, words in distill.items()
    )  # fmt: skip
    return {
        "recipe": recipe,
        "seed": seed,
        "parameters": before["trainable"],
        "added": after["trainable"] - before["trainable"],
        "adapter": sum(plan.parameters for plan in read_composition(second).extensions),
        "retention": kept(after["evaluation"]["rows"], [args.teacher]),
        "others_before": kept(before["evaluation"]["rows"], others),
        "others_after": kept(after["evaluation"]["rows"], others),
        "seconds": after["train_seconds"],
    }


def kept(rows: Iterable[Mapping[str, Any]], teachers: Collection[str]) -> float:
    """The mean retention of some teachers, each the mean of its tasks."""
    by_teacher: dict[str, list[float]] = {}
    for row in rows:
        if row["teacher"] in teachers and row["retention"] is not None:
            by_teacher.setdefault(row["teacher"], []).append(row["retention"])
    return fmean(map(fmean, by_teacher.values()))


def page(record: Mapping[str, Any]) -> list[str]:
    """The table: means of seeds."""
    rows: dict[str, list[Mapping[str, Any]]] = {recipe: [] for recipe in RECIPES}
    for row in record["rows"]:
        rows[row["recipe"]].append(row)
    cells = [
        [recipe, *(f"{own[0][name]:,}" for name in ("parameters", "added", "adapter")),
         *(spread([row[name] for row in own])
           for name in ("retention", "others_before", "others_after")),
         f"{fmean(row['seconds'] for row in own):.0f}"]
        for recipe, own in rows.items()
    ]  # fmt: skip
    pairs = zip(*(rows[recipe] for recipe in RECIPES), strict=True)
    ahead = [shared["retention"] - plain["retention"] for plain, shared in pairs]
    return [
        f"# {record['teacher']} for a finished student of four",
        "",
        f"{record['steps']} steps before and as many after, {VAL} held-out images. Retention is "
        "the mean over purpose teachers, each the mean of its tasks"
        + (f"; mean and deviation of {len(ahead)} seeds." if ahead[1:] else "; one seed."),
        "",
        *table(
            "recipe | trainable before | added | of these, side adapter | retention of the added "
            "| of the others before | after | training of the added, s",
            cells,
        ),
        "",
        f"Of the added teacher {RECIPES[1]} keeps, less what {RECIPES[0]} keeps, seed by seed: "
        f"{spread(ahead)}.",
        "",
    ]


if __name__ == "__main__":
    main()
