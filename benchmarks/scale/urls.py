"""Images at URLs against local files: images per second at 20 ms a request.

    python -m benchmarks.scale.urls [--rounds 3] [--images 400] [--steps 60] [--latency 20]

A tar of photo-sized JPEGs is read from the disk, by http:// and by s3://, in turn, from a server on
this machine that delays each answer. Nothing fetched is kept, so each image is a request. The
server takes processor time from the cores of its clients, which a real store would not. A
distillation's rate is that of its training loop. The ratio to the disk's rate is taken in a round.
"""

from __future__ import annotations

import argparse
import io
import os
import subprocess
import sys
import tarfile
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from benchmarks.common import ROOT, loop_seconds, machine, table, write_results
from kivfm_core.config import build_config
from kivfm_core.data.remote.url import locate
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distillation.engine import distill
from kivfm_core.embedding.embed import embed
from kivfm_core.models.open import open_model

# Share of the disk's rate that may be lost.
BAR = 0.1
SIZE, BATCH, SIDE = (640, 480), 16, 64
TAR = "photos/train.tar"


def main() -> int:
    """Measures, prints and writes the table; 1 if the bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale.urls", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--images", type=int, default=400)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--latency", type=float, default=20.0, help="of a request, milliseconds")
    args = parser.parse_args()
    with TemporaryDirectory() as name:
        root = Path(name)
        size = _write_tar(root / TAR, args.images)
        with _server(root, args.latency) as address:
            places = {"disk": str(root / TAR), "http": f"{address}/{TAR}", "s3": f"s3://{TAR}"}
            for place in places.values():
                find_images(locate(place))  # reads the tar's list, which is stored
            rounds = [
                {kind: _measure(root, place, args.steps) for kind, place in places.items()}
                for _ in range(args.rounds)
            ]
    record = {
        "machine": machine(),
        "latency": args.latency,
        "images": args.images,
        "image_bytes": size,
        "rounds": rounds,
        "lost": {
            kind: {what: _lost(rounds, kind, what) for what in rounds[0][kind]}
            for kind in ("http", "s3")
        },
    }
    print(write_results("scale.urls", record, page))
    return int(any(lost > BAR for found in record["lost"].values() for lost in found.values()))


def _write_tar(path: Path, count: int) -> int:
    """Writes a tar of smooth noise, as large as photos; returns the mean bytes of an image."""
    path.parent.mkdir()
    rng, total = np.random.default_rng(0), 0
    with tarfile.open(path, "w") as tar:
        for number in range(count):
            small = Image.fromarray(rng.integers(0, 255, (60, 80, 3), dtype=np.uint8))
            content = io.BytesIO()
            small.resize(SIZE).save(content, "JPEG", quality=90)
            member = tarfile.TarInfo(f"{number:06d}.jpg")
            member.size = len(content.getvalue())
            total += member.size
            content.seek(0)
            tar.addfile(member, content)
    return total // count


@contextmanager
def _server(folder: Path, latency: float) -> Generator[str]:
    """Serves a folder with delay; yields the address, and sets it in the environment for S3."""
    command = [sys.executable, "-m", "benchmarks.scale.slow_server", str(folder), str(latency)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as server:
        try:
            assert server.stdout is not None
            address = f"http://127.0.0.1:{int(server.stdout.readline())}"
            os.environ |= {
                "AWS_ENDPOINT_URL": address,
                "AWS_ACCESS_KEY_ID": "none",
                "AWS_SECRET_ACCESS_KEY": "none",
                "AWS_DEFAULT_REGION": "us-east-1",
                "XDG_CACHE_HOME": str(folder / "home"),
                "KIVFM_URL_CACHE": "0",
            }
            yield address
        finally:
            server.terminate()


def _measure(root: Path, place: str, steps: int) -> dict[str, float]:
    """Images per second of `embed`, and of `distill` without and with loader processes."""
    model, began = open_model("dino/nano", "cpu"), time.perf_counter()
    done = embed(model, place, root / "features.npz")
    rates = {"embed": done.images / (time.perf_counter() - began)}
    for workers in (0, 2):
        flags = {
            "teachers": "dino/nano,clip/nano",
            "data.path": place,
            "data.image_size": SIDE,
            "data.workers": workers,
            "optim.batch_size": BATCH,
            "optim.calibration": BATCH,
            "optim.steps": steps,
            "engine.accelerator": "cpu",
        }
        with TemporaryDirectory(dir=root) as name:
            run = distill(build_config(None, flags), out=Path(name) / "run")
            rates[f"distill, {workers} loaders"] = steps * BATCH / loop_seconds(run, 3)
    return {what: round(rate, 1) for what, rate in rates.items()}


def _lost(rounds: Sequence[Mapping[str, Any]], kind: str, what: str) -> float:
    """The median share of the disk's rate that is lost."""
    return round(median(1 - each[kind][what] / each["disk"][what] for each in rounds), 3)


def page(record: Mapping[str, Any]) -> list[str]:
    """The page's lines."""
    rounds, lost = record["rounds"], record["lost"]
    rows = [
        [
            what,
            *(f"{median(each[kind][what] for each in rounds):.0f}" for kind in rounds[0]),
            *(f"{100 * lost[kind][what]:.0f} %" for kind in lost),
        ]
        for what in rounds[0]["disk"]
    ]
    return [
        "# Images at URLs",
        "",
        f"One tar of {record['images']} JPEGs of {record['image_bytes'] // 1000} kB from the disk, "
        f"and from a server that answers each request after {record['latency']:g} ms. Every image "
        f"is a request. Images per second, medians of {len(rounds)} rounds; what is lost is the "
        f"median of each round's own ratio to the disk (bar: at most {100 * BAR:.0f} %):",
        "",
        *table("what | disk | http:// | s3:// | lost by http:// | lost by s3://", rows),
        "",
    ]


if __name__ == "__main__":
    sys.exit(main())
