"""Dense features of several networks as colors that can be compared."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from PIL import Image
from torch import Tensor

from kivfm_core.data.members import open_at
from kivfm_core.geometry import Frame, Size
from kivfm_core.prediction.feature_colors import components, paint, turned, without_places
from kivfm_core.predictions import maps_to_original
from kivfm_core.reporting.figures.compared import Images
from kivfm_core.reporting.figures.seen import Seen
from kivfm_core.reporting.gallery import Figure, Row

# So many images are shown, and the longer side of each on the page in CSS pixels.
SHOWN, SIDE = 4, 168
# Cells of the grid that all networks share, along the longer side of an image.
CELLS = 56


def feature_rows(networks: Sequence[Seen], images: Images) -> list[Row]:
    """An image a row, a network a column; colors are turned to those of the first network.

    Args:
        networks: What each network gave; those without dense maps are passed over.
        images: The images.
    """
    networks = [one for one in networks if one.maps]
    common = [i for i in range(len(images.paths)) if all(i in one.maps for one in networks)]
    if not networks or not common:
        return []
    chosen = spread(common, SHOWN)
    colors: dict[str, list[Figure]] = {}
    first: list[Tensor] | None = None
    for one in networks:
        own = _on_shared_grids(one, chosen)
        own = turned(own, first) if first is not None else own
        first = first or own
        colors[one.name] = [
            Figure(Image.fromarray(color), f"Features of {one.name} on {images.names[i]}", SIDE)
            for color, i in zip(paint(own), chosen, strict=True)
        ]
    return [
        Row(
            images.names[index],
            Figure(open_at(images.paths[index]), f"The image {images.names[index]}", SIDE),
            {name: (figures[place],) for name, figures in colors.items()},
        )
        for place, index in enumerate(chosen)
    ]


def spread(items: Sequence[int], count: int) -> list[int]:
    """At most so many of some items, evenly spaced.

    Example:
        >>> spread(range(10), 3)
        [1, 5, 8]
    """
    count = min(count, len(items))
    return [items[int((place + 0.5) * len(items) / count)] for place in range(count)]


def _on_shared_grids(one: Seen, chosen: Sequence[int]) -> list[Tensor]:
    """A network's components of some images, `[3, h, w]` on grids that all networks share."""
    indices = sorted(one.maps)
    scores = components(without_places([one.maps[index][0] for index in indices]))
    own = dict(zip(indices, scores, strict=True))
    return [maps_to_original(own[index], _coarse(one.maps[index][1])) for index in chosen]


def _coarse(frame: Frame) -> Frame:
    """The frame of the same canvas for an original of few pixels."""
    height, width = frame.original
    scale = CELLS / max(height, width)
    size: Size = max(1, round(height * scale)), max(1, round(width * scale))
    return replace(frame, original=size, source=(0, 0, size[1], size[0]))
