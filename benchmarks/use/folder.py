"""Labeling a folder: speed beside a bare loop, memory by the number of images, the start.

    python -m benchmarks.use.folder [--rounds 3] [--images 500] [--memory 500,2000,10000]
                                    [--side 640]

The bare loop decodes the same batches, encodes and decodes them with the same teacher, and keeps
nothing; labeling also maps results to the image, and saves them. Both run in one process, in
turn. Peak memory is that of a command. One image's start is measured in seconds of processor time,
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
KEYS = ("images_per_second", "processor_ms")
# The bare loop and labeling in turn, in one process; the first round warms up and is not printed.
SPEEDS = """
import json, sys, time
from pathlib import Path
from kivfm_core.data import batches as module
from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.models.open import open_model
from kivfm_core.prediction.folder import predict_folder
name, task, folder, out, rounds = sys.argv[1:]
model = open_model(name)
teacher = model.solver(name)
paths = sorted(Path(folder).rglob("*.jpg"))
groups = [batch.indices for batch in module.batches(paths, teacher.spec.input)]
def bare(number):
    for group in groups:
        images = [to_tensor(open_image(paths[index])) for index in group]
        canvases, frames = make_canvases(images, teacher.spec.input)
        teacher.decode(task, teacher.encode(canvases, frames))
def labeled(number):
    predict_folder(model, folder, task, Path(out, str(number)))
def timed(work, number):
    wall, processor = time.perf_counter(), time.process_time()
    work(number)
    wall, processor = time.perf_counter() - wall, time.process_time() - processor
    return {"images_per_second": len(paths) / wall, "processor_ms": 1000 * processor / len(paths)}
found = [
    {work.__name__: timed(work, number) for work in (bare, labeled)}
    for number in range(int(rounds) + 1)
]
print(json.dumps(found[1:]))
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
        record = {
            "machine": machine(),
            "images": args.images,
            "side": args.side,
            "rounds": _speeds(root, folder, args.rounds),
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


def _speeds(root: Path, folder: Path, rounds: int) -> list[dict[str, dict[str, float]]]:
    """Images a second, and milliseconds of processor time an image, of both in every round."""
    said = subprocess.run(
        [sys.executable, "-c", SPEEDS, TEACHER, TASK, str(folder), str(root / "out"), str(rounds)],
        cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True,
    ).stdout  # fmt: skip
    print(said, flush=True)
    return json.loads(said)


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
    speed = median(_share(found, "images_per_second") for found in record["rounds"])
    memory = [found["MiB"] for found in record["memory"].values()]
    bare, ours = (median(times) for times in record["start"].values())
    return speed, memory[-1] / memory[0], ours / bare


def _share(found: Mapping[str, Any], key: str) -> float:
    return found["labeled"][key] / found["bare"][key]


def page(record: Mapping[str, Any]) -> list[str]:
    """Three tables, as lines."""
    speed, memory, start = _shares(record)
    rounds = [
        [str(i), *(f"{found[who][key]:.1f}" for key in KEYS for who in ("bare", "labeled")),
         *(f"{_share(found, key):.2f}" for key in KEYS)]
        for i, found in enumerate(record["rounds"], 1)
    ]  # fmt: skip
    work = median(_share(found, "processor_ms") for found in record["rounds"])
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
        *table(
            "round | bare loop, images/s | labeled and saved, images/s | bare, processor ms"
            " an image | labeled, processor ms | share of speed | of processor time",
            rounds,
        ),
        "",
        f"Median share of speed {speed:.2f} (bar: at least {SPEED}). Labeling takes {work:.2f} "
        "times the processor time of the bare loop, which a busy machine changes less.",
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
