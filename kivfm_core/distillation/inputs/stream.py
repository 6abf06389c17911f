"""The stream of training batches, with the outputs of the frozen networks for them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.cache.codec import Codec
from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.encoding import FITTED_ON
from kivfm_core.cache.key import list_encodings, list_store_keys
from kivfm_core.cache.memory import MemoryCache
from kivfm_core.composition.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.data.images import listed
from kivfm_core.data.loader import ViewBatch, ViewDataset, check_bad, collate, load
from kivfm_core.data.sampler import Key, StepSampler, ViewItem
from kivfm_core.data.unlabeled import Images
from kivfm_core.distillation.inputs.cached_outputs import Cache, CachedOutputs
from kivfm_core.distillation.inputs.frozen_networks import FrozenNetworks, LoadedNetworks
from kivfm_core.distillation.inputs.stopwatch import Stopwatch
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.distillation.processes.launch import aloud, summed
from kivfm_core.planner.plan import DECODING


class Stream:
    """Batches for any steps of a run; counts images that cannot be decoded.

    Args:
        config: The run's configuration.
        composition: The student's plan.
        networks: The frozen networks.
        images: The training images.
        fabric: Devices and processes.
        report: Called with each line that the user should read.

    Raises:
        KivfmError: If the cache cannot be written to.
    """

    def __init__(
        self,
        config: RunConfig,
        composition: Composition,
        networks: LoadedNetworks,
        images: Images,
        fabric: Fabric,
        report: Callable[[str], None],
    ) -> None:
        self.config, self.fabric, self.report = config, fabric, report
        self.sizes, contract = composition.image_size, composition.trunk.input
        for line in (f"{len(images)} pictures in {images.path}", *images.notes):
            report(line)
        self.dataset = ViewDataset(
            images,
            config.seed,
            (contract, self.sizes),
            [(t.spec.input, composition.side(t.spec)) for t in networks.teachers.values()],
            config.data.bad_limit,
            config.data.smallest,
            config.data.whole,
            config.data.mosaic,
        )
        self.cache = self._cache(composition, networks, images)
        self.bad = BadImages(config.data.bad_limit, aloud(fabric, report))
        decode = partial(_decode, self.dataset, self.bad)
        self.stopwatch = Stopwatch(fabric.device)
        cached = None
        if self.cache is not None:
            encodings = list_encodings(config, composition).items()
            codecs = {source: Codec(encoding, fabric.device) for source, encoding in encodings}
            cached = CachedOutputs(self.cache, codecs, self._samples(), fabric.to_device)
        self.frozen = FrozenNetworks(
            networks, composition, cached, decode, fabric, report, self.stopwatch
        )
        names = hashlib.sha256()
        for index, name in enumerate(images):  # one by one: there may be millions
            names.update(os.fsencode(f"\n{name}" if index else name))
        self.digest = f"{len(images)} pictures, names' sha256 {names.hexdigest()[:16]}"

    def steps(self, start: int, stop: int) -> Iterator[tuple[Tensor, Targets, float]]:
        """Each step's canvases `[B, 3, H, W]`, targets, and the seconds that it was waited for.

        Raises:
            DataError: If too many pictures cannot be decoded.
        """
        return self.outputs(self._sampler(start, stop))

    def outputs(self, batches: Iterable[list[ViewItem]]) -> Iterator[tuple[Tensor, Targets, float]]:
        """The same for other batches, each of one canvas size."""
        pin = self.fabric.device.type == "cuda"
        loader = load(self.dataset, batches, self.config.data.workers, pin)
        while True:
            began = time.perf_counter()
            batch = next(loader, None)
            if batch is None:
                return
            waited = time.perf_counter() - began
            if batch.student.numel():
                self.stopwatch.add(DECODING, len(batch.keys), waited)
            self.bad.add(batch.bad)
            canvas, targets = self.frozen(batch)
            yield canvas, targets, waited

    def count_bad(self) -> int:
        """How many images could not be decoded, by any process."""
        bad = torch.tensor(
            [name in self.bad.names for name in self.dataset.images], dtype=torch.int32
        )
        return int((summed(self.fabric)(bad) > 0).sum())

    def _cache(
        self, composition: Composition, networks: LoadedNetworks, images: Images
    ) -> Cache | None:
        data, where = self.config.data, self.config.cache
        if not data.views:
            return None
        if where.path is None:
            return MemoryCache(int(data.memory * 2**30))
        keys = list_store_keys(self.config, composition, networks.hashes, images)
        limit = int(where.limit * 2**30) if where.limit is not None else None
        return DiskCache(Path(where.path), keys, limit, self.report)

    def _samples(self) -> list[Key]:
        """The views on which codecs are fitted: the first view of images at even distances.

        They depend on the images alone, so that runs which share a cache fit the same codecs.
        """
        count = len(self.dataset)
        few = min(count, FITTED_ON)
        return [(index * count // few, 0, 0) for index in range(few)]

    def image_names(self, step: int) -> list[str]:
        """Names of the images in this process's share of a step; those of a mosaic are joined."""
        (items,) = self._sampler(step, step + 1)
        images = self.dataset.images
        return [" + ".join(images[i] for i in self.dataset.shown(item)) for item in items]

    def _sampler(self, start: int, stop: int) -> StepSampler:
        return StepSampler(
            len(self.dataset), len(self.sizes), self.config.optim.batch_size,
            start, stop, self.config.seed, self.config.data.views, self.frozen,
            self.fabric.global_rank, self.fabric.world_size,
        )  # fmt: skip


class BadImages:
    """The images that could not be decoded, so far.

    Args:
        limit: How many there may be.
        report: Called with a line for new ones.
    """

    def __init__(self, limit: int, report: Callable[[str], None]) -> None:
        self.limit, self.report = limit, report
        self.names: set[str] = set()

    def add(self, names: Sequence[str]) -> None:
        """Counts those of a batch.

        Raises:
            DataError: If there are too many.
        """
        new = set(names) - self.names
        self.names |= new
        if new:
            self.report(f"skipped, cannot be decoded: {listed(new, len(new))}")
        check_bad(self.names, self.limit)


def _decode(dataset: ViewDataset, bad: BadImages, keys: Sequence[Key]) -> ViewBatch:
    batch = collate([dataset[ViewItem(*key)] for key in keys])
    bad.add(batch.bad)
    return batch
