"""The proof: every recipe, with equal steps, data and trainable parameters.

    python -m benchmarks.method recipes [--seeds 3] [--steps N] [--recipes a,b] [--jobs 2] ...
    python -m benchmarks.method labels [--seeds 3] [--steps N] [--jobs 2] ...
    python -m benchmarks.method ablation [--seeds 3] [--steps N] [--jobs 2] ...
    python -m benchmarks.method joint [--seeds 3] [--steps N] [--share N] ...
    python -m benchmarks.method joint-parts [--seeds 3] [--steps N] [--share N] ...
    python -m benchmarks.method teachers [--seeds 3] [--steps N] [--jobs 2] ...

Two tiers. `screen`: every recipe at every learning rate and weight decay of the grid, one seed, few
steps; then, since few steps like large learning rates, every learning rate at full length, with the
weight decay that was its best, and with every bound of global levels' rate. Each recipe's best is
chosen by its mean retention on validation images. `confirm`: these, with several seeds, on test
images and on a domain that no network was trained on.
What was finished before is not run again; the results are written after every seed. `labels` does
the same with ours and with students that are trained on labels (`labels.py`), chosen after few
steps. `ablation` changes one thing of ours at a time
(`ablation.py`), `joint` compares the recipes with a shared space with others, `joint-parts` changes
one thing of that space (`joint.py`), `teachers` how many there are (`teacher_counts.py`), at the
first learning rate and weight decay of the grid.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, Literal

from benchmarks.common import ROOT, commit, machine
from benchmarks.method.ablation import ablations
from benchmarks.method.data import BLOCKS, take, write_images
from benchmarks.method.equal_parameters import WIDTHS, Size, equal_size, trainable
from benchmarks.method.extra_teachers import provide_extra_teachers
from benchmarks.method.job_rows import make_row
from benchmarks.method.jobs import Job, Place, is_finished, run_job
from benchmarks.method.joint import joint_parts, joint_recipes
from benchmarks.method.labels import SHARES, TEACHERS, labeled
from benchmarks.method.labels_page import labels_markdown, labels_plot
from benchmarks.method.page import OURS, Row, markdown, ranked
from benchmarks.method.plot import plot
from benchmarks.method.pool_labels import write_labels
from benchmarks.method.teacher_counts import teacher_counts
from benchmarks.method.workers import LABELS, call, know_all, make_workers
from kivfm_core.config import StudentConfig
from kivfm_core.recipes.table import RECIPES

SUITES = ("recipes", "labels", "ablation", "joint", "joint-parts", "teachers")
PLAINEST = "mse"
RESULTS = Path(__file__).parent / "results"


def main() -> None:
    """Screens, confirms, and writes what came out."""
    args = _arguments()
    os.chdir(ROOT)
    where = machine()  # before we make it busy
    root = Path("runs/method")
    images = write_images(root / "data")
    images = replace(images, test=images.test[: args.blocks])
    place = Place(images, root, tuple(args.sets))
    if args.suite == "labels":
        write_labels(images.pool, place.labels)
    if args.suite == "teachers":
        provide_extra_teachers(root / "extra-teachers")
    threads = int(os.environ.get("OMP_NUM_THREADS", max(1, where["cores"] // args.jobs)))
    rows: list[Row] = []
    with make_workers(args.jobs, threads) as pool:
        for tier in _tiers(args, place, rows):
            # Jobs one after the other: the first of a seed fills the cache, with what it needs.
            # Labels need no teacher outputs.
            together = args.jobs > 1 and any(job.recipe != LABELS for job in tier)
            if together and not all(is_finished(job, place) for job in tier):
                _cache(pool, place, tier)
            rows += [make_row(r, images) for r in pool.map(partial(run_job, place=place), tier)]
            if tier[0].tier == "screen":
                continue
            _write(
                {
                    "suite": args.suite,
                    "command": shlex.join(["python", "-m", "benchmarks.method", *sys.argv[1:]]),
                    "commit": commit(),
                    "machine": where | {"jobs": args.jobs},
                    "hours": round(sum(row["seconds"] for row in rows) / 3600, 2),
                    "rows": rows,
                }
            )


def _cache(pool: Executor, place: Place, tier: Sequence[Job]) -> None:
    """Caches the outputs of a tier's teachers for all images and jobs; they have one seed."""
    names = dict.fromkeys(name for job in tier for name in job.teachers.split(","))
    words = ["cache", "build", *place.distilling(tier[0].seed, ",".join(names), tier[0].pool)]
    pool.submit(call, words, place.root / "cache.log").result()


def _tiers(args: argparse.Namespace, place: Place, rows: Sequence[Row]) -> Iterator[list[Job]]:
    """Jobs that can run at a time; `rows` has those of earlier tiers when the next begins."""
    if args.suite in ("joint", "joint-parts"):
        know_all()  # to size them
        jobs = joint_recipes if args.suite == "joint" else joint_parts
        for seed in range(args.seeds):
            plain = _job(args, "confirm", OURS, seed)
            if args.share > 1:
                pool = str(take(place.images.pool, place.root, args.share))
                plain = replace(plain, pool=pool, share=args.share)
            yield list(jobs(plain, _size))
        return
    if args.suite in ("ablation", "teachers"):
        for seed in range(args.seeds):
            plain = _job(args, "confirm", OURS, seed)
            parts = ablations(plain, place.images.pool, place.root)
            yield list(teacher_counts(plain) if args.suite == "teachers" else parts)
        return
    labels = args.suite == "labels"
    recipes = [OURS] if labels else args.recipes
    grid = [(lr, decay) for lr in args.lr for decay in args.weight_decay]
    screened = [
        job
        for lr, decay in grid
        for recipe in recipes
        for job in _students(_job(args, "screen", recipe, 0, lr, decay), labels, place, (1,))
    ]
    yield screened
    if not labels and len(args.lr) > 1:
        finalists = _best(rows, "recipe", "lr")
        long = argparse.Namespace(**{**vars(args), "screen_steps": args.steps, "limit": None})
        yield [
            _job(long, "screen", row["recipe"], 0, row["lr"], row["weight_decay"], bound)
            for row in finalists
            for bound in (None, *args.global_level_lr)
        ]
    chosen = _best(rows[len(screened) :] or rows, "recipe", "teachers")
    if not labels:
        rivals = [row for row in chosen if row["recipe"] != OURS][: args.rivals]
        chosen = [row for row in chosen if row["recipe"] == OURS or row in rivals]
    for seed in range(args.seeds):
        yield [
            job
            for row in chosen
            for plain in [_job(args, "confirm", OURS if labels else row["recipe"], seed, row["lr"],
                               row["weight_decay"], row["global_level_lr"])]
            for job in _students(plain, labels, place, SHARES)
            if (job.recipe, job.teachers) == (row["recipe"], row["teachers"])
        ]  # fmt: skip


def _best(rows: Sequence[Row], *keys: str) -> list[Row]:
    """The row of the highest mean retention for each value of some keys, the highest first."""
    best: dict[tuple[Any, ...], Row] = {}
    for row in sorted(rows, key=lambda row: row["retention_mean"] or 0.0):
        best[tuple(row[key] for key in keys)] = row
    return sorted(best.values(), key=lambda row: -(row["retention_mean"] or 0.0))


def _students(plain: Job, labels: bool, place: Place, shares: Sequence[int]) -> Iterator[Job]:
    """The distilled one, and those with labels beside it if that is what is compared."""
    yield plain
    for teacher in TEACHERS if labels else ():
        yield from labeled(plain, teacher, place.images.pool, place.root, shares)


def _job(
    args: argparse.Namespace, tier: Literal["screen", "confirm"], recipe: str, seed: int,
    lr: float | None = None, decay: float | None = None, bound: float | None = None,
) -> Job:  # fmt: skip
    screen = tier == "screen"
    return Job(
        tier, recipe, seed, lr or args.lr[0],
        args.weight_decay[0] if decay is None else decay,
        args.screen_steps if screen else args.steps, _size(recipe),
        args.limit if screen else None, global_level_lr=bound,
    )  # fmt: skip


@cache
def _size(recipe: str) -> Size:
    """At which a recipe has as many trainable parameters as the plainest at the default size."""
    own = Size(WIDTHS[0], StudentConfig().hidden)
    return own if recipe == PLAINEST else equal_size(recipe, trainable(PLAINEST, own))


def _write(record: dict[str, Any]) -> None:
    RESULTS.mkdir(exist_ok=True)
    file = RESULTS / f"{record['suite']}.json"
    file.write_text(json.dumps(record, indent=1) + "\n")
    if record["suite"] == "labels":
        labels_plot(record["rows"], file.with_suffix(".svg"))
        page = labels_markdown(record)
    else:
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
    parser.add_argument("suite", choices=SUITES)
    parser.add_argument("--recipes", type=_words, default=list(RECIPES), metavar="A,B")
    parser.add_argument("--seeds", type=int, default=3, help="of the confirming tier")
    parser.add_argument("--steps", type=int, default=800, help="of the confirming tier")
    parser.add_argument("--rivals", type=int, help="the best so many are confirmed; all")
    parser.add_argument("--screen-steps", type=int, default=200)
    parser.add_argument("--lr", type=_numbers, default=[4e-3], metavar="X,Y")
    parser.add_argument("--weight-decay", type=_numbers, default=[0.02], metavar="X,Y")
    parser.add_argument("--global-level-lr", type=_numbers, default=[], metavar="X,Y",
                        help="at full length, beside the default")  # fmt: skip
    parser.add_argument("--limit", type=int, default=60, help="validation images a task")
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of test images, at most")
    parser.add_argument("--share", type=int, default=1, metavar="N",
                        help="`joint` and its parts distill on one of N images")  # fmt: skip
    parser.add_argument("--jobs", type=int, default=1, help="at a time, sharing the cores")
    parser.add_argument("--set", action="append", dest="sets", default=[], metavar="KEY=VALUE",
                        help="for every distillation, such as engine.accelerator=cuda")  # fmt: skip
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
