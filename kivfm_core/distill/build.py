"""Fills a cache ahead of a run: one network after another, measured before anything is written."""

from __future__ import annotations

import time
from collections.abc import Mapping
from copy import copy
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.cache.key import CANVAS, TRUNK, hash_weights
from kivfm_core.cache.meta import room
from kivfm_core.compose import assign_weights, compose
from kivfm_core.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.data.loader import Item
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distill.assemble import load, make_student
from kivfm_core.distill.demo import data_path
from kivfm_core.distill.frozen import Asked
from kivfm_core.distill.launch import settle
from kivfm_core.distill.progress import Progress
from kivfm_core.distill.stream import Stream
from kivfm_core.errors import KivfmError, UsageError


@dataclass(frozen=True)
class Share:
    """What one network has yet to say.

    Attributes:
        name: A teacher's, or `trunk`, which brings the student's canvases with it.
        views: Views that it has not said.
        bytes: That the records will take.
        seconds: That it will take, as its second batch did.
    """

    name: str
    views: int
    bytes: int
    seconds: float


def build(config: RunConfig, watch: Progress, *, dry_run: bool = False) -> list[Share]:
    """Asks everyone about every stored view of a run that is not in its cache yet.

    Each network is loaded, asked and freed before the next is loaded. What was stored stays when
    this is interrupted; the same call goes on.

    Args:
        config: The run's; `cache.path` and `data.views` say where to and how many.
        watch: Told what it will take, and then how far it is.
        dry_run: Say what it would take, and write nothing.

    Returns:
        What was missing.

    Raises:
        UsageError: If no folder is given.
        KivfmError: If there is no room for all of it.
    """
    if config.cache.path is None:
        raise UsageError("no cache is given", "--set cache.path=cache --set data.views=4")
    config = settle(config.anchored())
    composition, path = compose(config), Path(str(config.cache.path))
    hashes = hash_weights(config, composition)
    engine = config.engine
    precision: Any = engine.precision
    fabric = Fabric(accelerator=engine.accelerator, devices=1, precision=precision)
    images = find_images(data_path(config, watch))
    for note in images.notes:
        watch.message(note)

    def stream(name: str) -> Stream:
        asked = _load(name, config, composition, hashes, fabric)
        return Stream(config, composition, asked, images, fabric, lambda _: None)

    names = (TRUNK, *composition.asked)
    shares = [_estimate(name, stream(name)) for name in names]
    for share in shares:
        watch.message(f"{share.name}: {_describe(share.views, share.bytes, share.seconds)}")
    total = sum(share.bytes for share in shares)
    seconds = sum(share.seconds for share in shares)
    watch.message(f"in all {total / 2**30:.3g} GiB, about {seconds / 60:.1f} minutes")
    _check_room(path, total, config.cache.limit)
    if not dry_run:
        watch.start(sum(share.views for share in shares))
        done = 0
        for share in shares:
            if share.views:
                done = _fill(stream(share.name), share.name, watch, done)
    return shares


def _describe(views: int, size: int, seconds: float) -> str:
    if not views:
        return "all views are stored"
    return f"{views} views to store, {size / 2**30:.3g} GiB, about {seconds / 60:.1f} minutes"


def _load(
    name: str, config: RunConfig, composition: Composition, hashes: dict[str, str], fabric: Fabric
) -> Asked:
    files = assign_weights(config.weights, composition.teachers)
    wanted = composition.base if name == TRUNK else name
    spec = next((spec for spec in composition.teachers if spec.name == wanted), None)
    teacher = load(spec, files.get(spec.name), fabric.device) if spec is not None else None
    if name != TRUNK:
        return Asked({name: teacher} if teacher is not None else {}, None, hashes)
    student = make_student(composition, teacher).to(fabric.device)
    return Asked({}, student.ask_trunk if student.adapter is not None else None, hashes)


def _owners(name: str, stream: Stream, size: int) -> list[str]:
    """Whose records a share is: those of the student's canvases are the trunk's share."""
    return [o for o in stream.frozen.owners(size) if ("@" in o) == (name == TRUNK)]


def _lacks(stream: Stream, owner: str, item: Item) -> bool:
    return stream.cache is not None and not stream.cache.has(owner, (item.image, item.view))


def _missing(name: str, stream: Stream) -> list[list[Item]]:
    """Views that are not stored, in batches of one size, as large as in training."""
    batches: list[list[Item]] = []
    batch = stream.config.optim.batch_size
    for view in range(stream.config.data.views):
        size = view % len(stream.sizes)
        owners = _owners(name, stream, size)
        items = (Item(image, view, size) for image in range(len(stream.dataset)))
        missing = [item for item in items if any(_lacks(stream, o, item) for o in owners)]
        for start in range(0, len(missing), batch):
            few = missing[start : start + batch]
            # Encoders answer a little differently to smaller batches.
            batches.append([few[i % len(few)] for i in range(batch)])
    return batches


def _estimate(name: str, stream: Stream) -> Share:
    batches, frozen = _missing(name, stream), copy(stream.frozen)
    frozen.keeper = None
    views = total = 0
    seconds = 0.0
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
        seconds += spent * len(mine)
    return Share(name, views, total, seconds)


def _bytes(stream: Stream, owner: str, answers: Mapping[str, Mapping[str, Tensor]]) -> int:
    """What a record of an owner takes."""
    assert stream.frozen.keeper is not None
    encoding = stream.frozen.keeper.codecs[owner].encoding
    said = answers[owner.partition("@")[0]]
    return sum(encoding.bytes(name, tuple(tensor.shape[1:])) for name, tensor in said.items())


def _check_room(path: Path, needed: int, limit: float | None) -> None:
    free, where = room(path, limit)
    if needed > free:
        raise KivfmError(
            f"the cache needs {needed / 2**30:.3g} GiB, and {free / 2**30:.3g} GiB are {where}",
            "fewer views: --set data.views=1; or another disk: --set cache.path=ANOTHER",
        )


def _fill(stream: Stream, name: str, watch: Progress, done: int) -> int:
    batches = _missing(name, stream)
    for _, batch in zip(stream.answers(batches), batches, strict=True):
        done += len(set(batch))
        watch.step({"step": done, "what": name})
    return done
