"""Growth: steps with more teachers, starts with more images, and predictions of runs.

    python -m benchmarks.growth [--teachers 1,2,4,8] [--images 1000,10000,100000,1000000]
                                [--steps 40] [--runs 4]

Teachers are alike, of ViT-Ti's architecture with random weights, and run in every step; the
student is the same. Starts are measured on tars of empty images: at first sight, when the tar is
read through, and again, when its index is cached. Everything is a process of its own. Predictions
are those of the second run of a kind and later ones, from what the runs before took.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, kivfm, machine, table, write_results
from benchmarks.growth.tars import write_tar
from benchmarks.random_teachers import environment, write_teachers
from kivfm_core.config import build_config, dump_config
from kivfm_core.scenes.write import write_scenes

SIDE, BATCH, PICTURES = 64, 16, 64
MODEL, STUDENT = "vit_tiny_patch16_224", "timm/vit_tiny_patch16_224"
# Prints a command's peak memory in MiB; a process that was started by a large one has its peak.
PEAK = """
import os, subprocess, sys
_, status, usage = os.wait4(subprocess.Popen(sys.argv[1:]).pid, 0)
print(usage.ru_maxrss / 1024)
sys.exit(bool(status))
"""
KIND = "dino/nano,clip/nano,sam/nano"


def main() -> None:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--teachers", type=_numbers, default="1,2,4,8")
    parser.add_argument("--images", type=_numbers, default="1000,10000,100000,1000000")
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--runs", type=int, default=4, help="of a kind, to predict all but one")
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        root = Path(name)
        names = [f"random/vit-tiny-{number}" for number in range(max(args.teachers))]
        weights = write_teachers(root, dict.fromkeys(names, MODEL), SIDE)
        write_scenes(root / "scenes", train=PICTURES, val=0, per_class=0)
        record = {
            "machine": machine(),
            "steps": args.steps,
            "teachers": [_teachers(root, weights, n, args.steps) for n in args.teachers],
            "predictions": _predictions(root, args.runs, args.steps),
            "images": [_start(root, number) for number in args.images],
        }
    print(write_results("growth", record, page))


def _numbers(text: str) -> list[int]:
    return [int(word) for word in text.split(",")]


def _teachers(root: Path, weights: Mapping[str, str], number: int, steps: int) -> dict[str, float]:
    """A run with so many teachers: milliseconds a step, and memory at most in MiB."""
    chosen = dict([*weights.items()][:number])
    flags = {
        "recipe": "levels",
        "teachers": ",".join(chosen),
        "weights": chosen,
        "student.model": STUDENT,
        "student.weights": "none",
        "student.trunk_size": SIDE,
        "data.path": str(root / "scenes" / "train" / "images"),
        "data.image_size": SIDE,
        "optim.batch_size": BATCH,
        "optim.steps": steps,
        "optim.calibration": BATCH,
        "checkpoint.every": 10**6,
    }
    file, run = root / f"{number}.toml", root / f"run-{number}"
    file.write_text(dump_config(build_config(None, flags)))
    command = str(Path(sys.executable).with_name("kivfm"))
    words = [command, "distill", "--config", str(file), "--out", str(run)]
    done = subprocess.run(
        [sys.executable, "-c", PEAK, *words],
        env=environment(root),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    entries = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    rates = [entry["images_per_second"] for entry in entries]
    rates = rates[1:] or rates  # the first steps warm up
    found = {
        "teachers": number,
        "ms": 1000 * BATCH / median(rates),
        "MiB": float(done.stdout.split()[-1]),
    }
    print(found, flush=True)
    return found


def _start(root: Path, number: int) -> dict[str, Any]:
    """A start on so many images, at first sight and again."""
    tar = root / f"{number}.tar"
    write_tar(tar, number)
    words = [sys.executable, "-m", "benchmarks.growth.start", str(tar)]
    found: dict[str, Any] = {"images": number, "tar_MiB": tar.stat().st_size / 2**20}
    for when in ("first", "again"):
        done = subprocess.run(
            words, cwd=ROOT, env=environment(root), stdout=subprocess.PIPE, text=True, check=True
        )
        found[when] = json.loads(done.stdout.splitlines()[-1])
    tar.unlink()
    print(found, flush=True)
    return found


def _predictions(root: Path, runs: int, steps: int) -> list[dict[str, Any]]:
    """Seconds that runs of one kind were predicted and took, the later half twice as long."""
    found: list[dict[str, Any]] = []
    for number in range(runs):
        length = steps * (2 if number >= runs / 2 else 1)
        run = root / f"kind-{number}"
        kivfm("distill", "--teachers", KIND, "--data", str(root / "scenes" / "train" / "images"),
              "--image-size", str(SIDE), "--steps", str(length), "--set", "data.views=2",
              "--set", f"optim.calibration={PICTURES}", "--out", str(run), log=root / "log",
              env=environment(root))  # fmt: skip
        costs = json.loads((run / "costs.json").read_text())
        facts = {key: costs[key] for key in ("predicted_seconds", "took_seconds")}
        found.append({"steps": length, **facts})
        print(found[-1], flush=True)
    return found


def page(record: Mapping[str, Any]) -> list[str]:
    """Three tables, as lines."""
    first = record["teachers"][0]
    steps = [
        [str(r["teachers"]), f"{r['ms']:.1f}", f"{r['ms'] / first['ms']:.2f}", f"{r['MiB']:.0f}"]
        for r in record["teachers"]
    ]
    starts = [
        [f"{r['images']:,}", *(f"{r[when]['seconds']:.2f}" for when in ("first", "again")),
         *(f"{r[when]['most'] - r[when]['before']:.0f}" for when in ("first", "again"))]
        for r in record["images"]
    ]  # fmt: skip
    runs = [
        [str(r["steps"]), _seconds(r["predicted_seconds"]), _seconds(r["took_seconds"]), _error(r)]
        for r in record["predictions"]
    ]
    return [
        "# Growth",
        "",
        f"Teachers `{MODEL}`, student `{STUDENT}`, {SIDE} pixels, {BATCH} views a step, "
        f"{record['steps']} steps, {record['machine']['threads']} threads:",
        "",
        *table("teachers | ms a step | of the first | memory at most, MiB", steps),
        "",
        "A run's start on a tar of images, until the first batch is drawn; memory is what that "
        "adds to the process:",
        "",
        *table("images | seconds at first sight | again | MiB at first sight | again", starts),
        "",
        f"Runs of one kind (`{KIND}`, two stored views, {SIDE} pixels):",
        "",
        *table("steps | predicted, s | took, s | error", runs),
        "",
    ]


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.1f}"


def _error(run: Mapping[str, Any]) -> str:
    predicted, took = run["predicted_seconds"], run["took_seconds"]
    return "-" if predicted is None else f"{100 * (predicted / took - 1):+.1f} %"


if __name__ == "__main__":
    main()
