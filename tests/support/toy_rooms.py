"""Rooms of known depth: images with their depth beside them, in the format `depth`."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from PIL import Image

SIZE = (72, 96)


def write_rooms(folder: Path, number: int, seed: int) -> Path:
    """Floors that go from 10 meters at the top to 2 at the bottom, with boxes that stand on them.

    What is far is darker. The depth of the first half lies in PNGs, of the others in `.npy` files.
    """
    draw = np.random.default_rng(seed)
    for name in ("images", "depth"):
        (folder / name).mkdir(parents=True)
    for index in range(number):
        depth = np.broadcast_to(np.geomspace(10, 2, SIZE[0])[:, None], SIZE).copy()
        color = np.broadcast_to(draw.uniform(0.7, 1, 3), (*SIZE, 3)).copy()
        for foot in np.sort(draw.integers(30, SIZE[0], 3)):
            left, height, width = draw.integers(0, 76), draw.integers(15, 30), draw.integers(10, 20)
            box = slice(max(0, foot - height), foot), slice(left, left + width)
            depth[box] = depth[foot - 1, 0]
            color[box] = draw.uniform(0.5, 1, 3)
        pixels = 255 * color * (2 / depth[..., None]) ** 0.5
        Image.fromarray(pixels.astype(np.uint8)).save(folder / f"images/{index:02}.png")
        if index < number // 2:
            steps = Image.fromarray((1000 * depth).astype(np.uint16))
            steps.save(folder / f"depth/{index:02}.png")
        else:
            np.save(folder / f"depth/{index:02}.npy", depth.astype(np.float32))
    return folder
