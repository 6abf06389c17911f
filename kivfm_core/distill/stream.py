"""The stream of training batches, with what the frozen networks say about them."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from lightning_fabric import Fabric
from torch import Tensor

from kivfm_core.cache import MemoryCache
from kivfm_core.composition import Composition
from kivfm_core.config import RunConfig
from kivfm_core.data.images import list_images
from kivfm_core.data.loader import StepSampler, ViewDataset, check_bad, load
from kivfm_core.distill.assemble import Parts
from kivfm_core.distill.frozen import Frozen
from kivfm_core.distill.module import Targets


class Stream:
    """Batches of any steps of a run; pictures that cannot be decoded are counted.

    Args:
        config: The run's.
        composition: The student's plan.
        parts: The student and its teachers.
        folder: Where the pictures are.
        fabric: Devices and processes.
        say: Told what is worth a line.

    Raises:
        DataError: If the folder holds no pictures.
    """

    def __init__(
        self,
        config: RunConfig,
        composition: Composition,
        parts: Parts,
        folder: Path,
        fabric: Fabric,
        say: Callable[[str], None],
    ) -> None:
        self.config, self.fabric, self.say = config, fabric, say
        self.sizes = composition.image_size
        images = list_images(folder)
        say(f"{len(images)} pictures in {folder}")
        self.dataset = ViewDataset(
            folder,
            images,
            config.seed,
            (parts.student.spec.input, self.sizes),
            [(t.spec.input, composition.side(t.spec)) for t in parts.teachers.values()],
            config.data.bad_limit,
            config.data.smallest,
        )
        self.cache = MemoryCache(int(config.data.memory * 2**30)) if config.data.views else None
        self.frozen = Frozen(parts.teachers, parts.student, self.cache, fabric.to_device)
        self.bad: set[str] = set()
        names = hashlib.sha256("\n".join(images).encode()).hexdigest()
        self.digest = f"{len(images)} pictures, names' sha256 {names[:16]}"

    def steps(self, start: int, stop: int) -> Iterator[tuple[Tensor, Targets, float]]:
        """Each step's canvases `[B, 3, H, W]`, targets, and the seconds that it was waited for.

        Raises:
            DataError: If too many pictures cannot be decoded.
        """
        data = self.config.data
        sampler = StepSampler(
            len(self.dataset), len(self.sizes), self.config.optim.batch_size,
            start, stop, self.config.seed, data.views, self.cache or (),
            self.fabric.global_rank, self.fabric.world_size,
        )  # fmt: skip
        loader = load(self.dataset, sampler, data.workers)
        for _ in range(start, stop):
            began = time.perf_counter()
            batch = next(loader)
            waited = time.perf_counter() - began
            self._count_bad(batch.bad)
            canvas, targets = self.frozen(batch)
            yield canvas, targets, waited

    def _count_bad(self, names: list[str]) -> None:
        new = set(names) - self.bad
        self.bad |= new
        if new:
            self.say(f"skipped, cannot be decoded: {', '.join(sorted(new))}")
        check_bad(self.bad, self.config.data.bad_limit)
