"""Ten epochs with three teachers: ours, a loop that runs them in every step, and one with tars.

    python -m benchmarks.reuse [--rounds 2] [--images 24] [--side 96] [--epochs 10] [--batch 8]

Teachers have the architectures of DINOv2-B, CLIP-B/16 and SAM-B and random weights, the student is
a ViT-S that is trained in full; each image has two stored views, and what runs to fill the
cache counts. Everyone runs in turn in a process of its own, round after round; medians count, from
the first question to the last step. The ideal is the teachers' time once a view, and the student's
for all epochs, and nothing else. Exit code 1 if ours takes more than 1.1 times the ideal.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, kivfm, machine, table, write_results
from benchmarks.random_teachers import MODELS, environment, write_teachers
from kivfm_core.config import build_config, dump_config
from kivfm_core.scenes.write import write_scenes

BAR = 1.1
VIEWS = 2
LOOPS = ("ideal", "online", "tar")
WORDS = {
    "ideal": "teachers once a view, student every epoch, nothing else",
    "online": "UNIC-like: all teachers in every step, fresh views",
    "tar": "Theia-like: levels once a view in tars, read in order",
    "kivfm": "`kivfm distill`, two stored views in memory, fitting and metrics",
}


def main() -> int:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.reuse", description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--images", type=int, default=24, help="a multiple of the batch")
    parser.add_argument("--side", type=int, default=96, help="of the canvases, in pixels")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--batch", type=int, default=8)
    args = parser.parse_args()
    if args.images % args.batch:
        parser.error("--images is no multiple of --batch")
    found: dict[str, list[dict[str, float]]] = {name: [] for name in WORDS}
    with TemporaryDirectory() as folder:
        root = Path(folder)
        _prepare(root, args)
        for number in range(args.rounds):
            turn = number % len(found)
            for name in [*found][turn:] + [*found][:turn]:
                found[name].append(_ours(root) if name == "kivfm" else _loop(name, root))
                print(f"{number}: {name}: {found[name][-1]}", flush=True)
    record = {
        "machine": machine(),
        "settings": {k: v for k, v in vars(args).items() if k != "rounds"},
        "seconds": found,
    }
    print(write_results("reuse", record, page))
    middle = {name: _median(record, name, "total") for name in found}
    return int(middle["kivfm"] > BAR * middle["ideal"])


def _prepare(root: Path, args: argparse.Namespace) -> None:
    """Writes images, teachers, and the configuration of all."""
    weights = write_teachers(root, MODELS, args.side)
    write_scenes(root / "scenes", train=args.images, val=0, per_class=0)
    flags = {
        "recipe": "levels",
        "teachers": ",".join(weights),
        "weights": weights,
        "student.model": "timm/vit_small_patch16_224",
        "student.weights": "none",
        "student.trunk_size": args.side,
        "data.path": str(root / "scenes" / "train" / "images"),
        "data.image_size": args.side,
        "data.views": VIEWS,
        "optim.optimizer": "adamw",
        "optim.batch_size": args.batch,
        "optim.steps": args.epochs * args.images // args.batch,
        "optim.calibration": VIEWS * args.images,
        "checkpoint.every": 10**6,
    }
    (root / "run.toml").write_text(dump_config(build_config(None, flags)))


def _loop(name: str, root: Path) -> dict[str, float]:
    words = [sys.executable, "-m", "benchmarks.reuse.loops", name, str(root / "run.toml")]
    done = subprocess.run(
        words, cwd=ROOT, env=environment(root), stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _ours(root: Path) -> dict[str, float]:
    """By the run's own account, which leaves only imports and the loading of weights out."""
    run = root / "run"
    shutil.rmtree(run, ignore_errors=True)
    words = ["distill", "--config", str(root / "run.toml"), "--out", str(run)]
    command = kivfm(*words, log=root / "log", env=environment(root))
    costs = json.loads((run / "costs.json").read_text())
    took = {cost["name"]: cost["took_seconds"] for cost in costs["costs"]}
    learning = took.pop("learning")
    return {
        "build": sum(took.values()),
        "learning": learning,
        "total": costs["took_seconds"],
        "command": command,
    }


def _median(record: Mapping[str, Any], name: str, part: str) -> float:
    return median(seconds[part] for seconds in record["seconds"][name])


def page(record: Mapping[str, Any]) -> list[str]:
    """Totals, their ratio to the ideal, and when each overtakes the online loop."""
    settings = record["settings"]
    total = {name: _median(record, name, "total") for name in WORDS}
    rows = [
        [
            name,
            f"{total[name]:.1f}",
            f"{total[name] / total['ideal']:.2f}",
            f"{BAR}" if name == "kivfm" else "",
            f"{total['online'] / total[name]:.2f}",
            _break_even(record, name),
            what,
        ]
        for name, what in WORDS.items()
    ]
    ideal = {part: _median(record, "ideal", part) for part in ("teachers", "student")}
    return [
        "# Teachers run once",
        "",
        f"{settings['images']} images, {VIEWS} stored views, {settings['epochs']} epochs, "
        f"{settings['side']} pixels, {settings['batch']} views a step, {len(MODELS)} teachers "
        f"({', '.join(f'`{model}`' for model in MODELS.values())}, random weights), a ViT-S/16 "
        f"that is trained in full; {record['machine']['threads']} threads. Medians of "
        f"{len(record['seconds']['ideal'])} rounds.",
        "",
        *table("who | seconds | of the ideal | bar | times as fast as online | "
               "ahead of online from epoch | what", rows),
        "",
        f"The ideal is {ideal['teachers']:.1f} s of the teachers and {ideal['student']:.1f} s of "
        f"the student. With start, imports and weights our command took "
        f"{_median(record, 'kivfm', 'command'):.1f} s.",
        "",
        *_large(record, ideal),
    ]  # fmt: skip


def _large(record: Mapping[str, Any], seconds: Mapping[str, float]) -> list[str]:
    """What large sets would take at these rates, as docs/explanation/what-it-costs.md has it."""
    settings = record["settings"]
    teachers = seconds["teachers"] / (VIEWS * settings["images"])
    student = seconds["student"] / (settings["epochs"] * settings["images"])
    stored = {e: VIEWS * teachers + e * student for e in (10, 100)}
    fresh = {e: e * (teachers + student) for e in (0.1, 1, 10, 100)}
    plans = [("ImageNet-1k", 1_281_167, e, stored[e], fresh[e]) for e in stored]
    plans += [("a billion", 10**9, e, None, fresh[e]) for e in (0.1, 1)]
    day = 86_400
    rows = [
        [name, f"{epochs:g}", "-" if few is None else f"{count * few / day:,.0f}",
         f"{count * every / day:,.0f}"]
        for name, count, epochs, few, every in plans
    ]  # fmt: skip
    return [
        f"At these rates ({teachers:.3g} s a view of all teachers, {student:.3g} s of the "
        "student's step; two cores, these small canvases), by the formula of "
        "[What a distillation costs](../../docs/explanation/what-it-costs.md), without decoding:",
        "",
        *table(f"images | epochs | days with {VIEWS} stored views | days with fresh views", rows),
        "",
    ]


def _break_even(record: Mapping[str, Any], name: str) -> str:
    """The first epoch at whose end it has taken less time than the online loop."""
    if name in ("ideal", "online"):
        return ""
    epochs = record["settings"]["epochs"]
    build, learning = (_median(record, name, part) for part in ("build", "learning"))
    online = _median(record, "online", "total")
    for epoch in range(1, epochs + 1):
        if build + learning * epoch / epochs < online * epoch / epochs:
            return str(epoch)
    return "none"


if __name__ == "__main__":
    sys.exit(main())
