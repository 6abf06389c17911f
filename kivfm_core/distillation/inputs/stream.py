"""The stream of training batches, with the frozen networks' outputs for them."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from copy import copy
from functools import partial
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.cache.codec import Codec
from kivfm_core.cache.disk import DiskCache
from kivfm_core.cache.encoding import FITTED_ON
from kivfm_core.cache.key import list_encodings, list_store_keys
from kivfm_core.cache.maps import find_maps
from kivfm_core.cache.memory import MemoryCache
from kivfm_core.cache.output_source import OutputSource
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
from kivfm_core.planner.placement import NetworkPlacement
from kivfm_core.planner.plan import DECODING
from kivfm_core.processes.launch import all_reduce, rank_logger


class Stream:
    """Batches of any steps of a run; counts images that cannot be decoded.

    Building a cache needs a stream, too, and has no run: so this takes no `RunContext`.

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
        for line in (f"{len(images)} images in {images.path}", *images.notes):
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
        self.bad = BadImages(config.data.bad_limit, rank_logger(fabric, report))
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
        # Recorded by every run, and compared when it is resumed: the words have to stay.
        self.digest = f"{len(images)} pictures, names' sha256 {names.hexdigest()[:16]}"

    def steps(self, start: int, stop: int) -> Iterator[tuple[Tensor, Targets, float]]:
        """Each step's canvases `[B, 3, H, W]`, targets, and the seconds that it was waited for.

        Raises:
            DataError: If too many images cannot be decoded.
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
        """Images that could not be decoded, by any process; all of them have to call it."""
        bad = torch.tensor(
            [name in self.bad.names for name in self.dataset.images], dtype=torch.int32
        )
        return int((all_reduce(self.fabric)(bad) > 0).sum())

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

    @property
    def placements(self) -> Mapping[str, NetworkPlacement]:
        """Where networks lie, and how many views at once they run on, by source of outputs."""
        return self.frozen.networks.placements

    def portion_size(self, key: str) -> int | None:
        """Views that a network ran on at once; None if on whole batches, or not at all."""
        splitter = self.frozen.splitters.get(key)
        return splitter.size if splitter else None

    def batch_size(self, source: OutputSource) -> int:
        """Views that a network is planned to run on at once."""
        placement = self.placements.get(source.key)
        return placement.batch if placement else self.config.optim.batch_size

    def run_online(self, keys: Collection[str]) -> None:
        """Leaves these sources' outputs out of the cache: they run anew for every batch."""
        if self.frozen.cached is not None:
            self.frozen.cached.online = keys

    def count_cached(self) -> dict[str, int]:
        """How many of the run's views a cache on disk holds already, by source of outputs."""
        if not isinstance(self.cache, DiskCache):
            return {}
        return self.cache.count(self.config.data.views)

    def is_cached(self, source: OutputSource, item: ViewItem) -> bool:
        """Whether a view's output is cached; true of all without a cache, which lacks nothing."""
        return self.cache is None or self.cache.has(source.key, (item.image, item.view))

    def sources(self, size: int) -> list[OutputSource]:
        """The sources of outputs for a view of the student's canvas size of this index."""
        return list(self.frozen.sources(size))

    def run_uncached(self, keys: Sequence[Key]) -> dict[OutputSource, Mapping[str, Tensor]]:
        """The outputs of all sources for views of one size; the cache is left alone."""
        frozen = copy(self.frozen)
        frozen.cached = None
        canvas, targets = frozen(frozen.decode(keys))
        outputs: dict[OutputSource, Mapping[str, Tensor]] = {}
        for source in self.sources(keys[0][2]):
            if source.kind == "teacher":
                outputs[source] = targets.teachers[source.name]
            elif source.kind == "trunk" and targets.trunk is not None:
                outputs[source] = targets.trunk.named()
            else:
                outputs[source] = {source.name: canvas}
        return outputs

    def record_bytes(self, source: OutputSource, output: Mapping[str, Tensor]) -> int:
        """What the cached output of one view takes."""
        assert self.frozen.cached is not None
        encoding = self.frozen.cached.codecs[source.key].encoding
        return sum(encoding.bytes(name, tuple(x.shape[1:])) for name, x in output.items())

    def views_to_fit(self, source: OutputSource) -> int:
        """Views that a network has to run on first, for its encoding to be fitted."""
        assert isinstance(self.cache, DiskCache) and self.frozen.cached is not None
        if not self.frozen.cached.codecs[source.key].encoding.latent:
            return 0
        fitted = find_maps(self.cache.folder / self.cache.keys[source.key].folder)
        return 0 if fitted else len(self.frozen.cached.samples)


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
