"""For some images the nearest others, by the vectors of several networks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from kivfm_core.data.members import open_at
from kivfm_core.embedding.nearest import best, similarities
from kivfm_core.reporting.figures.compared import Images
from kivfm_core.reporting.figures.features import spread
from kivfm_core.reporting.figures.seen import Seen
from kivfm_core.reporting.gallery import Figure, Row

# So many images are looked for, and so many found for each.
QUERIES, NEAREST = 4, 4
# The longer side of an image on the page, in CSS pixels.
SIDE = 84


def neighbor_rows(networks: Sequence[Seen], images: Images) -> tuple[list[Row], dict[str, float]]:
    """A query a row, a network a column.

    Args:
        networks: What each network gave, the student the last; those without vectors are passed
            over.
        images: The images.

    Returns:
        The rows; and by network, which share of the nearest images of any image are the student's,
        too.
    """
    networks = [one for one in networks if one.vectors]
    if not networks or len(networks[0].vectors) < 2:
        return [], {}
    known = sorted(networks[0].vectors)
    count = min(NEAREST, len(known) - 1)
    ranks = {one.name: _nearest(one, known, count) for one in networks}
    own = ranks[networks[-1].name]
    common = {
        name: float(np.mean([len({*found[i]} & {*own[i]}) / count for i in known]))
        for name, found in ranks.items()
        if found is not own
    }
    rows = [
        Row(
            images.names[query],
            _thumbnail(images, query),
            {name: [_thumbnail(images, i) for i in found[query]] for name, found in ranks.items()},
        )
        for query in spread(known, QUERIES)
    ]
    return rows, common


def _nearest(one: Seen, known: Sequence[int], count: int) -> dict[int, list[int]]:
    """Of each image the indices of the nearest others, the nearest first."""
    vectors = np.stack([one.vectors[index].numpy() for index in known])
    found: dict[int, list[int]] = {}
    for place, index in enumerate(known):
        scores = similarities(vectors, vectors[place])
        scores[place] = -np.inf
        found[index] = [known[i] for i in best(scores, count).tolist()]
    return found


def _thumbnail(images: Images, index: int) -> Figure:
    return Figure(open_at(images.paths[index]), images.names[index], SIDE)
