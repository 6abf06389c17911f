"""Training batches: one decode an image, one view of it, a canvas for every encoder.

A mosaic is a canvas of four images' views.

What a step sees is a function of (seed, step) alone, never of workers, ranks or order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kivfm_core.data.canvas import Look, look, render_views, to_tensor
from kivfm_core.data.images import listed
from kivfm_core.data.sampler import Item, Key
from kivfm_core.data.unlabeled import Images
from kivfm_core.data.views import SMALLEST, sample_others, sample_view
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame, View
from kivfm_core.spec import InputContract

Request = tuple[InputContract, int]
Sample = tuple[Key, list[Tensor], list[Frame], list[str]]


@dataclass(frozen=True)
class Batch:
    """What the student and the teachers get to see.

    Attributes:
        student: Canvases `[B, 3, H, W]`; empty if all is stored.
        keys: Each view's key.
        teachers: Each teacher's canvases `[B, 3, H, W]`, the very same where contracts make them
            so; none if all is stored.
        frames: Their frames.
        bad: Images that could not be decoded.
    """

    student: Tensor
    keys: list[Key]
    teachers: list[Tensor]
    frames: list[list[Frame]]
    bad: list[str]

    def pin_memory(self) -> Batch:
        """The same in page-locked memory, from which a GPU copies while others work."""
        once = {id(canvases): canvases for canvases in (self.student, *self.teachers)}
        pinned = {place: canvases.pin_memory() for place, canvases in once.items()}
        teachers = [pinned[id(canvases)] for canvases in self.teachers]
        return replace(self, student=pinned[id(self.student)], teachers=teachers)

    def part(self, views: slice) -> Batch:
        """Some of its views."""
        canvases = [column[views] for column in self.teachers]
        frames = [column[views] for column in self.frames]
        return Batch(self.student[views], self.keys[views], canvases, frames, self.bad)


class ViewDataset(Dataset[Sample]):
    """Views of images.

    Args:
        images: The images.
        seed: Of the run.
        student: The student's contract and its canvas sizes.
        teachers: Each teacher's contract and canvas size.
        bad_limit: Images that may be undecodable where one canvas is made.
        smallest: Smallest side of a view, in short sides of its image.
        whole: Share of the views that hold the whole image.
        mosaic: Share of the canvases that show four views.
    """

    def __init__(
        self,
        images: Images,
        seed: int,
        student: tuple[InputContract, Sequence[int]],
        teachers: Sequence[Request],
        bad_limit: int,
        smallest: float = SMALLEST,
        whole: float = 0.0,
        mosaic: float = 0.0,
    ) -> None:
        self.images, self.seed, self.mosaic = images, seed, mosaic
        self.student, self.teachers = student, list(teachers)
        self.bad_limit, self.smallest, self.whole = bad_limit, smallest, whole

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, item: Item) -> Sample:
        """Key, canvases and frames, the student's first, and ids that could not be decoded."""
        bad: list[str] = []
        if item.known:
            return item.key, [torch.empty(0)], [], bad
        images = [self._view(image, item.view, bad) for image in self.shown(item)]
        contract, sizes = self.student
        made: dict[tuple[Look, int], tuple[Tensor, Frame]] = {}
        requests = [(contract, sizes[item.size]), *self.teachers]
        wanted = [(look(contract), side) for contract, side in requests]
        for key, request in zip(wanted, requests, strict=True):
            if key not in made:
                made[key] = render_views(images, *request)
        canvases, frames = zip(*(made[key] for key in wanted), strict=True)
        return item.key, list(canvases), list(frames), bad

    def shown(self, item: Item) -> list[int]:
        """The images that an item shows, the view's own first."""
        name = self.images[item.image]
        others = sample_others(len(self.images), self.seed, name, item.view, self.mosaic)
        return [item.image, *others]

    def _view(self, image: int, index: int, bad: list[str]) -> tuple[Tensor, View]:
        """An image and what is shown of it; the next one takes the place of a bad one.

        So a step never depends on the workers.
        """
        for offset in range(len(self.images)):
            place = (image + offset) % len(self.images)
            image_id = self.images[place]
            try:
                pixels = to_tensor(self.images.open(place))
            except DataError:
                if image_id not in bad:
                    bad.append(image_id)
                check_bad(bad, self.bad_limit)
                continue
            original = (pixels.shape[1], pixels.shape[2])
            how = self.smallest, self.whole
            return pixels, sample_view(original, self.seed, image_id, index, *how)
        raise DataError(
            f"none of the {len(self.images)} images in {self.images.path} can be decoded",
            "--data FOLDER, a folder of images",
        )


def check_bad(names: Collection[str], limit: int) -> None:
    """Stops once too many images cannot be decoded.

    Raises:
        DataError: If there are more than `limit`.
    """
    if len(names) > limit:
        raise DataError(
            f"{len(names)} images cannot be decoded, more than the limit of {limit}",
            f"remove them ({listed(names)}), or --set data.bad_limit={2 * len(names)}",
        )


def collate(samples: Sequence[Sample]) -> Batch:
    """Stacks samples to a batch."""
    keys, canvases, frames, bad = zip(*samples, strict=True)
    columns = [*zip(*canvases, strict=True)]
    stacked: dict[int, Tensor] = {}
    for column in columns:
        if id(column[0]) not in stacked:
            stacked[id(column[0])] = torch.stack(column)
    student, *teachers = (stacked[id(column[0])] for column in columns)
    theirs = [list(column) for column in zip(*frames, strict=True)][1:]
    return Batch(student, list(keys), teachers, theirs, [name for names in bad for name in names])


def load(
    dataset: ViewDataset, batches: Iterable[list[Item]], workers: int, pin: bool = False
) -> Iterator[Batch]:
    """Loads batches in their order, ahead of time if there are workers; for a GPU, pinned."""
    loader: Any = DataLoader(
        dataset,
        batch_sampler=batches,  # pyright: ignore[reportArgumentType]
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin,
        # Else every loader would draw from the global generator, and a resumed run differ.
        generator=torch.Generator(),
    )
    yield from loader
