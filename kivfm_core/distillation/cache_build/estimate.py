"""What each network has yet to add to a cache, measured before anything is written."""

from __future__ import annotations

import time
from dataclasses import dataclass

from kivfm_core.cache.output_source import CANVAS, TRUNK, OutputSource
from kivfm_core.data.sampler import ViewItem
from kivfm_core.distillation.inputs.stream import Stream


@dataclass(frozen=True)
class Estimate:
    """What one network has yet to add to a cache.

    Attributes:
        name: A teacher's, or `trunk`, whose part of the cache includes the student's canvases.
        views: Views whose outputs are not cached.
        bytes: What these outputs will take.
        seconds: How long they will take, as long as the second batch did.
        first: Views that the network runs on before, to fit the encoding of its outputs.
        batch: Views that it runs on at once.
        device: Kind of device that it runs on.
    """

    name: str
    views: int
    bytes: int
    seconds: float
    first: int
    batch: int
    device: str


def describe(estimate: Estimate) -> str:
    """What is reported before anything is written."""
    if not estimate.views:
        return "all views are stored"
    words = [f"{estimate.views} views to store, {estimate.bytes / 2**30:.3g} GiB"]
    words += [f"{estimate.first} before them to fit its encoding on"] if estimate.first else []
    words += [f"{estimate.batch} at once on {estimate.device}"]
    words += [f"about {estimate.seconds / 60:.1f} minutes"]
    return ", ".join(words)


def _sources(teacher: str | None, stream: Stream, size: int) -> list[OutputSource]:
    """The sources of outputs of a teacher; without one, the trunk's and the student's canvases."""
    sources = stream.sources(size)
    return [source for source in sources if (source.kind == "teacher") == (teacher is not None)]


def _batch(teacher: str | None, stream: Stream, size: int) -> int:
    """Views that a network runs on at once, where the canvas has this size."""
    # The trunk comes last among its sources, after the canvases.
    return stream.batch_size(_sources(teacher, stream, size)[-1])


def missing(teacher: str | None, stream: Stream) -> list[list[ViewItem]]:
    """Views whose outputs of a network are not cached, in batches of one canvas size.

    Args:
        teacher: A teacher's name; None for the trunk and the student's canvases.
        stream: It runs no other network.
    """
    batches: list[list[ViewItem]] = []
    for view in range(stream.config.data.views):
        size = view % len(stream.sizes)
        batch = _batch(teacher, stream, size)
        whole = min(batch, stream.config.optim.batch_size)
        sources = _sources(teacher, stream, size)
        items = (ViewItem(image, view, size) for image in range(len(stream.dataset)))
        lacking = [i for i in items if not all(stream.is_cached(s, i) for s in sources)]
        for start in range(0, len(lacking), batch):
            few = lacking[start : start + batch]
            # Encoders give slightly different outputs for smaller batches than in training, so the
            # last batch is filled up with views that it has already.
            batches.append([few[i % len(few)] for i in range(-(-len(few) // whole) * whole)])
    return batches


def estimate(teacher: str | None, stream: Stream) -> Estimate:
    """Runs one network on two batches of each canvas size, and caches nothing.

    Args:
        teacher: A teacher's name; None for the trunk and the student's canvases.
        stream: It runs no other network.
    """
    batches = missing(teacher, stream)
    views = total = 0
    seconds = each = 0.0
    for size in range(len(stream.sizes)):
        mine = [batch for batch in batches if batch[0].size == size]
        if not mine:
            continue
        sources = _sources(teacher, stream, size)
        spent, record = _measure(stream, sources, mine[0])
        items = {item for batch in mine for item in batch}
        for source in sources:
            total += record[source] * sum(not stream.is_cached(source, item) for item in items)
        views += len(items)
        each = spent / len(mine[0])
        seconds += each * sum(len(batch) for batch in mine)
    # The trunk's outputs are never encoded by a fitted map.
    fits = views and teacher is not None
    first = stream.views_to_fit(_sources(teacher, stream, 0)[0]) if fits else 0
    batch = min(_batch(teacher, stream, size) for size in range(len(stream.sizes)))
    device = stream.fabric.device.type
    return Estimate(teacher or TRUNK, views, total, seconds + each * first, first, batch, device)


def _measure(
    stream: Stream, sources: list[OutputSource], batch: list[ViewItem]
) -> tuple[float, dict[OutputSource, int]]:
    """Seconds that a batch takes, and the bytes of a view's record by source."""
    spent, record = 0.0, dict[OutputSource, int]()
    for _ in range(2):  # the first one warms up
        began = time.perf_counter()
        outputs = stream.run_uncached([item.key for item in batch])
        record = {source: stream.record_bytes(source, outputs[source]) for source in sources}
        canvas = next(output for source, output in outputs.items() if source.kind == "canvas")
        canvas[CANVAS].cpu()  # waits for the device
        spent = time.perf_counter() - began
    return spent, record
