"""Milliseconds of a training step: ours, peers' and a bare loop's, in one run.

    python -m benchmarks.engine [--rounds 7] [--steps 20] [--envs DIR] [--no-lightly]

Everyone waits in a process of its own and makes blocks of steps in turn, round after round; a block
counts with its mean, and medians of blocks are compared. The round before the first only warms up.
Exit code 1 if ours is more than 3 % slower than the bare loop that does the same.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, machine, table, write_results
from benchmarks.engine import lightly, work
from benchmarks.environments import cache_folder, install

BAR = 1.03
OURS, SAME, BARE = "kivfm", "bare loop, both levels", "bare loop, pooled features"


@dataclass(frozen=True)
class Runner:
    """Who makes steps.

    Attributes:
        module: In this package.
        bare: The bare loop that it is compared with.
        work: What it does, beside what all do.
        peer: The distribution that it needs, in an environment of its own.
    """

    module: str
    bare: str
    work: str
    peer: str | None = None


RUNNERS = {
    OURS: Runner("ours", SAME, "pooled and dense levels, recipe `levels`; loop, guard and "
                 "metrics of `kivfm distill`"),
    SAME: Runner("bare_levels", SAME, "pooled and dense levels, same aligners, same loss"),
    BARE: Runner("bare", BARE, "pooled features, linear projection, squared error"),
    "timm.task": Runner("timm_task", BARE, "as the bare loop (timm is a library of ours, so in our "
                        "environment)"),
    "torchdistill": Runner("torchdistill_box", BARE, "as the bare loop, weight decay for vectors "
                           "too", "torchdistill"),
}  # fmt: skip
LIGHTLY = (
    "pooled features, linear projection; its own loss on similarities, mixup, and its own "
    "DINOv3 ViT-S/16 as teacher (four tokens more)"
)


def main() -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=20, help="of a block")
    parser.add_argument("--envs", type=Path, default=cache_folder(), help="peers' environments")
    parser.add_argument("--no-lightly", action="store_true", help=f"leave {lightly.PEER} out")
    args = parser.parse_args()
    args.envs.mkdir(parents=True, exist_ok=True)
    notes = {r.peer: install(r.peer, args.envs / r.peer) for r in RUNNERS.values() if r.peer}
    left_out = f"{lightly.PEER} was left out."
    why = left_out if args.no_lightly else install(lightly.PEER, args.envs / lightly.PEER)
    notes[lightly.PEER] = why
    runners = {n: r for n, r in RUNNERS.items() if not (r.peer and notes[r.peer])}
    blocks = _measure(runners, args.envs, args.rounds, args.steps, with_lightly=not why)
    record = {
        "steps": args.steps,
        "machine": machine(),
        "milliseconds": blocks,
        "notes": [note for note in notes.values() if note],
    }
    print(write_results("engine", record, page))
    return int(median(blocks[OURS]) > BAR * median(blocks[SAME]))


def _measure(
    runners: Mapping[str, Runner], envs: Path, rounds: int, steps: int, *, with_lightly: bool
) -> dict[str, list[float]]:
    """Mean milliseconds a step in every block."""
    processes: dict[str, Any] = {}
    blocks: dict[str, list[float]] = {name: [] for name in runners}
    with TemporaryDirectory() as name:
        folder = Path(name)
        if with_lightly:
            lightly.write_pictures(folder / "data", steps)
            blocks[lightly.PEER] = []
        try:
            for name, runner in runners.items():
                processes[name] = _start(runner, envs)
            for number in range(rounds + 1):
                # Whoever comes first has the cooler machine: they take turns.
                turn = number % len(blocks)
                for name in [*blocks][turn:] + [*blocks][:turn]:
                    if name in processes:
                        took = _ask(processes[name], steps if number else 3)
                    elif number:
                        took = lightly.block(envs / lightly.PEER, folder)
                    else:
                        continue  # each of its calls warms up by itself
                    print(f"{number}: {name}: {took:.1f} ms", flush=True)
                    if number:
                        blocks[name].append(round(took, 2))
        finally:
            for process in processes.values():
                process.stdin.close()
                process.wait()
    return blocks


def _start(runner: Runner, envs: Path) -> subprocess.Popen[str]:
    python = str(envs / runner.peer / "bin" / "python") if runner.peer else sys.executable
    pipe = subprocess.PIPE
    words = [python, "-m", f"benchmarks.engine.{runner.module}"]
    return subprocess.Popen(words, stdin=pipe, stdout=pipe, text=True, cwd=ROOT)


def _ask(process: Any, steps: int) -> float:
    process.stdin.write(f"{steps}\n")
    process.stdin.flush()
    answer = process.stdout.readline()
    if not answer:
        raise SystemExit(f"{' '.join(process.args)} ended with {process.wait()}")
    return json.loads(answer)


def page(record: Mapping[str, Any]) -> list[str]:
    """The medians and how they stand to the bare loops, as lines."""
    blocks, where = record["milliseconds"], record["machine"]
    rows: list[list[str]] = []
    for name, times in blocks.items():
        runner = RUNNERS.get(name, Runner("", BARE, LIGHTLY))
        ratio = median(times) / median(blocks[runner.bare])
        low, high = min(times), max(times)
        middle = f"{median(times):.1f} ({low:.1f} to {high:.1f})"
        bar = f"{BAR}" if name == OURS else ""
        rows.append([name, middle, f"{ratio:.3f}", bar, runner.bare, runner.work])
    return [
        "# A training step",
        "",
        f"{work.SIDE} pixels, teacher `{work.TEACHER}`, student `{work.STUDENT}`, "
        f"{work.BATCH} views a step in memory already, {where['threads']} threads. Blocks of "
        f"{record['steps']} steps in turn; median, smallest and largest of "
        f"{len(blocks[OURS])} blocks' means. Ours also looks at its gradients once in a hundred "
        "steps; that is in the blocks in which it does.",
        "",
        *table("who | ms a step | of its bare loop | bar | which | what it does", rows),
        "",
        *record["notes"],
        *([""] if record["notes"] else []),
    ]


if __name__ == "__main__":
    sys.exit(main())
