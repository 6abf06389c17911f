"""One canvas size in one process, which saves starting it anew: a line of JSON for each rate.

    python -m benchmarks.gpu.measure ROOT DEVICE STEPS MODES [PROFILE]

`ROOT/online.toml` and `ROOT/cached.toml` say what is distilled.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from statistics import median
from typing import Any

import torch

from benchmarks.gpu.bare import Bare
from kivfm_core.config import build_config
from kivfm_core.distillation.engine import distill


def main() -> None:
    """The bare loops and ours, with teachers online and cached, in each mode."""
    root, device, steps, modes, profile = [*sys.argv[1:], ""][:5]
    bare = Bare(build_config(Path(root) / "online.toml", {}), device)
    for mode in modes.split(","):
        if mode == "compiled":
            bare.compile()
        rates = list(bare.measure(int(steps)))
        if profile:
            bare.profile(Path(f"{profile}-{mode}.txt"))
        for row in rates:
            _say({"mode": mode, "who": "bare loop", **row})
        for row in rates:
            torch._dynamo.reset()  # pyright: ignore[reportPrivateUsage]
            _say({"mode": mode, "who": "kivfm", **row, **_ours(Path(root), row["answers"], mode)})


def _say(row: dict[str, Any]) -> None:
    print(json.dumps(row), flush=True)


def _ours(root: Path, answers: str, mode: str) -> dict[str, float]:
    """Of the run's own metrics, its later half: by then nothing is prepared that is stored."""
    flags = {"engine.compile": "off" if mode == "eager" else "all"}
    config = build_config(root / f"{answers}.toml", flags)
    run = distill(config, out=root / f"{mode}-{answers}")
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    late = lines[len(lines) // 2 :]
    return {name: median(line[name] for line in late)
            for name in ("images_per_second", "data_share")}  # fmt: skip


if __name__ == "__main__":
    main()
