"""What a head sees: its levels and targets, kept in memory or computed anew in each step."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from kivfm_core.data.batches import Tick, batches
from kivfm_core.data.labeled_images import ImageReader
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.head_training.augment import augment
from kivfm_core.heads.head import Target
from kivfm_core.task import LabeledImages, spread
from kivfm_core.teacher import Levels, Teacher

# Bytes of levels and targets that are kept in memory, at most.
KEEP = 2**31

# From an image's index and frame to its labels on its canvas.
FindTarget = Callable[[int, Frame], Target]


@dataclass(frozen=True)
class Canvases:
    """Some images with their labels.

    Attributes:
        images: `[B, 3, H, W]` in [0, 1].
        frames: The canvases' frames.
        targets: The labels on the canvases, an image each.
        indices: Which of the data's images these are.
    """

    images: Tensor
    frames: list[Frame]
    targets: list[Target]
    indices: list[int]


@dataclass(frozen=True)
class Seen:
    """Some images as a head sees them.

    Attributes:
        levels: What the student gives.
        targets: The labels on the canvases, an image each; empty for images of a validation.
        indices: Which of the data's images these are.
    """

    levels: Levels
    targets: list[Target]
    indices: list[int]


@dataclass
class Validation:
    """Images to validate on; their levels are computed once, if they fit into memory.

    Attributes:
        model: The student in the role of the head.
        data: The images.
        keep: Whether levels are kept.
    """

    model: Teacher
    data: LabeledImages
    keep: bool
    kept: list[Seen] = field(default_factory=list[Seen])

    def __call__(self, tick: Tick | None = None) -> Iterator[Seen]:
        """The images, batch by batch."""
        if self.kept:
            yield from self.kept
            return
        found: list[Seen] = []
        for batch in batches(self.data.paths, self.model.spec.input, tick):
            seen = Seen(self.model.encode(batch.images, batch.frames), [], batch.indices)
            if self.keep:
                found.append(seen)
            yield seen
        self.kept = found


class Examples:
    """Images to learn from, in an order that follows from the seed.

    Args:
        model: The student in the role of the head.
        data: The images.
        target: Their labels on a canvas.
        batch_size: Images in a step.
        seed: Of the order and of augmentations.
        augmented: Whether they are augmented; then nothing is kept.
    """

    # Six parameters after the model: each is a setting of its own.
    def __init__(
        self,
        model: Teacher,
        data: LabeledImages,
        target: FindTarget,
        batch_size: int,
        seed: int,
        augmented: bool,
    ) -> None:
        self.model, self.data, self.target = model, data, target
        self.size, self.seed, self.augmented = batch_size, seed, augmented
        self.usable = list(range(len(data.paths)))
        self.kept: dict[int, tuple[dict[str, Tensor], Target, Frame]] = {}

    def keep(self, tick: Tick | None = None) -> None:
        """Computes and keeps the levels and targets of all images; passes broken ones over.

        Raises:
            DataError: If too many are broken.
        """
        for batch in batches(self.data.paths, self.model.spec.input, tick):
            levels = self.model.encode(batch.images, batch.frames)
            for place, (index, frame) in enumerate(zip(batch.indices, batch.frames, strict=True)):
                own = {name: level[place].clone() for name, level in levels.items()}
                self.kept[index] = own, self.target(index, frame), frame
        self.usable = sorted(self.kept)

    def labels(self, limit: int) -> Iterator[Target]:
        """The labels of at most so many images, evenly spread; broken ones are passed over."""
        if self.kept:
            yield from (target for _, target, _ in self.kept.values())
            return
        only, contract = spread(len(self.data.paths), limit), self.model.spec.input
        for batch in batches(self.data.paths, contract, only=only, reader=ImageReader(len(only))):
            yield from map(self.target, batch.indices, batch.frames)

    def at(self, step: int) -> Seen:
        """What a step learns from: it follows from the seed and the step alone.

        Raises:
            DataError: If none of its images can be decoded.
        """
        if self.kept:
            wanted = self._indices(step)
            levels, targets, frames = zip(*(self.kept[index] for index in wanted), strict=True)
            stacked = {name: torch.stack([own[name] for own in levels]) for name in levels[0]}
            return Seen(Levels(stacked, frames), list(targets), wanted)
        found = self.canvases(step)
        levels = self.model.encode(found.images, found.frames)
        return Seen(levels, found.targets, found.indices)

    def _indices(self, step: int) -> list[int]:
        """The images of a step: all images once in an epoch, but for those that fill no batch."""
        each = max(1, len(self.usable) // self.size)
        epoch, place = divmod(step, each)
        source = torch.Generator().manual_seed(self.seed * 1_000_003 + epoch)
        order = torch.randperm(len(self.usable), generator=source).tolist()
        return [self.usable[i] for i in order[place * self.size : (place + 1) * self.size]]

    def canvases(self, step: int) -> Canvases:
        """The canvases of a step, augmented if that is wanted.

        Raises:
            DataError: If none of its images can be decoded.
        """
        wanted = self._indices(step)
        images, frames, targets, indices = list[Tensor](), list[Frame](), list[Target](), []
        paths = [self.data.paths[index] for index in wanted]
        for batch in batches(paths, self.model.spec.input, reader=ImageReader(len(paths))):
            for place, image, frame in zip(batch.indices, batch.images, batch.frames, strict=True):
                images.append(image)
                frames.append(frame)
                indices.append(wanted[place])
                targets.append(self.target(wanted[place], frame))
        if not images:
            raise DataError(f"no image of step {step + 1} can be decoded", "remove broken images")
        if self.augmented:
            with torch.random.fork_rng(devices=[]):
                torch.manual_seed(self.seed * 1_000_003 + step)
                pairs = [augment(*pair) for pair in zip(images, targets, strict=True)]
            images, targets = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        return Canvases(torch.stack(images), frames, targets, indices)


def fits(model: Teacher, images: int, target_bytes: int) -> bool:
    """Whether levels and targets of so many images fit into memory, by estimate.

    Args:
        model: The student in the role of the head.
        images: How many.
        target_bytes: What an image's labels take for each pixel of its canvas.
    """
    canvas = (model.spec.input.size, model.spec.input.size)
    cells = {
        level.name: level.channels
        * (level.grid(canvas)[0] * level.grid(canvas)[1] if level.kind == "dense" else 1)
        for level in model.spec.levels
    }
    return images * (4 * sum(cells.values()) + target_bytes * canvas[0] * canvas[1]) <= KEEP
