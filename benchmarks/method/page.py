"""The suite as a page: recipes side by side, and what was tried."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from statistics import fmean
from typing import Any

from benchmarks.common import spread, table
from benchmarks.method.compare import DRAWS, FIGURES, compare, key

Row = dict[str, Any]
OURS = "kpu"
# What the others are compared with, where that is not ours.
MEASURE = {"joint-parts": "kpu-joint"}
COLUMNS = {
    "retention, mean": lambda row: row["retention_mean"],
    "least": lambda row: row["retention_min"],
    "imbalance": lambda row: row["imbalance"],
    "gain, mean": lambda row: row["gain_mean"],
    "gain, least": lambda row: row["gain_min"],
    "k-NN": lambda row: row.get("knn_student"),
    "probe": lambda row: row.get("probe_student"),
    "unseen: mean": lambda row: row["unseen"]["retention_mean"],
    "unseen: least": lambda row: row["unseen"]["retention_min"],
}  # fmt: skip


def ranked(rows: list[Row]) -> dict[str, list[Row]]:
    """The rows of each recipe but the screened, the highest mean retention first."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        if row.get("tier") != "screen":
            groups.setdefault(row.get("variant") or row["recipe"], []).append(row)
    order = sorted(groups, key=lambda name: -fmean(row["retention_mean"] for row in groups[name]))
    return {name: groups[name] for name in order}


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    groups = ranked(record["rows"])
    if record["suite"] == "teachers":  # as they come
        groups = dict(sorted(groups.items()))
    first = next(iter(groups.values()))[0]
    return "\n".join(
        [
            f"# {record['suite']}",
            "",
            f"Mean ± spread over {max(map(len, groups.values()))} seeds, on test images; over "
            "the purpose teachers, each the mean of its tasks. Imbalance: the standard deviation "
            "over them. Unseen: a domain that neither a teacher nor the student saw.",
            "",
            *_main(groups),
            "",
            f"The base's own: k-NN {first.get('knn_base', 0):.3f}, linear probe "
            f"{first.get('probe_base', 0):.3f}.",
            "",
            f"![Retention]({record['suite']}.svg)",
            "",
            *compared(groups, MEASURE.get(record["suite"], OURS)),
            *per_task("Retention, task by task", groups),
            *(_details(record, groups) if record["suite"] == "recipes" else []),
            *ending(record),
        ]
    )


def ending(record: dict[str, Any]) -> list[str]:
    """What it took, where it ran, and the command."""
    where, rows = record["machine"], record["rows"]
    suite = f"{where['processor']}, {where['cores']} cores, torch {where['torch']}"
    ran = Counter(row.get("machine") or suite for row in rows)  # earlier rows do not say
    commits = sorted({row["commit"] for row in rows})
    return [
        f"{record['hours']} hours of runs, {where['jobs']} at a time, load {where['load']} before; "
        f"commit {', '.join(commits)}. Trained on, evaluated on the processor:",
        "",
        *(f"- {machine}: {count} runs" for machine, count in ran.most_common()),
        "",
        "```",
        record["command"],
        "```",
        "",
    ]


def _details(record: dict[str, Any], groups: dict[str, list[Row]]) -> list[str]:
    """The unseen domain task by task, and what was screened."""
    return [
        *per_task("On the unseen domain", groups, lambda row: row["unseen"]["per_task"]),
        *_beaten(groups),
        *tried(record["rows"]),
    ]


def _main(groups: dict[str, list[Row]]) -> list[str]:
    columns = f"recipe | lr, decay, bound | {' | '.join(COLUMNS)} | trainable | training, s"
    return table(
        columns,
        [
            (
                name,
                f"{rows[0]['lr']:g}, {rows[0]['weight_decay']:g}, {_bound(rows[0])}",
                *(spread([read(row) for row in rows]) for read in COLUMNS.values()),
                f"{rows[0]['trainable']:,}",
                f"{fmean(row['train_seconds'] for row in rows):.0f}",
            )
            for name, rows in groups.items()
        ],
    )


def compared(groups: dict[str, list[Row]], ours: str = OURS) -> list[str]:
    """Ours less each rival's.

    Args:
        groups: The rows of each recipe.
        ours: One of them.
    """
    if ours not in groups:
        return []
    cells: list[list[str]] = []
    for name, rows in groups.items():
        same = [*map(key, rows[0]["per_task"])] == [*map(key, groups[ours][0]["per_task"])]
        found = compare(groups[ours], rows) if name != ours and same else {}
        if found:
            cells.append([name, *map(_interval, found.values())])
    return [
        f"## {ours} less each rival",
        "",
        f"With the 95 % interval of a paired bootstrap over seeds and blocks of test images, "
        f"{DRAWS} draws; bold where it leaves out 0. Blocks are drawn anew, not single images: "
        "average precision is no mean over images.",
        "",
        *table(f"rival | {' | '.join(FIGURES.values())}", cells),
        "",
    ]


def _interval(found: dict[str, float]) -> str:
    text = f"{found['difference']:+.3f} ({found['low']:+.3f} to {found['high']:+.3f})"
    return f"**{text}**" if found["low"] > 0 or found["high"] < 0 else text


def per_task(
    title: str,
    groups: dict[str, list[Row]],
    read: Callable[[Row], list[Row]] = lambda row: row["per_task"],
) -> list[str]:
    """Each recipe's retention, a column a task; a dash for a teacher that it has not.

    Args:
        title: Of the section.
        groups: The rows of each recipe.
        read: Its tasks; all rows of a recipe have the same.
    """
    tasks = max((read(rows[0]) for rows in groups.values()), key=len)
    columns = " | ".join(" ".join(filter(None, key(task))) for task in tasks)
    cells = [(name, *(_kept(rows, task, read) for task in tasks)) for name, rows in groups.items()]
    teachers = ("teacher's score", *(f"{task['teacher_score']:.3f}" for task in tasks))
    return [f"## {title}", "", *table(f"recipe | {columns}", [teachers, *cells]), ""]


def _kept(rows: list[Row], task: Row, read: Callable[[Row], list[Row]]) -> str:
    found = [t["retention"] for row in rows for t in read(row) if key(t) == key(task)]
    return spread(found) if found else "-"


def _beaten(groups: dict[str, list[Row]]) -> list[str]:
    """Where students do better than their teacher on the unseen domain."""
    beaten: list[str] = []
    for name, rows in groups.items():
        tasks = zip(*(row["unseen"]["per_task"] for row in rows), strict=True)
        beaten += [
            f"{name} {same[0]['teacher']} {same[0]['task']} "
            f"({fmean(t['student_score'] for t in same):.3f}, {same[0]['teacher_score']:.3f})"
            for same in tasks
            if fmean(t["student_score"] for t in same) > same[0]["teacher_score"]
        ]
    listed = "; ".join(beaten) or "none"
    return [
        f"Better than the teacher there, on the seeds' mean (its, the teacher's): {listed}.",
        "",
    ]


def _bound(row: Row) -> str:
    """Of global levels' learning rate."""
    bound = row.get("global_level_lr")
    return "default" if bound is None else f"{bound:g}"


def tried(rows: list[Row]) -> list[str]:
    """What was screened."""
    cells = [
        (row.get("variant") or row["recipe"], f"{row['lr']:g}", f"{row['weight_decay']:g}",
         _bound(row), str(row["steps"]),
         *(f"{row[name]:.3f}" for name in FIGURES.values()))
        for row in rows if row["tier"] == "screen"
    ]  # fmt: skip
    columns = f"recipe | lr | weight decay | bound | steps | {' | '.join(FIGURES.values())}"
    return ["## What was tried, on validation images, one seed", "", *table(columns, cells), ""]
