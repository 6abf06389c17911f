"""Images a second on a GPU: ours beside a bare loop, eager and compiled, online and cached.

    python -m benchmarks.gpu [--device cuda] [--sides 224,448] [--modes eager,compiled]
                             [--batch 64] [--steps 60] [--peak 989] [--profile PATH] [--tiny]

A ViT-B student that is trained in full, teachers of the architectures of DINOv2-B, CLIP-B/16 and
SAM-B with random weights, bfloat16. The bare loop has its one batch on the device; ours decodes
images, and counts all that a step has. `--device cpu --tiny` runs through it all, for a test; its
figures mean nothing.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import ROOT, machine, table, write_results
from benchmarks.random_teachers import MODELS, environment, write_teachers
from kivfm_core.config import build_config, dump_config
from kivfm_core.scenes.write import write_scenes

MODES = ("eager", "compiled")
TINY = {"random/vit-tiny": "vit_tiny_patch16_224"}


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--sides", default="224,448")
    parser.add_argument("--modes", default="eager,compiled")
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--workers", type=int, default=12, help="that decode, of ours")
    parser.add_argument("--peak", type=float, default=989.0, help="dense bf16 TFLOP/s of the chip")
    parser.add_argument("--tiny", action="store_true", help="small networks, for a test")
    parser.add_argument("--profile", help="where files go on where a bare step's time goes")
    args = parser.parse_args()
    where = machine()  # before we make it busy
    rows: list[dict[str, Any]] = []
    shown = ""
    for side in map(int, args.sides.split(",")):
        with TemporaryDirectory() as folder:
            for row in _measure(Path(folder), side, args):
                rows.append({"side": side, **row})
                print(rows[-1], flush=True)
                facts = {"machine": where, "settings": vars(args), "rows": rows}
                shown = write_results("gpu", facts, page)
    print(shown)


def _prepare(root: Path, side: int, args: argparse.Namespace) -> dict[str, Any]:
    """Writes teachers and images; the settings of a run with them."""
    weights = write_teachers(root, TINY if args.tiny else MODELS, side)
    write_scenes(root / "scenes", train=4 * args.batch, val=0, per_class=0)
    return {
        "recipe": "levels",
        "teachers": ",".join(weights),
        "weights": weights,
        "student.model": f"timm/vit_{'tiny' if args.tiny else 'base'}_patch16_224",
        "student.weights": "none",
        "student.trunk_size": side,
        "data.path": str(root / "scenes" / "train" / "images"),
        "data.image_size": side,
        "data.memory": 64.0,
        "data.workers": args.workers,
        "optim.batch_size": args.batch,
        "optim.steps": args.steps,
        "optim.calibration": args.batch,
        "engine.precision": "bf16-mixed",
        "checkpoint.every": 10**6,
    }


def _measure(root: Path, side: int, args: argparse.Namespace) -> Iterator[dict[str, Any]]:
    """The bare loops, and ours, with teachers online and cached."""
    flags = _prepare(root, side, args)
    for answers in ("online", "cached"):
        own = {**flags, "data.views": int(answers == "cached")}
        (root / f"{answers}.toml").write_text(dump_config(build_config(None, own)))
    modes = sorted(args.modes.split(","), key=MODES.index)  # networks are compiled in place
    words = [str(root), args.device, str(args.steps), ",".join(modes)]
    if args.profile:
        words.append(f"{args.profile}-{side}")
    command = [sys.executable, "-m", "benchmarks.gpu.measure", *words]
    with subprocess.Popen(
        command, cwd=ROOT, env=environment(root), stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith("{"):
                yield json.loads(line)
    if process.returncode:
        raise SystemExit(f"benchmarks.gpu.measure ended with {process.returncode}")


def page(record: Mapping[str, Any]) -> list[str]:
    """Rates and shares of the peak, as lines."""
    settings = record["settings"]
    gpu = settings["device"] == "cuda"
    rows = [
        [
            str(row["side"]), row["mode"], row["answers"], row["who"],
            f"{row['images_per_second']:.1f}", f"{row['gflops']:.1f}",
            f"{row['images_per_second'] * row['gflops'] / settings['peak'] / 10:.1f} %"
            if gpu else "-",
            f"{row['data_share']:.0%}" if "data_share" in row else "-",
        ]
        for row in record["rows"]
    ]  # fmt: skip
    return [
        "# On a GPU",
        "",
        *([] if gpu and not settings["tiny"] else ["A test of the script: figures mean nothing.",
                                                   ""]),
        f"{settings['batch']} views a step, bfloat16, peak {settings['peak']} TFLOP/s.",
        "",
        *table("pixels | mode | teachers | who | images/s | GFLOP an image | of the peak | "
               "waiting for data", rows),
        "",
    ]  # fmt: skip


if __name__ == "__main__":
    main()
