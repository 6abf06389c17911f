"""Labeling a folder: speed beside a bare loop, memory by the number of images, the start.

    python -m benchmarks.use.folder [--rounds 3] [--images 500] [--memory 500,2000,10000]
                                    [--side 640]

The bare loop decodes the same batches, encodes and decodes them with the same teacher, and keeps
nothing; labeling also maps results to the image, and saves them. Both are processes of their own,
in turn. Peak memory is a process's. One image's start is measured in seconds of processor time,
which a busy machine does not change, beside `import torch, torchvision`. Exit code 1 if a bar is
missed.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from benchmarks.common import ROOT, machine, table, write_results

TEACHER, TASK = "detector/nano", "detection"
KIVFM = str(Path(sys.executable).with_name("kivfm"))
IMPORT = "import torch, torchvision"
# Labeling's images a second by the bare loop's, at least; memory of most images by that of fewest,
# and one image's time by that of importing, at most.
SPEED, MEMORY, START = 0.9, 1.1, 1.15
# A process prints what it found; its own peak memory is what it has, not what its parent had.
BARE = """
import sys, time
from pathlib import Path
from kivfm_core.data import batches as module
from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.teacher import load_teacher
teacher = load_teacher(sys.argv[1])
paths = sorted(Path(sys.argv[3]).rglob("*.jpg"))
groups = [batch.indices for batch in module.batches(paths, teacher.spec.input)]
began = time.perf_counter()
for group in groups:
    images = [to_tensor(open_image(paths[index])) for index in group]
    canvases, frames = make_canvases(images, teacher.spec.input)
    teacher.decode(sys.argv[2], teacher.encode(canvases, frames))
print(len(paths) / (time.perf_counter() - began))
"""


def main() -> int:
    """Measures, prints and writes the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.use.folder", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=500)
    parser.add_argument("--memory", default="500,2000,10000", help="numbers of images")
    parser.add_argument("--side", type=int, default=640, help="of the images, in pixels")
    args = parser.parse_args()
    counts = [int(word) for word in args.memory.split(",")]
    with TemporaryDirectory() as name:
        root = Path(name)
        _write_images(root / "one", args.side)
        folder = _copies(root, args.images)
        speeds = [_speeds(root, folder, number) for number in range(args.rounds)]
        record = {
            "machine": machine(),
            "images": args.images,
            "side": args.side,
            "rounds": speeds,
            "memory": {str(count): _memory(root, _copies(root, count)) for count in counts},
            "start": _starts(next((root / "one").iterdir()), args.rounds),
        }
    print(write_results("use.folder", record, page))
    found = _shares(record)
    return int(found[0] < SPEED or found[1] > MEMORY or found[2] > START)


def _write_images(folder: Path, side: int) -> None:
    """Drawn images, enlarged to the size of a photo, as JPEG."""
    from PIL import Image

    from kivfm_core.scenes.write import write_scenes

    write_scenes(folder.parent / "scenes", train=40, val=0, per_class=0)
    folder.mkdir()
    for path in sorted((folder.parent / "scenes/train/images").iterdir()):
        with Image.open(path) as image:
            scale = side / max(image.size)
            size = round(image.width * scale), round(image.height * scale)
            image.convert("RGB").resize(size).save(folder / f"{path.stem}.jpg", quality=90)


def _copies(root: Path, count: int) -> Path:
    """A folder of so many images: the same again and again, by links."""
    folder = root / f"images-{count}"
    if not folder.exists():
        folder.mkdir()
        sources = sorted((root / "one").iterdir())
        for number in range(count):
            os.link(sources[number % len(sources)], folder / f"{number:06}.jpg")
    return folder


def _label(root: Path, folder: Path) -> dict[str, Any]:
    """Labels a folder; what the command says of it, and its peak memory in MiB."""
    out = root / f"labels-{len(os.listdir(root))}"
    code = (
        "import resource, subprocess, sys\n"
        "done = subprocess.run(sys.argv[1:], stdout=subprocess.PIPE, check=True)\n"
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024)\n"
        "print(done.stdout.decode())"
    )
    words = [KIVFM, "predict", TEACHER, str(folder), "--task", TASK, "-o", str(out), "--json"]
    said = subprocess.run(
        [sys.executable, "-c", code, *words],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, check=True,
    ).stdout  # fmt: skip
    peak, _, rest = said.partition("\n")
    return {**json.loads(rest), "MiB": float(peak)}


def _speeds(root: Path, folder: Path, number: int) -> dict[str, float]:
    bare = subprocess.run(
        [sys.executable, "-c", BARE, TEACHER, TASK, str(folder)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    found = {"bare": float(bare), "labeled": _label(root, folder)["images_per_second"]}
    print(found, flush=True)
    return found


def _memory(root: Path, folder: Path) -> dict[str, float]:
    began = perf_counter()
    found = {"MiB": _label(root, folder)["MiB"], "seconds": round(perf_counter() - began, 1)}
    print(folder.name, found, flush=True)
    return found


def _starts(image: Path, rounds: int) -> dict[str, list[float]]:
    """Seconds of processor time of each process in every round but the first, which compiles."""
    commands = {
        IMPORT: [sys.executable, "-c", IMPORT],
        f"kivfm predict {TEACHER}": [KIVFM, "predict", TEACHER, str(image), "--task", TASK],
    }
    seconds: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(rounds + 1):
        for name, words in commands.items():
            before = _spent()
            environment = {**os.environ, "OMP_NUM_THREADS": "1"}  # waiting threads spend time, too
            environment.pop("PYTHONDONTWRITEBYTECODE", None)
            subprocess.run(words, env=environment, check=True, capture_output=True)
            if number:
                seconds[name].append(round(_spent() - before, 3))
    return seconds


def _spent() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _shares(record: Mapping[str, Any]) -> tuple[float, float, float]:
    speed = median(found["labeled"] / found["bare"] for found in record["rounds"])
    memory = [found["MiB"] for found in record["memory"].values()]
    bare, ours = (median(times) for times in record["start"].values())
    return speed, memory[-1] / memory[0], ours / bare


def page(record: Mapping[str, Any]) -> list[str]:
    """Three tables, as lines."""
    speed, memory, start = _shares(record)
    rounds = [
        [str(i), f"{found['bare']:.1f}", f"{found['labeled']:.1f}",
         f"{found['labeled'] / found['bare']:.2f}"]
        for i, found in enumerate(record["rounds"], 1)
    ]  # fmt: skip
    sizes = [
        [count, f"{found['MiB']:.0f}", f"{found['seconds']:.0f}"]
        for count, found in record["memory"].items()
    ]
    starts = [[f"`{name}`", f"{median(t):.2f}"] for name, t in record["start"].items()]
    return [
        "# Labeling a folder",
        "",
        f"`kivfm predict {TEACHER} FOLDER --task {TASK}`, {record['images']} JPEG images of "
        f"{record['side']} pixels:",
        "",
        *table("round | bare loop, images/s | labeled and saved, images/s | share", rounds),
        "",
        f"Median share {speed:.2f} (bar: at least {SPEED}).",
        "",
        *table("images | peak memory, MiB | seconds", sizes),
        "",
        f"The last by the first: {memory:.2f} (bar: at most {MEMORY}).",
        "",
        *table("process | processor time, s", starts),
        "",
        f"Share {start:.2f} (bar: at most {START}).",
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
