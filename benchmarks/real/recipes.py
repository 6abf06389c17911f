"""Recipes side by side on real teachers, with equal steps, data and trainable parameters.

    python -m benchmarks.real.recipes [--recipes kpu,c-radio,phi-s,sak] [--seeds 1] [--steps N]
                                      [--jobs N] [--set KEY=VALUE ...] [--assets DIR]

A ViT-Tiny (the base), a YOLOX-nano, a DeepLab on MobileNetV2 and a SqueezeNet; every view is fresh
unless `--set data.views=N` changes that. What was finished before is not run again; the results
are written after every job.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, commit, kivfm, machine
from benchmarks.jobs import run_once
from benchmarks.method.equal_parameters import Size, equal_size, trainable
from benchmarks.method.page import OURS
from benchmarks.real.commands import CLASSIFIER, TEACHERS, distilling, evaluating, parser
from benchmarks.real.recipe_table import make_row, markdown
from benchmarks.real.split import blocks, split
from kivfm_core.files import write_text
from kivfm_core.recipes.table import RECIPES

RESULTS = Path(__file__).parent / "results"
ALL = TEACHERS | CLASSIFIER
NAMES = ",".join(ALL)
# Canvases and views, as in the run `vit-tiny-muon` of the history.
SETS = (
    "data.image_size=320",
    "optim.batch_size=8",
    "data.teacher_size=513",
    "data.whole=0.5",
    "student.trunk_size=513",
    "checkpoint.keep=1",
)
# Of ours: the default width on a ViT-Tiny.
SIZE = Size(144, 192)


def main() -> None:
    """Runs what is not finished, and writes what came out."""
    os.chdir(ROOT)
    args = _arguments()
    where = machine() | {"jobs": args.jobs}  # before we make it busy
    jobs = plan_jobs(args)
    threads = max(1, where["cores"] // args.jobs)

    def call(words: list[str], log: Path) -> float:
        return kivfm(*words, log=log, threads=threads)

    done: dict[Path, dict[str, Any]] = {}
    failed: list[str] = []
    with ThreadPoolExecutor(args.jobs) as pool:
        begun = {pool.submit(run_once, run, jobs[run], call): run for run in jobs}
        for future in as_completed(begun):
            run, error = begun[future], future.exception()
            if error is not None:  # the others go on
                failed.append(f"{run.name}: {error}")
                continue
            done[run] = future.result()
            rows = [make_row(done[run]) for run in jobs if run in done]
            _write({"machine": where, "steps": args.steps, "rows": rows})
    if failed:
        raise SystemExit("\n".join(failed))


def plan_jobs(args: argparse.Namespace) -> dict[Path, list[list[str]]]:
    """Every run and its two commands, seed by seed.

    Args:
        args: Of the command line.
    """
    data = args.assets / "data"
    pool, held_out = split(data, Path("runs/real-data"))
    images = blocks(data, held_out, Path("runs/real-data/blocks"))
    sets = (*SETS, *args.set)
    budget = trainable(OURS, SIZE, NAMES, sets)
    sizes = {
        recipe: equal_size(recipe, budget, NAMES, sets, [SIZE.width]) for recipe in args.recipes
    }
    jobs: dict[Path, list[list[str]]] = {}
    for seed in range(args.seeds):
        for recipe, size in sizes.items():
            run = Path("runs/real-recipes") / f"{recipe}-seed{seed}"
            own = (*sets, f"student.width={size.width}", f"student.hidden={size.hidden}")
            flags = ["--recipe", recipe, "--seed", str(seed), "--steps", str(args.steps)]
            flags += [word for line in own for word in ("--set", line)]
            jobs[run] = [
                distilling(ALL, args.assets / "weights", pool, run, flags),
                evaluating(images, data, run, args.limit),
            ]
    return jobs


def _write(facts: dict[str, Any]) -> None:
    command = ["python", "-m", "benchmarks.real.recipes", *sys.argv[1:]]
    record = {"command": shlex.join(command), "commit": commit(), **facts}
    write_text(RESULTS / "recipes.json", json.dumps(record, indent=1) + "\n")
    page = markdown(record)
    write_text(RESULTS / "recipes.md", page)
    print(page, flush=True)


def _arguments() -> argparse.Namespace:
    known = parser("benchmarks.real.recipes", __doc__)
    known.add_argument("--recipes", type=lambda text: text.split(","), metavar="A,B",
                       default=["kpu", "c-radio", "phi-s", "sak"])  # fmt: skip
    known.add_argument("--seeds", type=int, default=1, help="so many, from 0")
    known.add_argument("--steps", type=int, default=1000)
    known.add_argument("--jobs", type=int, default=1, help="at a time, sharing the cores")
    known.add_argument("--set", action="append", default=[], metavar="K=V", help="for every run")
    args = known.parse_args()
    unknown = sorted({*args.recipes} - {*RECIPES})
    if unknown:
        known.error(f"no such recipe: {', '.join(unknown)}; there are {', '.join(RECIPES)}")
    return args


if __name__ == "__main__":
    main()
