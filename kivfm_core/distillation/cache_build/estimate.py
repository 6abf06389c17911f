"""What each network has yet to say to fill a cache, measured before anything is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

from torch import Tensor

from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.key import CANVAS, TRUNK, at
from kivfm_core.cache.maps import find_maps
from kivfm_core.data.sampler import ViewItem
from kivfm_core.distillation.inputs.stream import Stream


@dataclass(frozen=True)
class Share:
    """What one network has yet to say.

    Attributes:
        name: A teacher's, or `trunk`, which brings the student's canvases with it.
        views: Views that it has not said.
        bytes: That the records will take.
        seconds: That it will take, as its second batch did.
        first: Views that it is asked about before them, for its answers to be encoded.
        batch: Views that it is asked about at once.
        device: Kind of device that it is asked on.
    """

    name: str
    views: int
    bytes: int
    seconds: float
    first: int
    batch: int
    device: str


def describe(share: Share) -> str:
    """What is told of it before anything is written."""
    if not share.views:
        return "all views are stored"
    words = [f"{share.views} views to store, {share.bytes / 2**30:.3g} GiB"]
    words += [f"{share.first} before them to fit its encoding on"] if share.first else []
    words += [f"{share.batch} at once on {share.device}", f"about {share.seconds / 60:.1f} minutes"]
    return ", ".join(words)


def _owners(name: str, stream: Stream, size: int) -> list[str]:
    """Whose records a share is: those of the student's canvases are the trunk's share."""
    return [o for o in stream.frozen.owners(size) if ("@" in o) == (name == TRUNK)]


def _lacks(stream: Stream, owner: str, item: ViewItem) -> bool:
    return stream.cache is not None and not stream.cache.has(owner, (item.image, item.view))


def _batch(name: str, stream: Stream, size: int) -> int:
    """Views that a share's network is asked about at once, where the canvas has this size."""
    owner = at(TRUNK, stream.sizes[size]) if name == TRUNK else name
    placement = stream.frozen.networks.placements.get(owner)
    return placement.batch if placement else stream.config.optim.batch_size


def missing(name: str, stream: Stream) -> list[list[ViewItem]]:
    """Views that are not stored, in batches of one size."""
    batches: list[list[ViewItem]] = []
    for view in range(stream.config.data.views):
        size = view % len(stream.sizes)
        batch = _batch(name, stream, size)
        whole = min(batch, stream.config.optim.batch_size)
        owners = _owners(name, stream, size)
        items = (ViewItem(image, view, size) for image in range(len(stream.dataset)))
        lacking = [item for item in items if any(_lacks(stream, o, item) for o in owners)]
        for start in range(0, len(lacking), batch):
            few = lacking[start : start + batch]
            # Encoders answer a little differently to smaller batches than in training.
            batches.append([few[i % len(few)] for i in range(-(-len(few) // whole) * whole)])
    return batches


def estimate(name: str, stream: Stream) -> Share:
    """Asks one network about two batches, and keeps nothing of what it says.

    Args:
        name: A teacher's, or `trunk`.
        stream: Which asks nobody else.
    """
    batches, frozen = missing(name, stream), copy(stream.frozen)
    frozen.cached = None
    views = total = 0
    seconds = each = 0.0
    for size in range(len(stream.sizes)):
        mine = [batch for batch in batches if batch[0].size == size]
        if not mine:
            continue
        spent, said = 0.0, dict[str, int]()
        for _ in range(2):  # the first one warms up
            began = time.perf_counter()
            canvas, answers = frozen(frozen.decode([item.key for item in mine[0]]))
            answers[CANVAS] = {CANVAS: canvas}
            said = {owner: _bytes(stream, owner, answers) for owner in _owners(name, stream, size)}
            canvas.cpu()  # waits
            spent = time.perf_counter() - began
        items = {item for batch in mine for item in batch}
        for owner in _owners(name, stream, size):
            lacking = sum(_lacks(stream, owner, item) for item in items)
            total += lacking * said[owner]
        views += len(items)
        each = spent / len(mine[0])
        seconds += each * sum(len(batch) for batch in mine)
    first = _unfitted(name, stream) if views else 0
    batch = min(_batch(name, stream, size) for size in range(len(stream.sizes)))
    device = stream.fabric.device.type
    return Share(name, views, total, seconds + each * first, first, batch, device)


def _unfitted(name: str, stream: Stream) -> int:
    """Views that a network's encoding is yet to be fitted on."""
    cache, frozen = stream.cache, stream.frozen
    assert isinstance(cache, DiskCache) and frozen.cached is not None
    if name == TRUNK or not frozen.cached.codecs[name].encoding.latent:
        return 0
    return 0 if find_maps(cache.folder / cache.owners[name].folder) else len(frozen.samples)


def _bytes(stream: Stream, owner: str, answers: Mapping[str, Mapping[str, Tensor]]) -> int:
    """What a record of an owner takes."""
    assert stream.frozen.cached is not None
    encoding = stream.frozen.cached.codecs[owner].encoding
    said = answers[owner.partition("@")[0]]
    return sum(encoding.bytes(name, tuple(tensor.shape[1:])) for name, tensor in said.items())
