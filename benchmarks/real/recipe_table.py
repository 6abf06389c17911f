"""Recipes side by side: from what a job measured to its row, and rows as a page."""

from __future__ import annotations

import shlex
from pathlib import Path
from statistics import fmean
from typing import Any

from benchmarks.common import spread, table
from benchmarks.method.job_rows import by_task, figures
from benchmarks.method.page import compared, per_task, ranked
from kivfm_core.evaluation.result import Evaluation, Row

# Detector and segmenter.
DENSE = ("yolox/nano", "deeplab/mnv2-voc")
FIGURES = {
    "retention, mean": "retention_mean",
    "least": "retention_min",
    "imbalance": "imbalance",
    "detector and segmenter": "dense_mean",
    "gain, mean": "gain_mean",
    "gain, least": "gain_min",
    "base's classification kept": "base_kept",
    "k-NN": "knn_student",
    "probe": "probe_student",
}


def make_row(record: dict[str, Any]) -> dict[str, Any]:
    """The row of a finished job; figures are over the teachers but the base.

    Args:
        record: As `run_once` gives it.
    """
    evaluation = Evaluation.model_validate(record["evaluation"])
    tasks = by_task((row for row in evaluation.rows if not row.base), _kind)
    words, where = record["commands"][0], record["machine"]
    base = by_task(row for row in evaluation.rows if row.base)[0]
    dense = figures([task for task in tasks if task["teacher"] in DENSE], ())
    return {
        "recipe": words[words.index("--recipe") + 1],
        "seed": int(words[words.index("--seed") + 1]),
        "steps": int(words[words.index("--steps") + 1]),
        **figures(tasks, evaluation.base),
        "dense_mean": dense["retention_mean"],
        "base_kept": base["retention"],
        **{key: record[key] for key in ("trainable", "train_seconds", "seconds", "commit")},
        "machine": where,
        "commands": [shlex.join(["kivfm", *line]) for line in record["commands"]],
    }


def _kind(row: Row) -> str:
    """Of the images; their blocks are folders of it."""
    return Path(row.data).parent.name


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    rows, where = record["rows"], record["machine"]
    groups = ranked(rows)
    devices = dict.fromkeys(row["machine"] for row in rows)
    main = [
        (
            name,
            *(spread([row.get(key) for row in own]) for key in FIGURES.values()),
            f"{own[0]['trainable']:,}",
            f"{fmean(row['train_seconds'] for row in own):.0f}",
        )
        for name, own in groups.items()
    ]
    commands = [line for own in groups.values() for line in own[0]["commands"]]
    return "\n".join(
        [
            "# Recipes on real teachers",
            "",
            f"{record['steps']} steps, {max(map(len, groups.values()))} seed(s), mean ± spread. "
            "Over the teachers but the base, each the mean of its tasks and data, in blocks of the "
            "images; imbalance: the standard deviation over them.",
            "",
            *table(f"recipe | {' | '.join(FIGURES)} | trainable | training, s", main),
            "",
            f"The base's own: k-NN {spread([rows[0].get('knn_base')])}, linear probe "
            f"{spread([rows[0].get('probe_base')])}.",
            "",
            *compared(groups),
            *per_task("Retention, task by task", groups),
            f"{', '.join(devices)}: {where['cores']} cores, {where['jobs']} at a time, load "
            f"{where['load']} before, torch {where['torch']}; "
            f"commit {', '.join(sorted({row['commit'] for row in rows}))}. The first run of each:",
            "",
            "```",
            record["command"],
            *commands,
            "```",
            "",
        ]
    )
