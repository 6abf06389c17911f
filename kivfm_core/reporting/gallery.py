"""What a page shows of networks at work: figures, and what was measured to choose them.

Torch-free; `reporting/figures` makes it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image


@dataclass
class Figure:
    """An image on the page.

    Attributes:
        image: Its pixels.
        alt: What it shows, in words.
        side: Its longer side on the page, in CSS pixels.
        found: What was found in it, in words beside it; empty if nothing was looked for.
        uri: The file as a data URI, once it is encoded.
        width: Of the file, in pixels.
        height: Of the file, in pixels.
    """

    image: Image.Image = field(repr=False)
    alt: str
    side: int
    found: str = ""
    uri: str = ""
    width: int = 0
    height: int = 0


@dataclass(frozen=True)
class Pair:
    """A teacher and its stand-in on one image.

    Attributes:
        name: The image.
        score: How well they agree on it, in 0..1.
        teacher: What the teacher finds.
        student: What the student finds in its place.
    """

    name: str
    score: float
    teacher: Figure
    student: Figure


@dataclass(frozen=True)
class Comparison:
    """A teacher's task: where its stand-in agrees most and least.

    Attributes:
        teacher: The teacher.
        task: The task.
        metric: What agreement is measured by.
        score: Over all images.
        scores: Of each image in which the teacher finds something, by name.
        worst: Where they agree least, that first.
        best: Where they agree most, that first.
    """

    teacher: str
    task: str
    metric: str
    score: float
    scores: dict[str, float]
    worst: Sequence[Pair] = ()
    best: Sequence[Pair] = ()


@dataclass(frozen=True)
class Row:
    """Figures that belong together: one image, seen by several networks.

    Attributes:
        name: The image.
        image: The image itself.
        seen: By network, a figure or several.
    """

    name: str
    image: Figure
    seen: dict[str, Sequence[Figure]]


@dataclass(frozen=True)
class Gallery:
    """All that networks contribute to a page.

    Attributes:
        data: Where the images are from.
        images: How many images the networks were run on.
        available: How many there are.
        compared: Teachers and stand-ins side by side.
        features: Dense features as colors, an image a row.
        neighbors: Nearest images, a query a row.
        common: By network, which share of its nearest images are the student's, too.
        notes: What is left out, and why; a sentence each.
        seconds: How long it took.
    """

    data: str
    images: int
    available: int
    compared: Sequence[Comparison] = ()
    features: Sequence[Row] = ()
    neighbors: Sequence[Row] = ()
    common: dict[str, float] = field(default_factory=dict[str, float])
    notes: Sequence[str] = ()
    seconds: float = 0.0

    def figures(self) -> Iterator[Figure]:
        """All figures, in the order of the page."""
        for one in self.compared:
            for pair in (*one.worst, *one.best):
                yield from (pair.teacher, pair.student)
        for row in (*self.features, *self.neighbors):
            yield row.image
            for several in row.seen.values():
                yield from several

    def as_dict(self) -> dict[str, Any]:
        """What was measured, without figures, ready for JSON."""
        return {
            "schema": 1,
            "data": self.data,
            "images": self.images,
            "available": self.available,
            "agreement": [
                {
                    "teacher": one.teacher,
                    "task": one.task,
                    "metric": one.metric,
                    "score": one.score,
                    "images": one.scores,
                }
                for one in self.compared
            ],
            "neighbors": self.common,
            "notes": list(self.notes),
            "seconds": self.seconds,
        }
