"""Training batches: an image is decoded once, cut to a view, and drawn on each encoder's canvas.

A mosaic is a canvas that shows views of four images.

What a step sees is a function of (seed, step) alone, never of workers, ranks or order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from kivfm_core.data.canvas import Look, look, render_views, to_tensor
from kivfm_core.data.images import listed
from kivfm_core.data.remote.fetch import AHEAD, fetched_ahead
from kivfm_core.data.remote.part import Part
from kivfm_core.data.remote.url import Url
from kivfm_core.data.sampler import Key, ViewItem
from kivfm_core.data.shared_tensors import SharedTensors
from kivfm_core.data.unlabeled import Images
from kivfm_core.data.views import SMALLEST, sample_others, sample_view
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame, View
from kivfm_core.spec import InputContract

Request = tuple[InputContract, int]
Sample = tuple[Key, list[Tensor], list[Frame], list[str]]


@dataclass(frozen=True)
class ViewBatch:
    """The canvases of a step, for the student and for the teachers.

    Attributes:
        student: Canvases `[B, 3, H, W]`; empty if everything is cached.
        keys: The key of each view.
        teachers: The canvases `[B, 3, H, W]` of each teacher; the same tensor where contracts make
            equal canvases; empty if everything is cached.
        frames: The frames of the teachers' canvases.
        bad: Ids of images that could not be decoded.
    """

    student: Tensor
    keys: list[Key]
    teachers: list[Tensor]
    frames: list[list[Frame]]
    bad: list[str]

    def pin_memory(self) -> ViewBatch:
        """The same in page-locked memory, from which a GPU copies while others work."""
        shared = self.shared()
        student, *teachers = (
            shared.convert(canvases, canvases.pin_memory) for canvases in shared.tensors
        )
        return replace(self, student=student, teachers=teachers)

    def shared(self) -> SharedTensors:
        """Converts its canvases; those that several networks see, once for all of them."""
        return SharedTensors((self.student, *self.teachers))

    def part(self, views: slice) -> ViewBatch:
        """The batch of some of the views."""
        canvases = [column[views] for column in self.teachers]
        frames = [column[views] for column in self.frames]
        return ViewBatch(self.student[views], self.keys[views], canvases, frames, self.bad)


class ViewDataset(Dataset[Sample]):
    """Views of images.

    Args:
        images: The unlabeled images.
        seed: The run's random seed.
        student: The student's contract and its canvas sizes in pixels.
        teachers: The contract and the canvas size in pixels of each teacher.
        bad_limit: Maximum number of undecodable images passed over for one canvas.
        smallest: Smallest side of a view, in short sides of its image.
        whole: Share of the views that hold the whole image.
        mosaic: Share of the canvases that show four views.
    """

    # Eight parameters: each is a setting of its own, and only a run sets them all.
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

    def __getitem__(self, item: ViewItem) -> Sample:
        """Key, canvases and frames (the student's first), and ids that could not be decoded."""
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

    def __getitems__(self, items: list[ViewItem]) -> list[Sample]:
        """The samples of a batch; what they need from a URL is fetched ahead."""
        return [self[item] for item in fetched_ahead(items, lambda item: self.parts([item]))]

    def parts(self, items: Iterable[ViewItem]) -> list[Part]:
        """What has to be fetched for some items: nothing if the images lie here."""
        if not isinstance(self.images.path, Url):
            return []
        decoded = (item for item in items if not item.known)
        return [self.images.part(image) for item in decoded for image in self.shown(item)]

    def shown(self, item: ViewItem) -> list[int]:
        """Indices of the images on an item's canvas: the view's own, then those of a mosaic."""
        name = self.images[item.image]
        others = sample_others(len(self.images), self.seed, name, item.view, self.mosaic)
        return [item.image, *others]

    def _view(self, image: int, index: int, bad: list[str]) -> tuple[Tensor, View]:
        """An image and the view of it. An undecodable image is replaced by the next in the data.

        Replacing it here, and not in the sampler, keeps what a step sees a function of its number.
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
    """Refuses data of which too many images cannot be decoded.

    Raises:
        DataError: If there are more than `limit`.
    """
    if len(names) > limit:
        raise DataError(
            f"{len(names)} images cannot be decoded, more than the limit of {limit}",
            f"remove them ({listed(names)}), or --set data.bad_limit={2 * len(names)}",
        )


def collate(samples: Sequence[Sample]) -> ViewBatch:
    """Stacks samples to a batch; canvases that encoders share within a sample stay shared."""
    keys, canvases, frames, bad = zip(*samples, strict=True)
    columns = [*zip(*canvases, strict=True)]
    shared = SharedTensors(column[0] for column in columns)
    student, *teachers = (
        shared.convert(column[0], partial(torch.stack, column)) for column in columns
    )
    theirs = [list(column) for column in zip(*frames, strict=True)][1:]
    return ViewBatch(
        student, list(keys), teachers, theirs, [name for names in bad for name in names]
    )


def load(
    dataset: ViewDataset, batches: Iterable[list[ViewItem]], workers: int, pin: bool = False
) -> Iterator[ViewBatch]:
    """Loads batches in order, ahead of time if there are workers, in pinned memory for a GPU."""
    if not workers:  # loader processes fetch their own batches
        batches = fetched_ahead(batches, lambda items: dataset.parts(items[:AHEAD]), 2)
    loader: Any = DataLoader(
        dataset,
        batch_sampler=batches,  # pyright: ignore[reportArgumentType]
        num_workers=workers,
        collate_fn=collate,
        pin_memory=pin,
        # Without a generator of its own, every loader would draw from the global one, and a
        # resumed run would differ from an uninterrupted one.
        generator=torch.Generator(),
    )
    yield from loader
