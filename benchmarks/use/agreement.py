"""Whether agreement, which needs no labels, goes up and down with retention, which needs them.

    python -m benchmarks.use.agreement [--steps 15 45 135] [--seeds 3] [--images 40]

Nano students of several lengths and seeds are distilled on the demo's scenes. Each is measured
twice on held-out images: by labels, and on other images by what its teachers predict. Over the
runs, a task's agreement is correlated with its score by labels; intervals draw runs anew. Runs that
were measured before are not distilled again. Decoders and data are the same for all runs, so
correlations with retention and with the student's score are the same.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.stats import rankdata

from benchmarks.common import NANO, machine, spread, table, write_results
from kivfm_core.config import build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.evaluation.agreement.agree import evaluate_agreement
from kivfm_core.evaluation.evaluate import evaluate
from kivfm_core.evaluation.result import Evaluation, Row
from kivfm_core.scenes.write import write_scenes

DRAWS = 2000
TASKS = (
    "zero-shot",
    "promptable-segmentation",
    "detection",
    "instance-segmentation",
    "semantic-segmentation",
)
Values = NDArray[np.float64]


def main() -> int:
    """Distills, measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.use.agreement", description=__doc__)
    parser.add_argument("--steps", type=int, nargs="+", default=[15, 45, 135])
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=40, help="labeled, and as many without")
    parser.add_argument("--train", type=int, default=120)
    parser.add_argument("--out", type=Path, default=Path("runs/agreement"))
    args = parser.parse_args()
    torch.set_num_threads(1)
    write_scenes(args.out / "data", train=args.train, val=args.images, per_class=1)
    write_scenes(args.out / "other", train=args.images, val=1, seed=1, per_class=1)
    found = [_run(args.out, steps, seed) for steps in args.steps for seed in range(args.seeds)]
    record = {
        "machine": machine(),
        "images": args.images,
        "runs": found,
        "correlations": correlate(found),
    }
    print(write_results("use.agreement", record, page))
    return 0


def _run(out: Path, steps: int, seed: int) -> dict[str, Any]:
    """A run of a length and a seed, by labels and by agreement."""
    run = out / f"run-{steps}-{seed}"
    if not (run / "student").is_dir():
        flags = {
            "teachers": NANO,
            "seed": seed,
            "data.path": str(out / "data/train/images"),
            "data.image_size": 96,
            "data.views": 1,
            "optim.steps": steps,
            "optim.batch_size": 8,
            "student.width": 192,
        }
        distill(build_config(None, flags), out=run)
    val, labels = out / "data/val", run.with_suffix(".labels.json")
    # The bundle, which is measured beside its teachers only.
    student, by_itself = run / "student", run.with_suffix(".agreement.json")
    if not labels.is_file():
        evaluate(student, [str(val)], tasks=TASKS, out=labels)
    if not by_itself.is_file():
        classes = sorted(path.name for path in (val / "classes").iterdir())
        images = str(out / "other/train/images")
        evaluate_agreement(student, [images], tasks=TASKS, labels=classes, out=by_itself)
    print(f"{steps} steps, seed {seed}", flush=True)
    return {"steps": steps, "seed": seed, "rows": pair(_read(labels), _read(by_itself))}


def _read(file: Path) -> Sequence[Row]:
    return Evaluation.model_validate_json(file.read_text()).rows


def pair(labeled: Sequence[Row], agreed: Sequence[Row]) -> list[dict[str, Any]]:
    """A record for each measure of agreement, with the task's score by labels."""
    known = {(row.teacher, row.task): row for row in labeled}
    return [
        {
            "task": row.task,
            "metric": row.metric,
            "agreement": row.student_score,
            "retention": known[row.teacher, row.task].retention,
            "student_score": known[row.teacher, row.task].student_score,
        }
        for row in agreed
        if (row.teacher, row.task) in known
    ]


def correlate(runs: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Correlations of every measure over the runs, and between seeds of the same length."""
    found: list[dict[str, Any]] = []
    lengths = np.array([run["steps"] for run in runs])
    for place, first in enumerate(runs[0]["rows"]):
        rows = [run["rows"][place] for run in runs]
        agreement = np.array([row["agreement"] for row in rows])
        score = np.array([row["student_score"] for row in rows])
        found.append(
            {
                "task": first["task"],
                "metric": first["metric"],
                "runs": len(rows),
                "pearson": _known(_pearson(agreement, score)),
                "pearson_interval": _interval(agreement, score, _pearson),
                "spearman": _known(_spearman(agreement, score)),
                "spearman_interval": _interval(agreement, score, _spearman),
                "between_seeds": _known(
                    _pearson(_apart(agreement, lengths), _apart(score, lengths))
                ),
            }
        )
    return found


def _apart(values: Values, lengths: NDArray[np.int64]) -> Values:
    """Values without the mean of the runs of the same length."""
    means = {length: values[lengths == length].mean() for length in set(lengths.tolist())}
    return values - np.array([means[length] for length in lengths.tolist()])


def _pearson(one: Values, other: Values) -> float:
    if np.ptp(one) < 1e-12 or np.ptp(other) < 1e-12:
        return float("nan")
    return float(np.corrcoef(one, other)[0, 1])


def _spearman(one: Values, other: Values) -> float:
    return _pearson(rankdata(one), rankdata(other))


def _interval(
    one: Values, other: Values, measure: Callable[[Values, Values], float]
) -> list[float] | None:
    """The middle 95 % over runs that are drawn anew; None if these are mostly alike."""
    random = np.random.default_rng(0)
    drawn = random.integers(len(one), size=(DRAWS, len(one)))
    values = np.array([measure(one[places], other[places]) for places in drawn])
    values = values[np.isfinite(values)]
    if len(values) < 0.95 * DRAWS:
        return None
    return [round(float(end), 4) for end in np.quantile(values, (0.025, 0.975))]


def _known(value: float) -> float | None:
    return round(value, 4) if np.isfinite(value) else None


def page(record: Mapping[str, Any]) -> list[str]:
    """How the two go together, and what they are."""
    lengths = sorted({run["steps"] for run in record["runs"]})
    rows = [
        [
            own["task"],
            own["metric"].removeprefix("agreement "),
            _with_ends(own["spearman"], own["spearman_interval"]),
            _with_ends(own["pearson"], own["pearson_interval"]),
            _with_ends(own["between_seeds"], None),
        ]
        for own in record["correlations"]
    ]
    means: list[list[str]] = []
    for place, own in enumerate(record["correlations"]):
        cells: list[str] = []
        for length in lengths:
            alike = [run["rows"][place] for run in record["runs"] if run["steps"] == length]
            cells += [spread([row[key] for row in alike]) for key in ("agreement", "retention")]
        means.append([own["task"], own["metric"].removeprefix("agreement "), *cells])
    heads = [f"{name}, {length} steps" for length in lengths for name in ("agreement", "retention")]
    seeds = len(record["runs"]) // len(lengths)
    return [
        "# Agreement beside retention",
        "",
        f"{len(record['runs'])} nano students: {', '.join(map(str, lengths))} steps, {seeds} seeds "
        f"each. Agreement is measured on {record['images']} images without labels, retention on "
        f"{record['images']} others with labels (zero-shot: one for each of the classes). "
        "Correlations are over the runs, with 95 % intervals by drawing runs anew. Between seeds: "
        "Pearson's, of what differs from the mean of the same length.",
        "",
        *table("task | agreement's score | Spearman | Pearson | between seeds", rows),
        "",
        "Mean and standard deviation over seeds:",
        "",
        *table(" | ".join(["task", "agreement's score", *heads]), means),
        "",
    ]


def _with_ends(value: float | None, ends: Sequence[float] | None) -> str:
    if value is None:
        return "-"
    return f"{value:.2f}" + (f" ({ends[0]:.2f} to {ends[1]:.2f})" if ends else "")


if __name__ == "__main__":
    sys.exit(main())
