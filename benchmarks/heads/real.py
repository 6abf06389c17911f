"""Heads on real images: on a student, on its base alone, and on the same ViT by plain PyTorch.

    python -m benchmarks.heads.real --run RUN [--seeds 0,1,2] [--steps 500] [--tasks TASK,...]
        [--parts TASK,...] [--every 1] [--canvas N]

CamVid's street scenes (semantic segmentation, 46 to learn from and 17 to score), COCO (detection,
96 and 49), CIFAR-10 (classification, 2,000 and 500). All networks are frozen; heads, steps and
seeds are the same, and each head is scored once, after its last step. Intervals are over images and
seeds; each draw has the same images for all. RUN is a student on timm's ViT-tiny, as
`python -m benchmarks.real` makes one. Heads on it read its own maps and its base's three depths
before the last map; on its base alone, the last map and the depths, and so does the plain script.
With `--parts`, heads on parts of the student's features show where a gain comes from. Needs the
assets, `../shared/assets`. Exit code 1 if the student does not beat its base on a dense task by
more than the interval, or loses on the global one by more.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from benchmarks.common import ROOT, machine, table, write_results
from benchmarks.heads import plain
from benchmarks.heads.heads import Job, as_cells, load_labels, numbers, row
from benchmarks.heads.kept import Kept
from benchmarks.real.commands import parser
from kivfm_core.composition.head import with_depths
from kivfm_core.composition.student_teacher import whole_images
from kivfm_core.evaluation.bootstrap import resample
from kivfm_core.evaluation.seeds import Drawn, average
from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits, Detections
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
    known.add_argument("--steps", type=numbers, default="500", help="for all, or for each task")
    known.add_argument("--tasks", default=",".join(_jobs(Path(), Path(), {})), help="some of them")
    known.add_argument("--parts", default="", help="tasks with heads on parts of the features too")
    known.add_argument("--every", type=int, default=1, help="take each N-th image of CIFAR-10")
    known.add_argument("--canvas", type=int, help="side in pixels; by default as kivfm head has it")
    known.add_argument("--out", type=Path, default=Path("runs/heads-real"), help="for the heads")
    args = known.parse_args()
    # Heads that were trained on other canvases or images are others.
    args.out /= f"{args.run.name}-{args.canvas or 'own'}-{args.every}"
    _link_camvid(args.assets / "data/camvid", args.out / "camvid")
    _link_cifar(args.assets / "data/cifar10", args.out / "cifar10", args.every)
    chosen = args.tasks.split(",")
    steps = dict(zip(chosen, args.steps * len(chosen), strict=False))
    jobs = _jobs(args.assets / "data", args.out, steps)
    found = [_measure(args, jobs[name]) for name in chosen]
    facts = {"machine": machine(), "run": str(args.run), "seeds": args.seeds, "every": args.every}
    facts["canvas"] = args.canvas or whole_images(open_run(args.run).composition).size
    print(write_results("heads.real", {**facts, "tasks": found}, page))
    return int(not all(_holds(task) for task in found))


def _jobs(data: Path, linked: Path, steps: Mapping[str, int]) -> dict[str, Job]:
    """The heads by task."""
    camvid, cifar = linked / "camvid", linked / "cifar10"
    rows = (
        ("semantic-segmentation", "dense-linear", camvid / "train", camvid / "val"),
        ("detection", "fcos", data / "coco_photos", data / "coco_val"),
        (GLOBAL, "linear", cifar / "train", cifar / "test"),
    )
    return {task: Job(task, kind, str(a), str(b), steps.get(task, 0)) for task, kind, a, b in rows}


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


def _link_cifar(data: Path, out: Path, every: int) -> None:
    """Links each N-th image of each class."""
    for part in ("train", "test"):
        for folder in sorted((data / part).iterdir()):
            (out / part / folder.name).mkdir(parents=True, exist_ok=True)
            for file in sorted(folder.iterdir())[::every]:
                link = out / part / folder.name / file.name
                if not link.is_symlink():
                    link.symlink_to(file.resolve())


def _parts(run: Path) -> dict[str, Sequence[str]]:
    """Parts of what a dense head on the student reads, by the names of their rows."""
    plan = open_run(run).composition
    own = [known.name for known in plan.maps]
    depths = [known.name for known in with_depths(plan).maps if known.name not in own]
    parts = {"V alone": own[:1], "its own maps": own, "V and the base's depths": [own[0], *depths]}
    return {f"{STUDENT}, {name}": read for name, read in parts.items()}


def _measure(args: Any, job: Job) -> dict[str, Any]:
    """All networks at a task, averaged over the seeds; differences are to the base alone."""
    drawn: list[Drawn] = []
    for whole in (BASE, STUDENT):
        kept = Kept(args.run, job, whole == BASE, args.canvas)
        read: dict[str, Sequence[str] | None] = {whole: None}
        if whole == STUDENT and job.task in args.parts.split(","):
            read |= _parts(args.run)
        for name, names in read.items():
            for seed in args.seeds:
                out = args.out / f"{job.task}-{name.replace(', ', '-').replace(' ', '-')}-{seed}"
                drawn.append(kept.score(f"{name}/{seed}", seed, out, names))
    side = args.canvas or whole_images(open_run(args.run).composition).size
    features = plain.Features(VIT, args.assets / "weights" / WEIGHTS, side)
    drawn += [_score_by_hand(features, job, seed) for seed in args.seeds]
    rows = average(drawn, {one.model: one.model.partition("/")[0] for one, _ in drawn})
    return {
        "task": job.task,
        "kind": job.kind,
        "steps": job.steps,
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
    meter.update(found, images, [_whole(path) for path in val.paths])
    value = meter.compute()
    draws = resample([meter], images, len(images))[0]
    return row(f"{SCRIPT}/{seed}", job, value, len(images)), draws


def _whole(path: Path) -> Frame:
    """The frame of an image that is its own canvas."""
    with Image.open(path) as image:
        size = (image.height, image.width)
    return Frame(size, (0, 0, size[1], size[0]), size, (0, 0), size)


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


def _detect(features: plain.Features, learn: Any, val: Any, steps: int, seed: int) -> Detections:
    names, objects = learn.classes, list[tuple[Path, Tensor, Tensor]]()
    for index, path in enumerate(learn.paths):
        pairs = learn.objects(index, names)
        boxes = torch.tensor([item["bbox"] for _, item in pairs]).reshape(-1, 4).float()
        corners = torch.cat([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], 1)
        objects.append((path, corners, torch.tensor([label for label, _ in pairs]).long()))
    found = plain.detect(features, objects, val.paths, len(names), steps, seed)
    boxes, scores, labels = ([one[key] for one in found] for key in ("boxes", "scores", "labels"))
    return Detections(boxes, scores, labels)


BY_HAND = {"semantic-segmentation": _segment, "detection": _detect, GLOBAL: _classify}


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
        f" PyTorch, on canvases of {record['canvas']} pixels. {len(record['seeds'])} seeds, each"
        " head scored once, after its last step. ± is the deviation between seeds; intervals are"
        " 95 %, about images and seeds, each draw on the same images.",
        "",
    ]
    for task in record["tasks"]:
        what = f"{task['task']}, `{task['kind']}`, {task['steps']} steps"
        head = f"{what} | {task['metric']} | less the base alone | beyond"
        lines += [*table(head, [as_cells(one) for one in task["rows"]]), ""]
    return lines


if __name__ == "__main__":
    sys.exit(main())
