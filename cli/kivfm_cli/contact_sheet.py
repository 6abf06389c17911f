"""A sheet of images with their labels drawn, for a look at data."""

from __future__ import annotations

from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from kivfm_core.data.contents import labels_of
from kivfm_core.data.formats.depth import DepthData
from kivfm_core.data.formats.pairs import PairData
from kivfm_core.data.label_spaces import normalized
from kivfm_core.data.members import open_at
from kivfm_core.data.saving.record import SavedImage
from kivfm_core.errors import DataError, UsageError, printable
from kivfm_core.files import write_chunks
from kivfm_core.prediction.colors import color_of
from kivfm_core.prediction.depth import colored
from kivfm_core.prediction.draw import Drawing
from kivfm_core.predictions import DepthMap
from kivfm_core.task import LabeledImages, spread

# Pixels of the long side of an image, and how many images a sheet has.
SIDE, COUNT, COLUMNS = 640, 12, 4


def write_sheet(data: LabeledImages, file: Path) -> int:
    """Writes a sheet of images, evenly spread over the data.

    Args:
        data: The images and their labels.
        file: The sheet.

    Returns:
        The number of images on it.

    Raises:
        UsageError: If no image of the data can be drawn.
    """
    cells: list[Image.Image] = []
    for index in spread(len(data.paths), COUNT):
        try:
            labels = labels_of(data, index)
            if labels is not None:
                names = getattr(data, "classes", None) or ()
                cell = _draw(_ground(data, index), labels, tuple(names), _texts(data, index))
                cells.append(cell)
        except DataError:
            continue  # it is counted where the data is described
    if not cells:
        raise UsageError("no image of this data can be drawn")
    width, height = (max(getattr(cell, side) for cell in cells) for side in ("width", "height"))
    columns = min(COLUMNS, len(cells))
    sheet = Image.new("RGB", (columns * width, ceil(len(cells) / columns) * height), (24, 24, 24))
    for place, cell in enumerate(cells):
        sheet.paste(cell, (place % columns * width, place // columns * height))
    file.parent.mkdir(parents=True, exist_ok=True)
    content = BytesIO()
    sheet.save(content, Image.registered_extensions()[file.suffix.lower()])
    write_chunks(file, (content.getvalue(),), sync=False)  # whole or not at all
    return len(cells)


def _ground(data: LabeledImages, index: int) -> Image.Image:
    """What labels are drawn on: the image, or its depth in colors."""
    if not isinstance(data, DepthData):
        return open_at(data.paths[index])
    meters = torch.from_numpy(data.depth(index))
    measured = DepthMap(meters.masked_fill(meters == 0, torch.nan), "metric")
    return Image.fromarray(colored(measured).permute(1, 2, 0).numpy())


def _texts(data: LabeledImages, index: int) -> list[str]:
    return [printable(text) for text in data.texts[index]] if isinstance(data, PairData) else []


def _draw(
    image: Image.Image, labels: SavedImage, names: tuple[str, ...], texts: list[str]
) -> Image.Image:
    """An image of a size that fits, with its labels; its name, class and texts stand below."""
    scale = min(1.0, SIDE / max(image.size))
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    pixels = np.array(image.resize(size))
    drawing = Drawing(torch.from_numpy(pixels).permute(2, 0, 1), threshold=0.0)
    lines = [labels.file, *texts]
    colors = [(24, 24, 24)] * len(lines)
    if labels.class_map is not None:
        found = np.unique(labels.class_map[labels.class_map >= 0]).tolist()
        shown = [place for place in found if normalized(names[place]) != "background"]
        masks = [_fit(labels.class_map == place, size) for place in shown]
        if masks:
            drawing.masks(torch.from_numpy(np.stack(masks)), [color_of(p) for p in shown])
        lines += [printable(names[place]) for place in shown]
        colors += [color_of(place) for place in shown]
    if labels.label is not None:
        lines.append(printable(names[labels.label]) if names else str(labels.label))
        colors.append(color_of(labels.label))
    masked = [item for item in labels.objects if item.mask is not None]
    if masked:
        masks = [_fit(item.mask, size) for item in masked if item.mask is not None]
        tints = [color_of(item.label) for item in masked]
        drawing.masks(torch.from_numpy(np.stack(masks)), tints)
    if labels.objects:
        boxes = torch.tensor([item.box for item in labels.objects]).float() * scale
        tints = [color_of(item.label) for item in labels.objects]
        drawing.boxes(boxes, [printable(names[o.label]) for o in labels.objects], tints)
    drawing.lines(lines, colors)
    return drawing.to_pil()


def _fit(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.array(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST))
