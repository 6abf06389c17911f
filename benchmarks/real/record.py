"""What came out, with what it took: JSON for programs, markdown for people."""

from __future__ import annotations

import json
import os
import platform
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch

from kivfm_core.run import open_run

COLUMNS = "teacher | task | data | metric | teacher's | untrained | student | retention | gain"
BASE_COLUMNS = "what is kept of the base | data | base | student"


def machine() -> dict[str, Any]:
    """Processor, cores and threads, accelerator, and how busy the machine was."""
    found = [line.partition(":")[2].strip() for line in _lines(Path("/proc/cpuinfo"))
             if line.startswith("model name")]  # fmt: skip
    return {
        "processor": found[0] if found else platform.processor(),
        "cores": len(os.sched_getaffinity(0)),
        "threads": torch.get_num_threads(),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else None,
        "torch": torch.__version__,
        "load": round(os.getloadavg()[0], 1),
    }


def _lines(path: Path) -> list[str]:
    return path.read_text().splitlines() if path.is_file() else []


def commit() -> str:
    """The commit that ran, `+` if the work tree differed from it."""
    head = _git("rev-parse", "--short", "HEAD")
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def loop_seconds(run: Path) -> int:
    """How long a run's loop took, by its own account, whenever and in however many parts."""
    total, before = 0.0, 0
    batch = open_run(run).config.optim.batch_size
    for line in (run / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        total += (entry["step"] - before) * batch / entry["images_per_second"]
        before = entry["step"]
    return round(total)


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], capture_output=True, text=True, check=True
    ).stdout.strip()


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
            *_table(COLUMNS, rows),
            "",
            *([*_table(BASE_COLUMNS, base), ""] if base else []),
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


def _table(columns: str, rows: Sequence[tuple[str, ...]]) -> list[str]:
    head = f"| {columns} |"
    return [head, "|---" * (columns.count("|") + 1) + "|", *(f"| {' | '.join(r)} |" for r in rows)]


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
