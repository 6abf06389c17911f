"""Batches of canvases: each image is decoded once, images of equal canvas size together.

Decoding and drawing on canvases is done ahead, in threads, while the last batch is used.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, islice
from pathlib import Path

import torch
from torch import Tensor

from kivfm_core.data.ahead import ahead, count_workers, in_order
from kivfm_core.data.canvas import render, to_tensor
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.data.members import open_at, parts_at_url
from kivfm_core.data.remote.fetch import fetched_ahead
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame, Size, plan_frame
from kivfm_core.processes.team import block
from kivfm_core.spec import InputContract

# Canvas pixels in a batch, at most: larger batches are no faster on two cores, and take memory.
PIXELS = 2**21
# Canvas pixels that wait for others of their size, at most: where the images of a folder have many
# shapes, the oldest go in smaller batches.
WAITING = 4 * PIXELS
# Called with (images done, images in all).
Tick = Callable[[int, int], None]


@dataclass(frozen=True)
class Batch:
    """Canvases of equal size.

    Attributes:
        indices: Which of the paths these are.
        images: Canvases `[B, 3, H, W]`, RGB in [0, 1].
        frames: The canvases' frames.
        read: How many of the paths were looked at for this batch and those before.
    """

    indices: list[int]
    images: Tensor
    frames: list[Frame]
    read: int


def batches(
    paths: Sequence[Path],
    contract: InputContract,
    tick: Tick | None = None,
    reader: ImageReader | None = None,
    other: InputContract | None = None,
    only: Sequence[int] | None = None,
) -> Iterator[Batch]:
    """Decodes images and makes their canvases; broken ones are skipped.

    Args:
        paths: The images' files.
        contract: How canvases are made.
        tick: Called before each batch, and at the end.
        reader: Counts the broken ones; by default more than a tenth, or all of them, are an error.
        other: A batch's images have canvases of one size by this contract, too.
        only: Which of the paths are read, as ascending indices; all by default.

    Raises:
        DataError: If too many images are broken.
    """
    chosen = range(len(paths)) if only is None else only
    strict = reader is None
    reader = reader or ImageReader(len(chosen))
    for batch in ahead(_batches(paths, contract, reader, other, chosen)):
        if tick:
            tick(batch.read, len(chosen))
        yield batch
    if tick:
        tick(len(chosen), len(chosen))
    # If only a part of the images is read here, all of that part may be broken.
    if strict and only is None and not reader.read:
        reader.refuse()


def _batches(
    paths: Sequence[Path],
    contract: InputContract,
    reader: ImageReader,
    other: InputContract | None,
    chosen: Sequence[int],
) -> Generator[Batch]:
    wanted = [paths[index] for index in chosen]
    decoded = in_order(_decode, fetched_ahead(wanted, parts_at_url), count_workers())
    before = 0
    # A batch has images of one block: it is the same whatever other blocks are chosen.
    for _, own in groupby(chosen, block):
        members = list(own)
        images = (reader.count(pixels) for pixels in islice(decoded, len(members)))
        for batch in batched(images, contract, other):
            indices = [members[place] for place in batch.indices]
            yield replace(batch, indices=indices, read=before + batch.read)
        before += len(members)


def batched(
    images: Iterable[Tensor | None], contract: InputContract, other: InputContract | None = None
) -> Generator[Batch]:
    """Makes the canvases of images, each RGB uint8 `[3, H, W]`; None is passed over."""
    # Canvases whose batch is not full yet, with their indices, by the sizes of their canvases; the
    # longest waiting first.
    waiting: dict[tuple[Size, ...], list[tuple[int, Tensor, Frame]]] = {}
    index = -1

    def batch(sizes: tuple[Size, ...]) -> Batch:
        indices, canvases, frames = zip(*waiting.pop(sizes), strict=True)
        return Batch(list(indices), torch.stack(canvases), list(frames), index + 1)

    for index, found in enumerate(images):
        if found is None:
            continue
        size = found.shape[1], found.shape[2]
        frame = plan_frame(size, contract)
        sizes = (frame.canvas, *((plan_frame(size, other).canvas,) if other else ()))
        group = waiting.setdefault(sizes, [])
        group.append((index, render(found, frame, contract), frame))
        if len(group) >= max(1, min(32, PIXELS // _largest(sizes))):
            yield batch(sizes)
        elif sum(len(group) * _largest(sizes) for sizes, group in waiting.items()) > WAITING:
            yield batch(next(iter(waiting)))
    for sizes in list(waiting):
        yield batch(sizes)


def _decode(path: Path) -> Tensor | DataError:
    try:
        return to_tensor(open_at(path))
    except DataError as error:
        return error


def _largest(sizes: tuple[Size, ...]) -> int:
    return max(height * width for height, width in sizes)
