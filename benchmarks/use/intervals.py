"""What intervals cost: 1,000 draws of AP beside one computation of it, on random images.

python -m benchmarks.use.intervals 500
"""

from __future__ import annotations

import sys
import time
from pathlib import Path

import numpy as np
import torch

from kivfm_core.data.formats.coco import CocoData
from kivfm_core.evaluation.bootstrap import DRAWS, resample
from kivfm_core.tasks.meters.coco_ap import AveragePrecision

# As COCO has: classes, objects an image, and detections an image, most of them wrong.
CLASSES, OBJECTS, FOUND, SIDE = 80, 7, 100, 640


def measure_cost(images: int) -> dict[str, float]:
    """Seconds for one computation, and for all draws."""
    random = np.random.default_rng(0)
    names = tuple(str(number) for number in range(CLASSES))
    boxes = random.uniform(20, SIDE / 2, (images, OBJECTS, 4))
    labels = random.integers(CLASSES, size=(images, OBJECTS))
    data = CocoData(
        tuple(Path(f"{i}.jpg") for i in range(images)),
        tuple({"id": i + 1, "height": SIDE, "width": SIDE} for i in range(images)),
        tuple(
            [
                {"category_id": int(label), "bbox": box.tolist(), "iscrowd": 0}
                for box, label in zip(*own, strict=True)
            ]
            for own in zip(boxes, labels, strict=True)
        ),
        tuple({"id": number, "name": name} for number, name in enumerate(names)),
    )
    meter = AveragePrecision(data, names, "bbox")
    for index in range(images):
        near = boxes[index] + random.normal(0, 5, (OBJECTS, 4))
        away = random.uniform(20, SIDE / 2, (FOUND - OBJECTS, 4))
        found = torch.from_numpy(np.concatenate([near, away]))
        found[:, 2:] = found[:, :2] + found[:, 2:].clamp(min=1)
        other = random.integers(CLASSES, size=FOUND - OBJECTS)
        scores = np.concatenate(
            [random.uniform(0.3, 1, OBJECTS), random.uniform(0, 0.6, len(other))]
        )
        named = torch.from_numpy(np.concatenate([labels[index], other]))
        meter.add(index, {"boxes": found, "scores": torch.from_numpy(scores), "labels": named})
    began = time.monotonic()
    meter.compute()
    computed = time.monotonic()
    resample([meter], range(images), images)
    return {"once": computed - began, "draws": time.monotonic() - computed}


def main() -> None:
    """Prints the seconds for each number of images that is given."""
    for images in map(int, sys.argv[1:] or ["500"]):
        cost = measure_cost(images)
        print(
            f"{images} images: AP once {cost['once']:.2f} s, {DRAWS} draws {cost['draws']:.2f} s,"
            f" {DRAWS * cost['once'] / cost['draws']:.0f} times as fast as computing each"
        )


if __name__ == "__main__":
    main()
