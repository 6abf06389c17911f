"""The labels of the pool's images, which no distillation reads: the object at each pixel."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.unlabeled import Images
from kivfm_core.scenes import DOMAINS
from training.pool import Sample, draw

# Of the demo's scenes.
SEED = 0


def write_labels(pool: Path, file: Path) -> None:
    """Draws the pool's scenes once more, for their labels alone; once.

    Args:
        pool: Images that `write_scenes` named after their number.
        file: Where the labels go.
    """
    if file.is_file():
        return
    owners: dict[str, np.ndarray] = {}
    words: dict[str, list[tuple[str, str, str]]] = {}
    for image in sorted(pool.iterdir()):
        index = int(image.stem)
        _, owners[image.stem], words[image.stem] = draw(index, DOMAINS[index % len(DOMAINS)], SEED)
    file.parent.mkdir(parents=True, exist_ok=True)
    aside = file.with_suffix(".partial.npz")
    np.savez_compressed(aside, words=np.array(json.dumps(words)), **owners)  # type: ignore[arg-type]
    os.replace(aside, file)


def read_samples(images: Images, file: Path) -> Sequence[Sample]:
    """The images as they are on disk, with their labels, in their own order."""
    with np.load(file) as content:
        words = json.loads(str(content["words"]))
        return [
            Sample(
                to_tensor(images.open(place)),
                torch.from_numpy(content[Path(name).stem])[None],
                words[Path(name).stem],
                DOMAINS[int(Path(name).stem) % len(DOMAINS)],
            )
            for place, name in enumerate(images)
        ]
