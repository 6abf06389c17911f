"""Images with measured depth: for each a PNG of steps, or a NumPy file of meters. Torch-free."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.lib.format import open_memmap
from numpy.typing import NDArray
from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from kivfm_core.data.formats.class_maps import check_size
from kivfm_core.data.formats.reading import ReadingNotes, check_record, read_json
from kivfm_core.data.images import is_image_file
from kivfm_core.data.labeled_images import pick
from kivfm_core.data.members import open_stored
from kivfm_core.errors import DataError, printable
from kivfm_core.task import LabeledImages, LabelFormat

DEPTH = LabelFormat(
    name="depth",
    read="kivfm_core.data.formats.depth:read_depth",
    needs="depth/NAME.png (16 bits, millimeters) or depth/NAME.npy (meters) beside images/",
    example='{"unit": 0.001}, in depth/depth.json: meters a step of the PNG files',
)

# Meters a step of a PNG: depth cameras write millimeters.
MILLIMETERS = 0.001
# Pillow's modes of a PNG with 16 bits: the last in its earlier versions.
MODES = ("I;16", "I;16B", "I")
# The file that has the step; the second is that of the first versions of kivfm-transformers.
UNITS = ("depth.json", "scale.json")
# Farther than this is infinite where numbers have 32 bits.
FARTHEST = np.finfo(np.float32).max
MEND = "save [height, width] meters as .npy, or 16-bit gray as .png"


@dataclass(frozen=True)
class DepthData(LabeledImages):
    """Images with a map of depth each.

    Attributes:
        paths: The images.
        maps: The map of each: a PNG of whole numbers, or a `.npy` of meters.
        unit: Meters a step of a PNG.
        notes: What was passed over when the data was read, a line each.
    """

    paths: tuple[Path, ...]
    maps: tuple[Path, ...]
    unit: float = MILLIMETERS
    notes: tuple[str, ...] = ()

    def pick(self, indices: Sequence[int]) -> Self:
        """The images of these indices, with their maps."""
        return replace(self, paths=pick(self.paths, indices), maps=pick(self.maps, indices))

    def depth(self, index: int) -> NDArray[np.float64]:
        """An image's depth `[H, W]` in meters; zero where it was not measured.

        What is zero, below zero, NaN or infinite was not measured.

        Raises:
            DataError: If the file cannot be read, or is no map of numbers.
        """
        file = self.maps[index]
        meters = _values(file) * (1.0 if file.suffix == ".npy" else self.unit)
        return np.where((meters > 0) & (meters <= FARTHEST), meters, 0.0)


class _Unit(BaseModel):
    model_config = ConfigDict(strict=True)

    unit: float = Field(gt=0, allow_inf_nan=False, validation_alias=AliasChoices("unit", "scale"))


def read_depth(path: Path) -> DepthData | None:
    """`depth/NAME.png` or `depth/NAME.npy` beside `images/NAME.*`; None if there is no such folder.

    Images and maps may lie in folders inside, of the same names.

    Raises:
        DataError: If no image has a map of its name, a map is none or has another size than its
            image, or the step of the PNG files is no length.
    """
    images, maps = path / "images", path / "depth"
    if not images.is_dir() or not maps.is_dir():
        return None
    notes = ReadingNotes()
    pairs: list[tuple[Path, Path]] = []
    for image in (one for one in sorted(images.rglob("*")) if is_image_file(one.name)):
        stem = (maps / image.relative_to(images)).with_suffix("")
        file = next((f for end in (".npy", ".png") if (f := Path(f"{stem}{end}")).is_file()), None)
        if file is None:
            notes.add("images without a map of depth, passed over", image.name)
            continue
        check_size(image, _size(file), "map of depth")
        pairs.append((image, file))
    if not pairs:
        raise DataError(
            f"no image of {printable(images)} has a map of its name in {printable(maps)}",
            f"write {printable(maps)}/NAME.png or NAME.npy for {printable(images)}/NAME.jpg",
        )
    paths, files = zip(*pairs, strict=True)
    return DepthData(paths, files, _unit(maps), notes.lines())


def _unit(maps: Path) -> float:
    """The meters of a step of the PNG files, from a file in their folder or beside it."""
    files = (folder / name for folder in (maps, maps.parent) for name in UNITS)
    file = next((one for one in files if one.is_file()), None)
    if file is None:
        return MILLIMETERS
    try:
        return check_record(file, "the step of PNG files", read_json(file), _Unit).unit
    except DataError as error:
        raise DataError(error.message, 'write {"unit": 0.001} for millimeters') from error


def _size(file: Path) -> tuple[int, int]:
    """Width and height of a map, whose values are not read.

    Raises:
        DataError: If it is no map of depth.
    """
    if file.suffix == ".npy":
        height, width = _mapped(file).shape
        return width, height
    try:
        with open_stored(file) as opened:
            mode, size = opened.mode, opened.size
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise DataError(f"cannot open the map of depth {printable(file)}: {error}") from error
    if mode not in MODES:
        raise DataError(f"{printable(file)} has no 16 bits a pixel (its mode is {mode})", MEND)
    return size


def _values(file: Path) -> NDArray[Any]:
    """The values of a map `[H, W]` as they are stored."""
    if file.suffix == ".npy":
        return _mapped(file).astype(np.float64)
    try:
        with open_stored(file) as opened:
            return np.asarray(opened).astype(np.float64)
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise DataError(f"cannot decode the map of depth {printable(file)}: {error}") from error


def _mapped(file: Path) -> NDArray[Any]:
    """The array of a `.npy` file, on disk.

    A header that promises more than the file holds takes no memory, and no object is unpickled.
    """
    try:
        found: NDArray[Any] = open_memmap(file, mode="r")
    except Exception as error:  # a hostile file can make a decoder raise anything
        raise DataError(f"cannot read {printable(file)}: {error}", MEND) from error
    if found.ndim != 2 or found.dtype.kind not in "uif":
        raise DataError(
            f"{printable(file)} is an array {found.shape} of {found.dtype}, not a map of depths",
            MEND,
        )
    return found
