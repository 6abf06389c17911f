"""The demo's distillation with several seeds: mean and spread of what the student keeps.

    python -m benchmarks.nano [--seeds 3] [-- FLAGS OF kivfm distill]

Five nano teachers, the demo scenes, the demo's own settings by default. Seeds that were measured
before are not run again.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path
from typing import Any

from benchmarks.common import (
    NANO,
    ROOT,
    commit,
    cut,
    kivfm,
    loop_seconds,
    machine,
    spread,
)

HERE = Path(__file__).parent
SCORES = ("teacher_score", "untrained_score", "student_score", "retention", "gain")


def main() -> None:
    """Distills and evaluates seed after seed, then writes the table."""
    words = sys.argv[1:]
    own, flags = cut(words)
    parser = argparse.ArgumentParser(prog="python -m benchmarks.nano", description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--name", default="demo", help="of the runs and of the results")
    args = parser.parse_args(own)
    os.chdir(ROOT)
    data = Path("runs/demo-data")
    kivfm("scenes", str(data), "--train", "1500", "--val", "150", "--seed", "0")
    runs = [_seed(args.name, seed, data, flags) for seed in range(args.seeds)]
    record = {
        "suite": args.name,
        "command": shlex.join(["python", "-m", "benchmarks.nano", *words]),
        "commit": commit(),
        "machine": machine(),
        "runs": runs,
    }
    results = HERE / "results"
    results.mkdir(exist_ok=True)
    (results / f"{args.name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (results / f"{args.name}.md").write_text(table(record))
    print(table(record))


def _seed(name: str, seed: int, data: Path, flags: list[str]) -> dict[str, Any]:
    run = Path("runs") / f"{name}-seed-{seed}"
    if not (run / "student").is_dir():
        if (run / "checkpoints").is_dir():
            kivfm("distill", "--resume", str(run))
        else:
            pool = str(data / "train" / "images")
            kivfm("distill", "--teachers", NANO, "--data", pool, "--seed", str(seed),
                   "--out", str(run), *flags)  # fmt: skip
    if not (run / "evaluation.json").is_file():
        kivfm("evaluate", str(run), "--data", str(data / "val"))
    evaluation = json.loads((run / "evaluation.json").read_text())
    return {"seed": seed, "seconds": loop_seconds(run), "evaluation": evaluation}


def table(record: dict[str, Any]) -> str:
    """Mean and spread over the seeds, as a page."""
    evaluations = [run["evaluation"] for run in record["runs"]]
    lines = [
        f"# {record['suite']}: {len(evaluations)} seeds",
        "",
        "| teacher | task | metric | teacher's | untrained | student | retention | gain |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for rows in zip(*(e["rows"] for e in evaluations), strict=True):
        cells = [spread([row[score] for row in rows]) for score in SCORES]
        lines.append(
            f"| {rows[0]['teacher']} | {rows[0]['task']} | {rows[0]['metric']} "
            f"| {' | '.join(cells)} |"
        )
    lines.append("")
    for rows in zip(*(e["base"] for e in evaluations), strict=True):
        scores = [spread([row[s] for row in rows]) for s in ("base_score", "student_score")]
        lines.append(f"Of the base, {rows[0]['metric']}: {scores[0]}; the student's: {scores[1]}.")
    for name in ("retention_mean", "retention_min", "gain_mean", "gain_min"):
        lines.append(f"{name}: {spread([e['summary'][name] for e in evaluations])}.")
    where = record["machine"]
    lines += [
        "",
        f"{where['processor']}, {where['cores']} cores; distilling took "
        f"{[run['seconds'] for run in record['runs']]} s, other work beside it; "
        f"commit {record['commit']}.",
        "",
        f"```\n{record['command']}\n```",
        "",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
