"""Three real teachers into one student, on real photos, through the command line.

    python -m benchmarks.real [--name NAME] [--run RUN] [--then FLAGS] [-- FLAGS OF kivfm distill]

A ViT-Tiny (the base), a YOLOX-nano and a DeepLab on MobileNetV2 are distilled on unlabeled photos,
with `--classifier` a SqueezeNet, too; then the student is measured beside each of them. With
`--four-tasks` it is a YOLOv8n-seg in place of the YOLOX, and the SqueezeNet, on more photos. Needs
the assets, `../shared/assets`.
"""

from __future__ import annotations

import json
import os
import shlex
import sys
from pathlib import Path

from benchmarks.common import ROOT, commit, cut, kivfm, loop_seconds, machine
from benchmarks.real.commands import (
    CLASSIFIER,
    FOUR_TASKS,
    MASKS,
    MEASURED,
    TEACHERS,
    distilling,
    evaluating,
    parser,
)
from benchmarks.real.record import markdown, write
from benchmarks.real.split import measured, split
from kivfm_core.runs.run import open_run

HERE = Path(__file__).parent


def main() -> None:
    """Splits, distills, evaluates, records."""
    os.chdir(ROOT)
    known = parser("benchmarks.real", __doc__)
    known.add_argument("--name", default="real", help="of the run and of its results")
    known.add_argument("--run", type=Path, help="evaluate this run instead of distilling one")
    known.add_argument("--then", help="go on, with these flags in place of the first ones")
    also = known.add_mutually_exclusive_group()
    also.add_argument("--classifier", action="store_true", help="a SqueezeNet is a teacher, too")
    also.add_argument("--four-tasks", action="store_true", help="instance segmentation, too")
    own, flags = cut(sys.argv[1:])
    args = known.parse_args(own)
    four: bool = args.four_tasks
    place = Path("runs/real-data-four" if four else "runs/real-data")
    pool, held_out = split(args.assets / "data", place, scenes=four)

    run = args.run or Path("runs") / args.name
    teachers = FOUR_TASKS if four else TEACHERS | (CLASSIFIER if args.classifier else {})
    data = args.assets / "data"
    tasks = (*MEASURED, MASKS) if four else MEASURED
    evaluate = evaluating(measured(data, held_out), data, run, args.limit, tasks)
    where = machine()  # before we make it busy
    if not args.run:
        kivfm(*distilling(teachers, args.assets / "weights", pool, run, flags))
        if args.then:
            again = ("distill", "--resume", str(run), "--allow-changes")
            kivfm(*again, *shlex.split(args.then))
    seconds = {"evaluate": kivfm(*evaluate), "distill": loop_seconds(run)}
    student = open_run(run).composition
    # As the run itself recorded it: with --run, it was not this call that distilled.
    recorded = json.loads((run / "environment.json").read_text())
    lines = [*(line[1:] for line in (*recorded.get("earlier", []), recorded["argv"])), evaluate]
    record = {
        "name": args.name,
        "commands": [shlex.join(["kivfm", *line]) for line in lines],
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


if __name__ == "__main__":
    main()
