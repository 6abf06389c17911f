"""Runs the frozen networks on a batch, or reads their outputs from the cache."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.cache.output_source import OutputSource
from kivfm_core.composition.composition import Composition
from kivfm_core.data.canvas import normalize
from kivfm_core.data.loader import ViewBatch
from kivfm_core.data.sampler import Key
from kivfm_core.distillation.inputs.cached_outputs import CachedOutputs
from kivfm_core.distillation.inputs.stopwatch import Stopwatch
from kivfm_core.distillation.inputs.targets import Targets
from kivfm_core.layers.out_of_memory import BatchSplitter
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.planner.placement import NetworkPlacement
from kivfm_core.teacher import LoadedTeacher

Move = Callable[[Tensor], Tensor]
Named = Mapping[str, Tensor]

# Views in a batch when codecs are fitted. Not the run's batch size, so that codecs fitted by runs
# with different batch sizes are the same.
FITTING_BATCH = 16

SMALLER = "less to plan with, --set engine.memory=GIB; smaller teachers; or a smaller --image-size"


@dataclass(frozen=True)
class LoadedNetworks:
    """The frozen networks of a run, with their weights.

    Attributes:
        teachers: Those that are run for their levels, by name.
        trunk: The student's frozen trunk, of normalized canvases `[B, 3, H, W]`; None if the
            student has none.
        hashes: SHA-256 of the weights of every teacher, the base included, by name.
        placements: Where they lie and how many views they take at once, by the key of their
            output; networks that are not named here take whole batches.
    """

    teachers: Mapping[str, LoadedTeacher]
    trunk: Callable[[Tensor], TrunkOutput] | None
    hashes: Mapping[str, str]
    placements: Mapping[str, NetworkPlacement] = field(default_factory=dict[str, NetworkPlacement])


class FrozenNetworks:
    """The outputs of frozen networks for batches, from the cache where views are stored.

    A source of outputs (the canvas, a teacher, the trunk) is read from the cache for a whole batch
    or not at all, since encoders compute slightly different numbers for batches of another size.

    Args:
        networks: The networks.
        composition: The student's plan.
        cached: Stored outputs; None if every view is a fresh one.
        decode: Makes the batch of some keys. It is called where a batch was expected to be cached
            as a whole, and a record turns out to be bad.
        fabric: Device and precision.
        report: Called with a line when memory runs out.
        stopwatch: Measures how long each source takes.
    """

    def __init__(
        self,
        networks: LoadedNetworks,
        composition: Composition,
        cached: CachedOutputs | None,
        decode: Callable[[Sequence[Key]], ViewBatch],
        fabric: Fabric,
        report: Callable[[str], None],
        stopwatch: Stopwatch,
    ) -> None:
        self.networks, self.composition, self.cached = networks, composition, cached
        self.contract = composition.trunk.input
        self.decode, self.report, self.stopwatch = decode, report, stopwatch
        self.to_device: Move = fabric.to_device
        self.autocast = fabric.autocast
        self.splitters: dict[str, BatchSplitter] = {}

    def sources(self, size: int) -> Iterator[OutputSource]:
        """The sources whose outputs a view needs.

        Args:
            size: Index of the view's student canvas size.
        """
        side = self.composition.image_size[size]
        yield OutputSource.canvas(side)
        for teacher in self.networks.teachers.values():
            yield OutputSource.teacher(self.composition, teacher.spec)
        if self.networks.trunk is not None:
            yield OutputSource.trunk(self.composition, side)

    def __contains__(self, key: Key) -> bool:
        """Whether all outputs for a view are cached."""
        image, view, size = key
        return self.cached is not None and all(
            self.cached.has(source.key, (image, view)) for source in self.sources(size)
        )

    def __call__(self, batch: ViewBatch) -> tuple[Tensor, Targets]:
        """The student's canvases `[B, 3, H, W]` in [0, 1], and the networks' outputs for them.

        Args:
            batch: Views of one size; without canvases if all outputs for them are cached.
        """
        places = [(image, view) for image, view, _ in batch.keys]
        canvas, teachers, trunk = torch.empty(0), dict[str, Named](), None
        move = self._mover(batch)
        for source in self.sources(batch.keys[0][2]):
            outputs = None
            if self.cached is not None:
                self.cached.fit(source.key, partial(self._sample, source))
                outputs = self.cached.get(source.key, places)
            if outputs is None:
                if not batch.student.numel():
                    batch = self.decode(batch.keys)
                    move = self._mover(batch)
                outputs = self._timed(source, batch, move)
                if self.cached is not None:
                    outputs = self.cached.put(source.key, places, outputs)
            if source.kind == "canvas":
                canvas = outputs[source.name] / 255
            elif source.kind == "trunk":
                trunk = TrunkOutput.from_named(outputs)
            else:
                teachers[source.name] = outputs
        return canvas, Targets(teachers, trunk)

    def _sample(self, source: OutputSource) -> Iterator[Named]:
        """The outputs of a source for the views on which its codec is fitted."""
        samples = self.cached.samples if self.cached is not None else ()
        for start in range(0, len(samples), FITTING_BATCH):
            batch = self.decode(samples[start : start + FITTING_BATCH])
            yield self._timed(source, batch, self.to_device)

    def _mover(self, batch: ViewBatch) -> Move:
        """Moves a batch's canvases to the device; those that several networks see, only once."""
        shared = batch.shared()
        return lambda canvases: shared.convert(canvases, lambda: self.to_device(canvases))

    def _timed(self, source: OutputSource, batch: ViewBatch, move: Move) -> Named:
        with self.stopwatch.time(source.key, len(batch.keys)):
            return self._run_split(source, batch, move)

    def _run_split(self, source: OutputSource, batch: ViewBatch, move: Move) -> Named:
        """Runs a network on a batch in as many parts as memory asks for."""

        def run(parts: list[slice]) -> Named:
            if len(parts) == 1:
                return self._run(source, batch, move)
            # A part's canvases are new tensors, which no other network shares.
            outputs = [self._run(source, batch.part(part), self.to_device) for part in parts]
            return {name: torch.cat([some[name] for some in outputs]) for name in outputs[0]}

        if source.key not in self.splitters:
            placement = self.networks.placements.get(source.key)
            size = placement.batch if placement else None
            what = f"running {source.key}"
            self.splitters[source.key] = BatchSplitter(what, SMALLER, self.report, size)
        return self.splitters[source.key].run(len(batch.keys), run)

    def _run(self, source: OutputSource, batch: ViewBatch, move: Move) -> Named:
        """The outputs of a source under the names that caches store, in float32."""
        outputs: Named
        if source.kind == "teacher":
            column = list(self.networks.teachers).index(source.name)
            canvases = move(batch.teachers[column])
            with self.autocast():
                teacher = self.networks.teachers[source.name]
                outputs = teacher.encode(canvases, batch.frames[column])
        else:
            canvas = move(batch.student)
            if source.kind == "canvas" or self.networks.trunk is None:
                # In 256 steps a color: whole numbers, which a record of bytes holds exactly.
                return {source.name: (canvas * 255).round()}
            with self.autocast():
                outputs = self.networks.trunk(normalize(canvas, self.contract)).named()
        return {name: output.float() for name, output in outputs.items()}
