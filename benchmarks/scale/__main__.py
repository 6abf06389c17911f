"""Filling a cache with one process and with two: images a second, and whether they are equal.

    python -m benchmarks.scale [--images 256] [--teacher vit_small_patch16_224] [--rounds 2]

A teacher with random weights runs on one stored view of each image, at 224 pixels, in processes of
one thread each. The whole command is timed on `--images` images and on twice as many. The
difference is the time of the second half, without the start.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks.common import kivfm, machine, table, write_results
from benchmarks.random_teachers import environment, write_teachers
from kivfm_core.cache.meta import list_stores
from kivfm_core.config import build_config, dump_config
from kivfm_core.scenes.write import write_scenes

SIDE, TEACHER, STUDENT = 224, "random/vit", "timm/vit_tiny_patch16_224"
BAR = 1.6


def main() -> None:
    """Measures, prints and writes the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description=__doc__)
    parser.add_argument("--images", type=int, default=256)
    parser.add_argument(
        "--teacher", default="vit_small_patch16_224", help="an architecture of timm"
    )
    parser.add_argument("--rounds", type=int, default=2)
    args = parser.parse_args()
    where = machine()  # before we make it busy
    with TemporaryDirectory() as name:
        root = Path(name)
        weights = write_teachers(root, {TEACHER: args.teacher}, SIDE)
        for count in (args.images, 2 * args.images):
            write_scenes(root / str(count), train=count, val=0, per_class=0)
        rounds = [_round(root, weights, args.images, number) for number in range(args.rounds)]
    facts = {"machine": where, "settings": vars(args), "rounds": rounds}
    print(write_results("scale", facts, page))


def _round(root: Path, weights: dict[str, str], images: int, number: int) -> dict[str, Any]:
    """Seconds by the number of processes and images, in turn; and whether the caches are equal."""
    seconds: dict[str, dict[str, float]] = {"1": {}, "2": {}}
    equal = True
    for count in (images, 2 * images):
        records: list[dict[str, Any]] = []
        for devices in ("1", "2"):
            cache = root / f"cache-{number}-{count}-{devices}"
            config = root / "build.toml"
            config.write_text(dump_config(_config(root / str(count), weights, cache, devices)))
            words = ("cache", "build", "--config", str(config))
            seconds[devices][str(count)] = kivfm(*words, threads=1, env=environment(root))
            records.append(_records(cache))
        equal = equal and records[0] == records[1]
    return {"seconds": seconds, "equal": equal}


def _config(scenes: Path, weights: dict[str, str], cache: Path, devices: str) -> Any:
    return build_config(
        None,
        {
            "teachers": [TEACHER],
            "student.model": STUDENT,
            "weights": weights,
            "data.path": str(scenes / "train" / "images"),
            "data.image_size": [SIDE],
            "data.views": 1,
            "data.workers": 0,
            "cache.path": str(cache),
            "engine.accelerator": "cpu",
            "engine.devices": int(devices),
        },
    )


def _records(cache: Path) -> dict[str, Any]:
    """All that a cache holds, by store, image and view."""
    found: dict[str, Any] = {}
    for folder, store in list_stores(cache):
        places = sorted(store.places)
        found[folder.name] = [(place, store.read([place])[0].tobytes()) for place in places]
    return found


def page(record: Mapping[str, Any]) -> list[str]:
    """The results as markdown."""
    images = record["settings"]["images"]
    rows: list[list[str]] = []
    gains: list[float] = []
    for number, own in enumerate(record["rounds"], 1):
        times = own["seconds"]
        rates = {d: images / (times[d][str(2 * images)] - times[d][str(images)]) for d in times}
        gains.append(rates["2"] / rates["1"])
        whole = [f"{times[d][str(2 * images)]:.1f}" for d in ("1", "2")]
        steady = [f"{rates[d]:.1f}" for d in ("1", "2")]
        rows.append([str(number), *whole, *steady, f"{gains[-1]:.2f}"])
    same = all(own["equal"] for own in record["rounds"])
    columns = "round | one process, s | two, s | one process, images/s | two, images/s | two by one"
    return [
        "# Several processes that share images",
        "",
        f"`kivfm cache build` of {2 * images} images, one view of {SIDE} pixels each, a teacher "
        f"`{record['settings']['teacher']}`, one thread a process. Seconds are those of the whole "
        f"command; images/s are those of its second half.",
        "",
        *table(columns, rows),
        "",
        f"Median gain {median(gains):.2f} (bar: at least {BAR}). The caches are "
        f"{'equal' if same else 'NOT EQUAL'}, bit for bit.",
        "",
    ]


if __name__ == "__main__":
    main()
