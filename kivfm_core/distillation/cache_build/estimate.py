"""What each network has yet to say to fill a cache, measured before anything is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass

from torch import Tensor

from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.maps import find_maps
from kivfm_core.cache.output_source import TRUNK, OutputSource
from kivfm_core.data.sampler import ViewItem
from kivfm_core.distillation.inputs.stream import Stream
from kivfm_core.distillation.inputs.targets import Targets


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


def _sources(teacher: str | None, stream: Stream, size: int) -> list[OutputSource]:
    """The sources of a share: a teacher alone, or the trunk and the student's canvases."""
    sources = stream.frozen.sources(size)
    return [source for source in sources if (source.kind == "teacher") == (teacher is not None)]


def _lacks(stream: Stream, source: OutputSource, item: ViewItem) -> bool:
    return stream.cache is not None and not stream.cache.has(source.key, (item.image, item.view))


def _batch(teacher: str | None, stream: Stream, size: int) -> int:
    """Views on which a share's network is run at once, where the canvas has this size."""
    placements = stream.frozen.networks.placements
    for source in _sources(teacher, stream, size):
        if source.key in placements:  # a canvas has none
            return placements[source.key].batch
    return stream.config.optim.batch_size


def missing(teacher: str | None, stream: Stream) -> list[list[ViewItem]]:
    """Views that are not stored, in batches of one size.

    Args:
        teacher: A teacher's name; None for the trunk and the student's canvases.
        stream: A stream that runs no other network.
    """
    batches: list[list[ViewItem]] = []
    for view in range(stream.config.data.views):
        size = view % len(stream.sizes)
        batch = _batch(teacher, stream, size)
        whole = min(batch, stream.config.optim.batch_size)
        sources = _sources(teacher, stream, size)
        items = (ViewItem(image, view, size) for image in range(len(stream.dataset)))
        lacking = [item for item in items if any(_lacks(stream, s, item) for s in sources)]
        for start in range(0, len(lacking), batch):
            few = lacking[start : start + batch]
            # Encoders answer a little differently to smaller batches than in training.
            batches.append([few[i % len(few)] for i in range(-(-len(few) // whole) * whole)])
    return batches


def estimate(teacher: str | None, stream: Stream) -> Share:
    """Asks one network about two batches, and keeps nothing of what it says.

    Args:
        teacher: A teacher's name; None for the trunk and the student's canvases.
        stream: A stream that runs no other network.
    """
    batches, frozen = missing(teacher, stream), copy(stream.frozen)
    frozen.cached = None
    views = total = 0
    seconds = each = 0.0
    for size in range(len(stream.sizes)):
        mine = [batch for batch in batches if batch[0].size == size]
        if not mine:
            continue
        spent, record_bytes = 0.0, dict[OutputSource, int]()
        for _ in range(2):  # the first one warms up
            began = time.perf_counter()
            canvas, targets = frozen(frozen.decode([item.key for item in mine[0]]))
            record_bytes = {
                source: _bytes(stream, source, canvas, targets)
                for source in _sources(teacher, stream, size)
            }
            canvas.cpu()  # waits
            spent = time.perf_counter() - began
        items = {item for batch in mine for item in batch}
        for source, size_of_one in record_bytes.items():
            lacking = sum(_lacks(stream, source, item) for item in items)
            total += lacking * size_of_one
        views += len(items)
        each = spent / len(mine[0])
        seconds += each * sum(len(batch) for batch in mine)
    first = _unfitted(teacher, stream) if views else 0
    batch = min(_batch(teacher, stream, size) for size in range(len(stream.sizes)))
    device = stream.fabric.device.type
    return Share(teacher or TRUNK, views, total, seconds + each * first, first, batch, device)


def _unfitted(teacher: str | None, stream: Stream) -> int:
    """Views that a network's encoding is yet to be fitted on."""
    cache, frozen = stream.cache, stream.frozen
    assert isinstance(cache, DiskCache) and frozen.cached is not None
    if teacher is None or not frozen.cached.codecs[teacher].encoding.latent:
        return 0
    fitted = find_maps(cache.folder / cache.keys[teacher].folder)
    return 0 if fitted else len(frozen.cached.samples)


def _bytes(stream: Stream, source: OutputSource, canvas: Tensor, targets: Targets) -> int:
    """What a record of a source takes."""
    assert stream.frozen.cached is not None
    encoding = stream.frozen.cached.codecs[source.key].encoding
    outputs: Mapping[str, Tensor] = {source.name: canvas}
    if source.kind == "teacher":
        outputs = targets.teachers[source.name]
    elif source.kind == "trunk" and targets.trunk is not None:
        outputs = targets.trunk.named()
    return sum(encoding.bytes(name, tuple(tensor.shape[1:])) for name, tensor in outputs.items())
