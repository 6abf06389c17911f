"""lightly-train, by its own command in an environment of its own: none of its code comes here.

Its teachers are DINOv2 and DINOv3 alone, so it gets DINOv3's ViT-S/16, of the same width and depth,
with four more tokens; its loss compares similarities with a queue. Images are files; its own time
for a batch is counted, which leaves reading them out.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from statistics import fmean

import numpy as np
from PIL import Image

from benchmarks.engine import work

PEER = "lightly-train"
# First steps of each call, which are not counted.
WARM = 3
QUIET = {"NO_ALBUMENTATIONS_UPDATE": "1", "LIGHTLY_DID_VERSION_CHECK": "True"}


def write_images(folder: Path, steps: int) -> None:
    """Writes as many as a block of steps takes."""
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(work.BATCH * (WARM + steps)):
        pixels = random.integers(256, size=(work.SIDE, work.SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:05d}.png")


def block(environment: Path, folder: Path) -> float:
    """Milliseconds a step on average over a block; `folder` holds `data`."""
    settings = {
        "out": folder / "out",
        "data": folder / "data",
        "overwrite": "true",
        "model": f"timm/{work.STUDENT}",
        "model_args.dynamic_img_size": "true",
        "method": "distillationv1",
        "method_args.teacher": "dinov3/vits16-notpretrained",
        "batch_size": work.BATCH,
        "epochs": 1,
        "num_workers": 0,
        "accelerator": "cpu",
        "precision": "32-true",
        "optim": "adamw",
        "transform_args.image_size": f"[{work.SIDE},{work.SIDE}]",
        "transform_args.color_jitter": "null",
        "transform_args.random_gray_scale": "null",
        "transform_args.gaussian_blur": "null",
        "trainer_args.log_every_n_steps": 1,
        "loggers.tensorboard": "null",
    }
    words = [f"{key}={value}" for key, value in settings.items()]
    command = str(environment / "bin" / PEER)
    own = {k: v for k, v in os.environ.items() if k != "PYTHONPATH"}
    subprocess.run([command, "pretrain", *words], check=True, capture_output=True, env=own | QUIET)
    lines = (folder / "out" / "metrics.jsonl").read_text().splitlines()
    took = [entry.get("profiling/batch_time") for entry in map(json.loads, lines)]
    return 1000 * fmean([seconds for seconds in took if seconds is not None][WARM:])
