"""What does not change while a student learns: canvases, teachers and base, once a stored view."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial

import torch
from torch import Tensor

from kivfm_core.cache.key import CANVAS, TRUNK, at
from kivfm_core.data.canvas import normalize
from kivfm_core.data.loader import ViewBatch
from kivfm_core.data.sampler import Key
from kivfm_core.distillation.inputs.cached_outputs import CachedOutputs
from kivfm_core.distillation.inputs.stopwatch import Stopwatch
from kivfm_core.layers.out_of_memory import BatchSplitter
from kivfm_core.planner.placement import NetworkPlacement
from kivfm_core.spec import InputContract
from kivfm_core.teacher import LoadedTeacher

Move = Callable[[Tensor], Tensor]

PORTION = 16
"""Views that are asked about at once where codecs are fitted."""

SMALLER = "less to plan with, --set engine.memory=GIB; smaller teachers; or a smaller --image-size"


@dataclass(frozen=True)
class LoadedNetworks:
    """The frozen networks of a run.

    Attributes:
        teachers: Those whose levels are wanted.
        trunk: What the student's frozen base says of normalized canvases; None without a base.
        hashes: SHA-256 of every teacher's weights, the base's too.
        placements: How they are asked, as caches name them; all others about whole batches.
    """

    teachers: Mapping[str, LoadedTeacher]
    trunk: Callable[[Tensor], Mapping[str, Tensor]] | None
    hashes: Mapping[str, str]
    placements: Mapping[str, NetworkPlacement] = field(default_factory=dict[str, NetworkPlacement])


class FrozenNetworks:
    """Answers for batches, from the cache where a view is stored.

    Each owner of stored answers - the canvas, a teacher, the trunk - is asked for a whole batch or
    not at all: encoders answer a little differently to batches of another size.

    Args:
        asked: The networks.
        student: The student's contract and its canvas sizes.
        keeper: Keeps stored views; None if every view is a fresh one.
        samples: Views that its codecs are fitted on.
        decode: Makes the batch of some keys, where a stored one turns out to be bad.
        to_device: Moves a tensor.
        autocast: Within it, networks answer in the run's precision.
        say: Told when memory runs out.
        stopwatch: Measures how long each is asked.
    """

    def __init__(
        self,
        asked: LoadedNetworks,
        student: tuple[InputContract, Sequence[int]],
        keeper: CachedOutputs | None,
        samples: Sequence[Key],
        decode: Callable[[Sequence[Key]], ViewBatch],
        to_device: Callable[[Tensor], Tensor],
        autocast: Callable[[], AbstractContextManager[None]],
        say: Callable[[str], None],
        stopwatch: Stopwatch,
    ) -> None:
        self.networks, self.cached, self.samples = asked, keeper, samples
        self.stopwatch = stopwatch
        self.contract, self.sides = student
        self.decode, self.to_device, self.autocast = decode, to_device, autocast
        self.say, self.splitters = say, dict[str, BatchSplitter]()

    def owners(self, size: int) -> Iterator[str]:
        """Whose answers a view of this size needs."""
        yield at(CANVAS, self.sides[size])
        yield from self.networks.teachers
        if self.networks.trunk is not None:
            yield at(TRUNK, self.sides[size])

    def __contains__(self, key: Key) -> bool:
        image, view, size = key
        return self.cached is not None and all(
            self.cached.has(owner, (image, view)) for owner in self.owners(size)
        )

    def __call__(self, batch: ViewBatch) -> tuple[Tensor, dict[str, dict[str, Tensor]]]:
        """The student's canvases, and what was said of them.

        Args:
            batch: Of one size; without canvases if the cache has all its views.

        Returns:
            `[B, 3, H, W]` in [0, 1]; and each teacher's levels by teacher and level, the base's
            outputs under `trunk`.
        """
        places = [(image, view) for image, view, _ in batch.keys]
        answers: dict[str, dict[str, Tensor]] = {}
        move = self._mover(batch)
        for owner in self.owners(batch.keys[0][2]):
            said = None
            if self.cached is not None:
                self.cached.fit(owner, partial(self._sample, owner))
                said = self.cached.get(owner, places)
            if said is None:
                if not batch.student.numel():
                    batch = self.decode(batch.keys)
                    move = self._mover(batch)
                said = self._timed(owner, batch, move)
                if self.cached is not None:
                    said = self.cached.keep(owner, places, said)
            answers[owner.partition("@")[0]] = said
        return answers.pop(CANVAS)[CANVAS] / 255, answers

    def _sample(self, owner: str) -> Iterator[dict[str, Tensor]]:
        for start in range(0, len(self.samples), PORTION):
            batch = self.decode(self.samples[start : start + PORTION])
            yield self._timed(owner, batch, self.to_device)

    def _mover(self, batch: ViewBatch) -> Move:
        """Moves a batch's canvases; those that several networks see stay there for all of them."""
        shared = Counter(map(id, (batch.student, *batch.teachers)))
        there: dict[int, Tensor] = {}

        def move(canvases: Tensor) -> Tensor:
            if shared[id(canvases)] < 2:
                return self.to_device(canvases)
            if id(canvases) not in there:
                there[id(canvases)] = self.to_device(canvases)
            return there[id(canvases)]

        return move

    def _timed(self, owner: str, batch: ViewBatch, move: Move) -> dict[str, Tensor]:
        with self.stopwatch.time(owner, len(batch.keys)):
            return self._ask_all(owner, batch, move)

    def _ask_all(self, owner: str, batch: ViewBatch, move: Move) -> dict[str, Tensor]:
        def ask(parts: list[slice]) -> dict[str, Tensor]:
            if len(parts) == 1:
                return self._ask(owner, batch, move)
            said = [self._ask(owner, batch.part(part), self.to_device) for part in parts]
            return {name: torch.cat([some[name] for some in said]) for name in said[0]}

        if owner not in self.splitters:
            placement = self.networks.placements.get(owner)
            size = placement.batch if placement else None
            self.splitters[owner] = BatchSplitter(f"{owner} is asked", SMALLER, self.say, size)
        return self.splitters[owner].run(len(batch.keys), ask)

    def _ask(self, owner: str, batch: ViewBatch, move: Move) -> dict[str, Tensor]:
        said: Mapping[str, Tensor]
        if owner in self.networks.teachers:
            place = list(self.networks.teachers).index(owner)
            canvases = move(batch.teachers[place])
            with self.autocast():
                said = self.networks.teachers[owner].encode(canvases, batch.frames[place])
        else:
            canvas = move(batch.student)
            if self.networks.trunk is None or not owner.startswith(TRUNK):
                # In 256 steps a color, which bfloat16 tells apart.
                return {CANVAS: (canvas * 255).round()}
            with self.autocast():
                said = self.networks.trunk(normalize(canvas, self.contract))
        return {name: answer.float() for name, answer in said.items()}
