"""Three real teachers into one student, on real photographs, through the command line.

    python -m benchmarks.real [--name NAME] [--run RUN] [--then FLAGS] [-- FLAGS OF kivfm distill]

A ViT-Tiny (the base), a YOLOX-nano and a DeepLab on MobileNetV2 are distilled on unlabeled photos;
then the student is measured beside each of them. Needs the assets, `../shared/assets`.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import sys
from pathlib import Path

from benchmarks.common import ROOT, commit, cut, kivfm, loop_seconds, machine
from benchmarks.real.record import markdown, write
from benchmarks.real.split import split
from kivfm_core.run import open_run

HERE = Path(__file__).parent
WEIGHTS = {
    "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k": (
        "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth"
    ),
    "yolox/nano": "yolox_nano.coco80.pth",
    "deeplab/mnv2-voc": "deeplabv3_mnv2.voc21.pth",
}


def main() -> None:
    """Splits, distills, evaluates, records."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.real", description=__doc__)
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--name", default="real", help="of the run and of its results")
    parser.add_argument("--run", type=Path, help="evaluate this run instead of distilling one")
    parser.add_argument("--then", help="go on, with these flags in place of the first ones")
    parser.add_argument("--limit", type=int, help="at most so many pictures a task")
    own, flags = cut(sys.argv[1:])
    args = parser.parse_args(own)
    os.chdir(ROOT)
    if not args.assets.is_dir():
        parser.error(f"no {args.assets}: these weights and photos are not part of kivfm")
    pool, held_out = split(args.assets / "data", Path("runs/real-data"))

    run = args.run or Path("runs") / args.name
    distilling = _distill(args.assets / "weights", pool, run, flags)
    evaluate = _evaluate(args.assets / "data", held_out, run, args.limit)
    where = machine()  # before we make it busy
    if not args.run:
        kivfm(*distilling[1:])
        if args.then:
            again = ("distill", "--resume", str(run), "--allow-changes")
            kivfm(*again, *shlex.split(args.then))
    seconds = {"evaluate": kivfm(*evaluate[1:]), "distill": loop_seconds(run)}
    student = open_run(run).composition
    # As the run itself recorded it: with --run, it was not this call that distilled.
    known = json.loads((run / "environment.json").read_text())
    lines = [*known.get("earlier", []), known["argv"]]
    record = {
        "name": args.name,
        "commands": [*(shlex.join(["kivfm", *line[1:]]) for line in lines), shlex.join(evaluate)],
        "commit": commit(),
        "seconds": seconds,
        "machine": where,
        "pool": sum(1 for _ in pool.rglob("*.*")),
        "trainable": student.trainable,
        "parameters": student.total,
        "evaluation": json.loads((run / "evaluation.json").read_text()),
    }
    page = write(record, HERE / "results")
    print(markdown(record))
    print(f"written: {page.relative_to(ROOT)}, {page.with_suffix('.json').name}")


def _distill(weights: Path, pool: Path, run: Path, flags: list[str]) -> list[str]:
    files = [w for name, file in WEIGHTS.items() for w in ("--weights", f"{name}={weights / file}")]
    words = ["kivfm", "distill", "--teachers", ",".join(WEIGHTS), *files]
    return [*words, "--data", str(pool), "--out", str(run), *flags]


def _evaluate(data: Path, held_out: Path, run: Path, limit: int | None) -> list[str]:
    sources = (
        f"classification={held_out}",
        f"detection={data / 'coco_val'}",
        f"detection={data / 'coco_val_boxes'}",
        f"semantic-segmentation={data / 'coco_val'}",
        f"knn={data / 'cifar10' / 'test'}",
    )
    words = ["kivfm", "evaluate", str(run)]
    for source in sources:
        words += ["--data", source]
    return words + (["--limit", str(limit)] if limit else [])


if __name__ == "__main__":
    main()
