"""The proof: every recipe, with equal steps, data and trainable parameters.

    python -m benchmarks.method recipes [--seeds 3] [--steps N] [--recipes a,b] [--jobs 2] ...
    python -m benchmarks.method ablation [--seeds 3] [--steps N] [--jobs 2] ...

Two tiers. `screen`: every recipe at every learning rate and weight decay of the grid, one seed, few
steps; each recipe's best is chosen by its mean retention on validation pictures. `confirm`: these,
with several seeds, on test pictures and on a domain that nobody saw. What was finished before is
not run again; the results are written after every seed. `ablation` changes one thing of ours at
a time (`ablation.py`), at the first learning rate and weight decay of the grid.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, commit, kivfm, machine
from benchmarks.method.ablation import ablations
from benchmarks.method.budget import WIDTHS, Size, equal_size, trainable
from benchmarks.method.data import BLOCKS, write_pictures
from benchmarks.method.jobs import Job, distilling, run_job
from benchmarks.method.page import OURS, markdown, ranked
from benchmarks.method.plot import plot
from benchmarks.method.rows import make_row
from kivfm_core.config import StudentConfig
from kivfm_core.recipes import RECIPES

RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Screens, confirms, and writes what came out."""
    args = _arguments()
    os.chdir(ROOT)
    where = machine()  # before we make it busy
    root = Path("runs/method")
    pictures = write_pictures(root / "data")
    pictures = replace(pictures, test=pictures.test[: args.blocks])
    budget = trainable(OURS, Size(WIDTHS[0], StudentConfig().hidden))
    sizes = {recipe: equal_size(recipe, budget) for recipe in args.recipes}
    threads = max(1, where["cores"] // args.jobs)

    def run(jobs: Sequence[Job]) -> list[dict[str, Any]]:
        kivfm("cache", "build", *distilling(pictures, root, jobs[0].seed))
        with ThreadPoolExecutor(args.jobs) as pool:
            records = pool.map(lambda job: run_job(job, pictures, root, threads), jobs)
            return [make_row(record, pictures) for record in records]

    def write(rows: list[dict[str, Any]]) -> None:
        record = {
            "suite": args.suite,
            "command": shlex.join(["python", "-m", "benchmarks.method", *sys.argv[1:]]),
            "commit": commit(),
            "machine": where | {"jobs": args.jobs},
            "hours": round(sum(row["seconds"] for row in rows) / 3600, 2),
            "rows": rows,
        }
        _write(record)

    if args.suite == "ablation":
        rows: list[dict[str, Any]] = []
        for seed in range(args.seeds):
            plain = Job("confirm", OURS, seed, args.lr[0], args.weight_decay[0], args.steps,
                        sizes[OURS], None)  # fmt: skip
            rows += run(list(ablations(plain, pictures.pool, root)))
            write(rows)
        return

    screened = run(
        [
            Job("screen", recipe, 0, lr, decay, args.screen_steps, sizes[recipe], args.limit)
            for recipe in args.recipes
            for lr in args.lr
            for decay in args.weight_decay
        ]
    )
    best = {
        recipe: max(
            (row for row in screened if row["recipe"] == recipe),
            key=lambda row: row["retention_mean"],
        )
        for recipe in args.recipes
    }
    ranking = sorted(args.recipes, key=lambda recipe: -best[recipe]["retention_mean"])
    rivals = [recipe for recipe in ranking if recipe != OURS][: args.rivals]
    rows = list(screened)
    for seed in range(args.seeds):
        rows += run(
            [
                Job("confirm", recipe, seed, row["lr"], row["weight_decay"], args.steps,
                    sizes[recipe], None)
                for recipe, row in best.items()
                if recipe in (OURS, *rivals)
            ]
        )  # fmt: skip
        write(rows)


def _write(record: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{record['suite']}.json"
    file.write_text(json.dumps(record, indent=1) + "\n")
    plot(ranked(record["rows"]), file.with_suffix(".svg"))
    page = markdown(record)
    file.with_suffix(".md").write_text(page)
    print(page)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.method",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("suite", choices=["recipes", "ablation"])
    parser.add_argument("--recipes", type=_words, default=list(RECIPES), metavar="A,B")
    parser.add_argument("--seeds", type=int, default=3, help="of the confirming tier")
    parser.add_argument("--steps", type=int, default=1300, help="of the confirming tier")
    parser.add_argument("--rivals", type=int, help="the best so many are confirmed; all")
    parser.add_argument("--screen-steps", type=int, default=400)
    parser.add_argument("--lr", type=_numbers, default=[1e-3, 2e-3], metavar="X,Y")
    parser.add_argument("--weight-decay", type=_numbers, default=[0.02], metavar="X,Y")
    parser.add_argument("--limit", type=int, default=60, help="validation pictures a task")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of test pictures, at most")
    parser.add_argument("--jobs", type=int, default=1, help="at a time, sharing the cores")
    args = parser.parse_args()
    unknown = sorted({*args.recipes} - {*RECIPES})
    if unknown:
        parser.error(f"no such recipe: {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    return args


def _words(text: str) -> list[str]:
    return text.split(",")


def _numbers(text: str) -> list[float]:
    return [float(word) for word in text.split(",")]


if __name__ == "__main__":
    main()
