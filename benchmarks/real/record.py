"""What came out, with what it took: JSON for programs, markdown for people."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from benchmarks.common import table

COLUMNS = "teacher | task | data | metric | teacher's | untrained | student | retention | gain"
BASE_COLUMNS = "what is kept of the base | data | base | student"


def markdown(record: dict[str, Any]) -> str:
    """The record as a page."""
    evaluation, where, took = record["evaluation"], record["machine"], record["seconds"]
    cpu = f"{where['processor']}, {where['cores']} cores, {where['threads']} threads"
    rows = [
        (row["teacher"], row["task"], Path(row["data"]).name, row["metric"],
         *(_score(row[f"{who}_score"]) for who in ("teacher", "untrained", "student")),
         _share(row["retention"]), _share(row["gain"]))
        for row in evaluation["rows"]
    ]  # fmt: skip
    base = [
        (row["metric"], row["data"], _score(row["base_score"]), _score(row["student_score"]))
        for row in evaluation["base"]
    ]
    summary = evaluation["summary"]
    return "\n".join(
        [
            f"# {record['name']}",
            "",
            *table(COLUMNS, rows),
            "",
            *([*table(BASE_COLUMNS, base), ""] if base else []),
            f"Over the teachers but the base: retention mean {_share(summary['retention_mean'])}, "
            f"least {_share(summary['retention_min'])}; gain mean {_share(summary['gain_mean'])}, "
            f"least {_share(summary['gain_min'])}.",
            "",
            f"Trainable: {record['trainable']:,} of {record['parameters']:,} parameters "
            f"({_share(record['trainable'] / record['parameters'])}). "
            f"Pool: {record['pool']} photos.",
            "",
            f"Distilling took {took['distill']:.0f} s, evaluation {took['evaluate']:.0f} s: "
            f"{where['gpu'] or cpu}, load {where['load']}, torch {where['torch']}, "
            f"commit {record['commit']}.",
            "",
            "```",
            *record["commands"],
            "```",
            "",
        ]
    )


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _share(value: float | None) -> str:
    return "-" if value is None else f"{100 * value:.1f} %"


def write(record: dict[str, Any], folder: Path) -> Path:
    """Writes `NAME.json` and `NAME.md`; returns the latter."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{record['name']}.json").write_text(json.dumps(record, indent=1) + "\n")
    page = folder / f"{record['name']}.md"
    page.write_text(markdown(record))
    return page
