"""How long the command line takes to answer, beside `import torch` and a peer's `--help`.

    python -m benchmarks.startup [--rounds 9] [--no-peer]

Everything runs in turn, round after round, in processes of its own: a busy machine slows all of it
alike. Medians count. Bytecode is compiled before, as an installation does. Exit code 1 if a
share of `import torch` is above its bar.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.common import machine, table, write_results
from benchmarks.environments import install

KIVFM = str(Path(sys.executable).with_name("kivfm"))
TORCH = "import torch"
COMMANDS = {
    TORCH: [sys.executable, "-c", "import torch"],
    "kivfm --help": [KIVFM, "--help"],
    "kivfm teachers list, ten plugins more": [KIVFM, "teachers", "list"],
    "kivfm compose": [KIVFM, "compose", "--teachers", "clip,dino,sam"],
}
# Shares of the time that `import torch` takes.
BARS = dict(zip(list(COMMANDS)[1:], (0.15, 0.25, 0.35), strict=True))
PEER = "lightly-train"
PLUGIN = """
from kivfm_core.hooks import hookimpl
from kivfm_core.spec import InputContract, Level, TeacherSpec, Weights

@hookimpl
def kivfm_register_teachers():
    return [
        TeacherSpec(
            name=f"{__name__}/{size}", encoder="m:build", parameters=1,
            levels=(Level(name="x", kind="global", channels=4),),
            input=InputContract(policy="stretch", size=32),
            weights=Weights(source="run:/no-such", split="m:split"),
        )
        for size in ("small", "base", "large")
    ]
"""


def main() -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.startup", description=__doc__)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--no-peer", action="store_true", help=f"leave {PEER} out")
    args = parser.parse_args()
    with TemporaryDirectory() as folder:
        root = Path(folder)
        commands = dict(COMMANDS)
        note = f"{PEER} was left out." if args.no_peer else install(PEER, root / "peer")
        if not note:
            commands[f"{PEER} --help"] = [str(root / "peer" / "bin" / PEER), "--help"]
        environment = {
            **{k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"},
            "PYTHONPYCACHEPREFIX": str(root / "bytecode"),
            "PYTHONPATH": str(_write_plugins(root / "plugins")),
            # The peer's libraries ask the network for newer versions; we measure no network.
            **{"NO_ALBUMENTATIONS_UPDATE": "1", "LIGHTLY_DID_VERSION_CHECK": "True"},
        }
        seconds = _measure(commands, environment, args.rounds)
    record = {"machine": machine(), "seconds": seconds, "note": note}
    print(write_results("startup", record, page))
    shares = _shares(seconds)
    return int(any(shares[name] > bar for name, bar in BARS.items()))


def _measure(
    commands: Mapping[str, list[str]], environment: dict[str, str], rounds: int
) -> dict[str, list[float]]:
    """Seconds of every command in every round; the round before the first only compiles."""
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, words in commands.items():
            start = perf_counter()
            subprocess.run(words, env=environment, check=True, capture_output=True)
            if number:
                seconds[name].append(round(perf_counter() - start, 4))
    return seconds


def _shares(seconds: Mapping[str, list[float]]) -> dict[str, float]:
    return {name: median(times) / median(seconds[TORCH]) for name, times in seconds.items()}


def _write_plugins(site: Path) -> Path:
    for number in range(10):
        name = f"plugin{number}"
        info = site / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (site / f"{name}.py").write_text(PLUGIN)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[kivfm]\n{name} = {name}\n")
    return site


def page(record: Mapping[str, Any]) -> list[str]:
    """The medians and what share of `import torch` they are, as lines."""
    shares = _shares(record["seconds"])
    rounds = len(record["seconds"][TORCH])
    rows = [
        [f"`{name}`", f"{median(times):.3f}", f"{shares[name]:.2f}", str(BARS.get(name, ""))]
        for name, times in record["seconds"].items()
    ]
    return [
        "# Startup",
        "",
        *table(f"process | median of {rounds}, s | share of `{TORCH}` | bar", rows),
        "",
        *([record["note"], ""] if record["note"] else []),
    ]


if __name__ == "__main__":
    sys.exit(main())
