"""One pass, every task: what it costs beside single tasks and the teachers, and what tasks lose.

    python -m benchmarks.use.one_pass [--runs RUN...] [--data DIR] [--rounds 9] [--blocks 15]

Times are the process's own seconds on one thread, from an image's pixels to predictions in its
pixels, without decoding the file: medians of rounds in which all take turns, two for the large
ones. The students of clip, dino and sam and of the three real teachers have random weights, which
do not change what is timed. What tasks lose is measured on finished runs of nano teachers. Exit
code 1 if all tasks cost more than 1.3 times the most expensive one, the real teachers' student is
not 1.5 times, or the large ones' not 3 times as fast as its teachers one after the other.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import NANO, machine, table, write_results
from benchmarks.use.lost import measure_lost
from kivfm_core.composition.compose import compose
from kivfm_core.config import build_config
from kivfm_core.data.canvas import make_canvases
from kivfm_core.student.one_pass import EncoderPass, SharedPass, SoloPass, groups
from kivfm_core.student.student import Student
from kivfm_core.teacher import Decoders, LoadedTeacher
from kivfm_core.testing.images import make_image

REAL = "timm/vit_tiny_patch16_224.augreg_in21k_ft_in1k,yolox/nano,deeplab/mnv2-voc"
# By name: the teachers, the settings of their student, and the image's height and width.
STUDENTS: dict[str, tuple[str, dict[str, Any], tuple[int, int]]] = {
    "nano": (NANO, {"student.width": 192}, (120, 160)),
    # As in benchmarks/real/results/vit-tiny-two-cores.md.
    "real": (
        REAL,
        {
            "data.image_size": 320,
            "data.teacher_size": 513,
            "student.trunk_size": 513,
            "student.hidden": 192,
            "student.width": 256,
        },
        (480, 640),
    ),
    "large": ("clip,dino,sam", {}, (480, 640)),
}
# Times as fast as the teachers, at least.
FASTER = {"real": 1.5, "large": 3.0}
MOST = 1.3
CPU = torch.device("cpu")


def main() -> int:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.use.one_pass", description=__doc__)
    parser.add_argument("--runs", nargs="*", default=[], help="finished runs of nano teachers")
    parser.add_argument("--data", default="runs/demo-data/val", help="what they are measured on")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--blocks", type=int, default=15, help="of images, that intervals rest on")
    parser.add_argument("--students", nargs="*", default=[*STUDENTS], choices=[*STUDENTS])
    args = parser.parse_args()
    torch.set_num_threads(1)
    seconds = {name: _time(name, args.rounds if name != "large" else 2) for name in args.students}
    record = {
        "machine": machine(),
        "seconds": seconds,
        "lost": [measure_lost(Path(run), args.data, args.blocks) for run in args.runs],
    }
    print(write_results("use.one_pass", record, page))
    return int(not all(_holds(name, found) for name, found in seconds.items()))


def _time(name: str, rounds: int) -> dict[str, float]:
    """Median seconds of each way to solve tasks for an image."""
    teachers, settings, size = STUDENTS[name]
    torch.manual_seed(0)
    plan = compose(build_config(None, {"teachers": teachers, **settings}))
    student = Student(plan).eval()
    student.decoders = {spec.name: Decoders(spec).eval() for spec in plan.teachers}
    image, names = make_image(*size, 0), [spec.name for spec in plan.teachers]
    (every,) = groups(student, names, None)
    ways = {"every task": _way([SharedPass(every, CPU)], image)}
    for one in names:
        alone = SoloPass(student.stand_in(one))
        ways[f"stand-in {one}"] = _way([alone], image)
        ways[f"teacher {one}"] = _way([SoloPass(_teacher(student, one))], image)
    found: dict[str, list[float]] = {way: [] for way in ways}
    for number in range(rounds + 1):
        for way, solve in ways.items():
            began = time.process_time()
            solve()
            if number:  # the first warms up
                found[way].append(time.process_time() - began)
    print(name, {way: round(median(took), 4) for way, took in found.items()}, flush=True)
    return {way: median(took) for way, took in found.items()}


def _teacher(student: Student, name: str) -> LoadedTeacher:
    spec = next(spec for spec in student.composition.teachers if spec.name == name)
    teacher = LoadedTeacher(spec)
    teacher.decoders = student.decoders[name]
    return teacher


def _way(passes: Sequence[EncoderPass], image: Tensor) -> Callable[[], None]:
    """Solves all tasks of some passes; the texts of zero-shot classes are given once."""
    labels = torch.nn.functional.normalize(torch.randn(80, 512), dim=1)

    def solve() -> None:
        for one in passes:
            levels = one.encode(*make_canvases([image], one.input))
            for solver, own in zip(one.solvers, levels, strict=True):
                done: set[str] = set()
                for task in solver.spec.tasks:
                    if task.part in done:
                        continue  # tasks of one decoder share its run
                    done.add(task.part)
                    if task.task == "zero-shot":
                        _ = own["global"] @ labels[:, : own["global"].shape[1]].T
                        continue
                    prompt = None
                    if task.task == "promptable-segmentation":
                        middle = own.frames[0].to_canvas(image.shape[2] / 2, image.shape[1] / 2)
                        prompt = solver.prompt(task.task, points=[torch.tensor([middle])])
                    solver.decode(task.task, own, prompt).to_original(own.frames)

    return solve


def _ratios(found: Mapping[str, float]) -> tuple[float, float]:
    """All tasks / the most expensive single stand-in, and the teachers' sum / all tasks."""
    every = found["every task"]
    alone = max(took for way, took in found.items() if way.startswith("stand-in"))
    teachers = sum(took for way, took in found.items() if way.startswith("teacher"))
    return every / alone, teachers / every


def _holds(name: str, found: Mapping[str, float]) -> bool:
    cost, faster = _ratios(found)
    return cost <= MOST and faster >= FASTER.get(name, 0)


def page(record: Mapping[str, Any]) -> list[str]:
    """What it costs, and what each task loses."""
    rows: list[list[str]] = []
    for name, found in record["seconds"].items():
        cost, faster = _ratios(found)
        by = {
            kind: [took for way, took in found.items() if way.startswith(kind)]
            for kind in ("stand-in", "teacher")
        }
        rows.append(
            [
                name,
                f"{1000 * found['every task']:.0f}",
                " + ".join(f"{1000 * took:.0f}" for took in by["stand-in"]),
                " + ".join(f"{1000 * took:.0f}" for took in by["teacher"]),
                f"{cost:.2f}",
                f"{MOST}",
                f"{faster:.2f}",
                f"{FASTER[name]}" if name in FASTER else "",
            ]
        )
    lines = [
        "# One pass, every task",
        "",
        "Milliseconds of one thread for one image: the student's one pass with all decoders, its "
        "stand-ins one by one on their teachers' canvases, and the teachers themselves.",
        "",
        *table(
            "student | every task | stand-ins alone | teachers | of the most expensive stand-in | "
            "at most | times as fast as the teachers | at least",
            rows,
        ),
        "",
        *(f"- {name}: `{STUDENTS[name][0]}`" for name in record["seconds"]),
        "",
    ]
    for lost in record["lost"]:
        lines += _lost_lines(lost)
    if note := record.get("note"):
        lines += [note, ""]
    return lines


def _lost_lines(lost: Mapping[str, Any]) -> list[str]:
    rows = [
        [
            row["teacher"],
            row["task"],
            f"{row['own']:.3f}",
            f"{row['shared']:.3f}",
            f"{row['lost']:+.1%}",
            f"{row['low']:+.1%} to {row['high']:+.1%}",
        ]
        for row in lost["rows"]
    ]
    return [
        f"What each task loses on the shared canvas ({lost['canvas']} pixels on the short side), "
        f"beside its teacher's own: {lost['run']}, {lost['steps']} steps, seed {lost['seed']}, "
        f"up to {lost['images']} images; 95 % intervals of a paired bootstrap over "
        f"{lost['blocks']} blocks of images.",
        "",
        *table("teacher | task | own canvas | shared | lost | 95 %", rows),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
