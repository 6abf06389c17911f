"""What the benchmarks share: the command line that they drive, and what it ran on."""

from __future__ import annotations

import json
import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import fmean, pstdev
from typing import Any

import torch

from kivfm_core.runs.run import open_run

ROOT = Path(__file__).parents[1]
NANO = "dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano"
# glibc keeps what is freed, as every step needs it again.
KEEP_FREED = {"MALLOC_MMAP_MAX_": "0", "MALLOC_TRIM_THRESHOLD_": str(8 * 10**9)}


def kivfm(
    *words: str,
    log: Path | None = None,
    threads: int | None = None,
    env: Mapping[str, str] = os.environ,
) -> float:
    """Runs a command of this environment's kivfm; seconds.

    Args:
        words: The command and its arguments.
        log: Its output goes to the end of this file.
        threads: At most so many.
        env: Its environment.
    """
    began = time.perf_counter()
    print(f"$ kivfm {shlex.join(words)}", flush=True)
    own = KEEP_FREED | ({"OMP_NUM_THREADS": str(threads)} if threads else {})
    with ExitStack() as stack:
        out = stack.enter_context(log.open("a")) if log else None
        command = [str(Path(sys.executable).with_name("kivfm")), *words]
        done = subprocess.run(command, stdout=out, stderr=out, env={**own, **env})
    if done.returncode:
        raise SystemExit(f"kivfm {words[0]} ended with {done.returncode}; see {log or 'above'}")
    return round(time.perf_counter() - began, 1)


def cut(words: list[str]) -> tuple[list[str], list[str]]:
    """Splits an argument list at `--`."""
    at = words.index("--") if "--" in words else len(words)
    return words[:at], words[at + 1 :]


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
    """The commit that ran, `+` if the work tree differed from it; `unknown` in a mere copy."""
    try:
        head = _git("rev-parse", "--short", "HEAD")
    except (OSError, subprocess.CalledProcessError):  # no git, or no repository
        return "unknown"
    return head + ("+" if _git("status", "--porcelain", "--untracked-files=no") else "")


def _git(*words: str) -> str:
    return subprocess.run(
        ["git", *words], capture_output=True, text=True, check=True
    ).stdout.strip()


def loop_seconds(run: Path, digits: int | None = None) -> float:
    """How long a run's loop took, by its own account, whenever and in however many parts.

    Args:
        run: The run's folder.
        digits: After the decimal point; by default whole seconds.
    """
    total, before = 0.0, 0
    batch = open_run(run).config.optim.batch_size
    for line in (run / "metrics.jsonl").read_text().splitlines():
        entry = json.loads(line)
        total += (entry["step"] - before) * batch / entry["images_per_second"]
        before = entry["step"]
    return round(total, digits)


def table(columns: str, rows: Sequence[Sequence[str]]) -> list[str]:
    """A markdown table's lines; columns are separated by `|`."""
    head = f"| {columns} |"
    return [head, "|---" * (columns.count("|") + 1) + "|", *(f"| {' | '.join(r)} |" for r in rows)]


def write_results(
    name: str, facts: Mapping[str, Any], page: Callable[[Mapping[str, Any]], list[str]]
) -> str:
    """Writes a measurement to `results/NAME.json`, and as a page beside it.

    Args:
        name: Of the measurement, and of its package or module.
        facts: What was found, and the `machine`.
        page: The page's lines.

    Returns:
        The page.
    """
    words = ["python", "-m", f"benchmarks.{name}", *sys.argv[1:]]
    record = {"command": shlex.join(words), "commit": commit(), **facts}
    where = record["machine"]
    lines = [
        *page(record),
        f"{where['gpu'] or where['processor']}, {where['cores']} cores, load {where['load']} "
        f"at the end, torch {where['torch']}, commit {record['commit']}.",
        "",
        f"```\n{record['command']}\n```",
        "",
    ]
    folder = ROOT / "benchmarks" / "results"
    folder.mkdir(exist_ok=True)
    (folder / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    (folder / f"{name}.md").write_text("\n".join(lines))
    return "\n".join(lines)


def spread(values: Sequence[float | None]) -> str:
    """Mean and population standard deviation of what is known; one value has none."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return f"{known[0]:.3f}" if known else "-"
    return f"{fmean(known):.3f} ± {pstdev(known):.3f}"
