"""Heads on real images: on a student, on its base alone, and on the same ViT by plain PyTorch.

    python -m benchmarks.heads.real --run RUN [--seeds 0,1,2] [--steps 500] [--tasks TASK,...]

CamVid's street scenes (semantic segmentation, 46 to learn from and 17 to score), COCO (detection,
96 and 49), CIFAR-10 (classification, 2,000 and 500). All networks are frozen; heads, steps and
seeds are the same, and each head is scored once, after its last step. Intervals are over images and
seeds; each draw has the same images for all. RUN is a student on timm's ViT-tiny, as
`python -m benchmarks.real` makes one; its base alone gives three depths before its last map, and so
does the plain script. Needs the assets, `../shared/assets`. Exit code 1 if the student does not
beat its base on a dense task by more than the interval, or loses on the global one by more.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from benchmarks.common import ROOT, machine, table, write_results
from benchmarks.heads import plain
from benchmarks.heads.heads import Job, as_cells, load_labels, numbers, row, score, train
from benchmarks.real.commands import parser
from kivfm_core.composition.student_teacher import whole_images
from kivfm_core.evaluation.bootstrap import resample
from kivfm_core.evaluation.seeds import Drawn, average
from kivfm_core.heads.table import HEADS
from kivfm_core.predictions import ClassLogits
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.registry import find_task
from kivfm_core.runs.run import open_run

# CamVid's eleven classes in the order of their values; what is above is void.
CAMVID = (
    "sky", "building", "pole", "road", "pavement", "tree", "sign", "fence", "car", "pedestrian",
    "bicyclist",
)  # fmt: skip
VIT, WEIGHTS = "vit_tiny_patch16_224", "vit_tiny_patch16_224.augreg_in21k_ft_in1k.pth"
GLOBAL = "classification"
BASE, STUDENT, SCRIPT = "the base alone", "the student", "timm's ViT-tiny, plain PyTorch"


def main() -> int:
    """Trains, scores, and writes the table."""
    os.chdir(ROOT)
    known = parser("benchmarks.heads.real", __doc__)
    known.add_argument("--run", type=Path, required=True, help="a student on timm's ViT-tiny")
    known.add_argument("--seeds", type=numbers, default="0,1,2")
    known.add_argument("--steps", type=int, default=500)
    known.add_argument("--tasks", default=",".join(_jobs(Path(), 1)), help="some of them")
    known.add_argument("--out", type=Path, default=Path("runs/heads-real"), help="for the heads")
    args = known.parse_args()
    _link_camvid(args.assets / "data/camvid", args.out / "camvid")
    jobs = _jobs(args.assets / "data", args.steps, args.out / "camvid")
    chosen = [jobs[name] for name in args.tasks.split(",") if jobs[name].kind in HEADS]
    found = [_measure(args, job) for job in chosen]
    facts = {"machine": machine(), "run": str(args.run), "seeds": args.seeds, "steps": args.steps}
    print(write_results("heads.real", {**facts, "tasks": found}, page))
    return int(not all(_holds(task) for task in found))


def _jobs(data: Path, steps: int, camvid: Path = Path()) -> dict[str, Job]:
    """The heads by task."""
    rows = (
        ("semantic-segmentation", "dense-linear", camvid / "train", camvid / "val"),
        ("detection", "fcos", data / "coco_photos", data / "coco_val"),
        (GLOBAL, "linear", data / "cifar10/train", data / "cifar10/test"),
    )
    return {task: Job(task, kind, str(a), str(b), steps) for task, kind, a, b in rows}


def _link_camvid(data: Path, out: Path) -> None:
    """Links CamVid's folders as `images/` and `semantic/`, and names its classes."""
    for part in ("train", "val"):
        (out / part).mkdir(parents=True, exist_ok=True)
        for name, folder in (("images", part), ("semantic", f"{part}annot")):
            (out / part / name).mkdir(exist_ok=True)
            for file in (data / folder).iterdir():
                link = out / part / name / file.name
                if not link.is_symlink():
                    link.symlink_to(file.resolve())
        (out / part / "semantic/classes.json").write_text(json.dumps(CAMVID))


def _measure(args: Any, job: Job) -> dict[str, Any]:
    """All networks at a task, averaged over the seeds; differences are to the base alone."""
    drawn: list[Drawn] = []
    for name, flags in ((BASE, ("--base-alone",)), (STUDENT, ())):
        for seed in args.seeds:
            out = args.out / f"{job.task}-{'base' if flags else 'student'}-{seed}"
            drawn.append(score(train(args.run, job, seed, out, *flags), job, name=f"{name}/{seed}"))
    if job.task in BY_HAND:
        side = whole_images(open_run(args.run).composition).size
        features = plain.Features(VIT, args.assets / "weights" / WEIGHTS, side)
        drawn += [_score_by_hand(features, job, seed) for seed in args.seeds]
    rows = average(drawn, {one.model: one.model.partition("/")[0] for one, _ in drawn})
    return {
        "task": job.task,
        "kind": job.kind,
        "metric": rows[0].metric,
        "scores": {one.model: one.score for one, _ in drawn},
        "rows": [one.model_dump(mode="json") for one in rows],
    }


def _score_by_hand(features: plain.Features, job: Job, seed: int) -> Drawn:
    """What the plain script's head scores, by the same meter."""
    learn, val = load_labels(job.task, job.train), load_labels(job.task, job.val)
    found = BY_HAND[job.task](features, learn, val, job.steps, seed)
    meter = resolve_reference(find_task(job.task).meter)(val, learn.classes)
    images = range(len(val.paths))
    meter.update(found, images, [])
    value = meter.compute()
    draws = resample([meter], images, len(images))[0]
    return row(f"{SCRIPT}/{seed}", job, value, len(images)), draws


@dataclass(frozen=True)
class Maps:
    """Scores of classes in the images' own pixels, as the meter reads them."""

    scores: Sequence[Tensor]

    def to_original(self, frames: Sequence[Any]) -> Sequence[Tensor]:
        """`[K, H, W]`, one an image."""
        return self.scores


def _segment(features: plain.Features, learn: Any, val: Any, steps: int, seed: int) -> Maps:
    pairs = [*zip(learn.paths, learn.masks, strict=True)]
    return Maps(plain.segment(features, pairs, val.paths, len(learn.classes), steps, seed))


def _classify(features: plain.Features, learn: Any, val: Any, steps: int, seed: int) -> ClassLogits:
    pairs = [*zip(learn.paths, learn.targets, strict=True)]
    return ClassLogits(plain.classify(features, pairs, val.paths, len(learn.classes), steps, seed))


# A detector by hand is torchvision's own, which `fcos` is.
BY_HAND = {"semantic-segmentation": _segment, GLOBAL: _classify}


def _holds(task: Mapping[str, Any]) -> bool:
    """Whether the student beats its base by more than the interval, or loses nothing."""
    student = next(one for one in task["rows"] if one["group"] == STUDENT)
    low, high = student["difference_interval"]
    return high >= 0 if task["task"] == GLOBAL else low > 0


def page(record: Mapping[str, Any]) -> list[str]:
    """A table a task, as lines."""
    lines = [
        "# Heads on real images",
        "",
        f"Frozen features of `{record['run']}`, of its base alone, and of the same ViT by plain"
        f" PyTorch. {len(record['seeds'])} seeds, {record['steps']} steps each, scored once, after"
        " the last. ± is the deviation between seeds; intervals are 95 %, about images and seeds,"
        " each draw on the same images.",
        "",
    ]
    for task in record["tasks"]:
        head = f"{task['task']}, `{task['kind']}` | {task['metric']} | less the base alone | beyond"
        lines += [*table(head, [as_cells(one) for one in task["rows"]]), ""]
    return lines


if __name__ == "__main__":
    sys.exit(main())
