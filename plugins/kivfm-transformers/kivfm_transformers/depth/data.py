"""Images with measured depth: a PNG or a NumPy file for every image. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.errors import DataError
from kivfm_core.task import LabeledImages

IMAGES = frozenset({".jpg", ".jpeg", ".png", ".webp", ".bmp", ".ppm", ".tif", ".tiff"})
# Meters a unit of a PNG: depth cameras write millimeters.
MILLIMETERS = 0.001


@dataclass(frozen=True)
class DepthData(LabeledImages):
    """Images with a map of depth each.

    Attributes:
        paths: The images.
        maps: The map of each: a PNG of whole numbers, or a `.npy` of meters.
        scale: Meters a unit of a PNG.
    """

    paths: tuple[Path, ...]
    maps: tuple[Path, ...]
    scale: float = MILLIMETERS

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their maps."""
        return replace(
            self,
            paths=tuple(self.paths[i] for i in indices),
            maps=tuple(self.maps[i] for i in indices),
        )

    def depth(self, index: int) -> NDArray[np.float64]:
        """An image's depth `[H, W]` in meters; zero where it was not measured.

        Raises:
            DataError: If the file cannot be read, or is no map of numbers.
        """
        file = self.maps[index]
        try:
            values = _read(file)
        except Exception as error:  # a hostile file can make a decoder raise anything
            raise DataError(f"cannot read {file}: {error}") from error
        if values.ndim != 2 or values.dtype.kind not in "uif":
            raise DataError(
                f"{file} is an array {values.shape} of {values.dtype}, not a map of depths",
                "save 16-bit gray as PNG, or [height, width] meters as .npy",
            )
        meters = values.astype(np.float64) * (1.0 if file.suffix == ".npy" else self.scale)
        return np.where(np.isfinite(meters) & (meters > 0), meters, 0.0)


def _read(file: Path) -> NDArray[Any]:
    if file.suffix == ".npy":
        # Mapped, so that a header that promises more than the file holds takes no memory.
        return np.load(file, mmap_mode="r", allow_pickle=False)
    with Image.open(file) as image:
        return np.asarray(image)


def read_depth(path: Path) -> DepthData | None:
    """`depth/NAME.png` or `depth/NAME.npy` beside `images/NAME.*`; None if there is no such folder.

    Raises:
        DataError: If no image has a map of its name, or `depth/scale.json` is no scale.
    """
    images, maps = path / "images", path / "depth"
    if not images.is_dir() or not maps.is_dir():
        return None
    pairs = [
        (image, file)
        for image in sorted(images.iterdir())
        if image.suffix.lower() in IMAGES and (file := _map_of(image, maps))
    ]
    if not pairs:
        raise DataError(
            f"no image of {images} has a map of its name in {maps}",
            f"write {maps}/NAME.png or {maps}/NAME.npy for {images}/NAME.jpg",
        )
    return DepthData(
        tuple(image for image, _ in pairs), tuple(file for _, file in pairs), _scale(maps)
    )


def _map_of(image: Path, maps: Path) -> Path | None:
    files = (maps / f"{image.stem}{suffix}" for suffix in (".npy", ".png"))
    return next((file for file in files if file.is_file()), None)


def _scale(maps: Path) -> float:
    """Meters a unit of the folder's PNGs."""
    file = maps / "scale.json"
    if not file.is_file():
        return MILLIMETERS
    try:
        scale: Any = json.loads(file.read_text())["scale"]
        number = isinstance(scale, int | float) and not isinstance(scale, bool)
        valid = number and 0 < scale < float("inf")
    except (ValueError, TypeError, KeyError):
        scale, valid = None, False
    if not valid:
        raise DataError(
            f"{file} holds no scale, the meters of one unit of the PNG files",
            'write {"scale": 0.001} for millimeters',
        )
    return float(scale)
