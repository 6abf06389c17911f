"""Classification: top-1 accuracy over a teacher's whole label space."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.label_spaces import match
from kivfm_core.errors import DataError, printable
from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits
from kivfm_core.task import Chance, Meter, weighted_means


class Classification(Meter):
    """Top-1 accuracy on the images whose class is in the label space.

    Args:
        data: Images with classes; named classes are matched with the label space, indices are taken
            as they are.
        space: The teacher's label space.

    Raises:
        DataError: If none of the data's classes is in the label space, or an index is beyond it.
    """

    def __init__(self, data: ClassData, space: tuple[str, ...] | None) -> None:
        self.data, self.classes = data, len(space or ())
        self.targets: list[int | None] = list(data.targets)
        for path, target in zip(data.paths, data.targets, strict=True):
            if data.classes is None and not 0 <= target < len(space or ()):
                raise DataError(
                    f"{path} has the class index {target}, and the teacher's go from 0 to"
                    f" {len(space or ()) - 1}",
                    "give class names, or indices of the teacher's own classes",
                )
        if data.classes is not None:
            where = match(data.classes, space or ())
            if not any(index is not None for index in where):
                raise no_match(data.classes, space or ())
            self.targets = [where[target] for target in data.targets]
        # Of each image whether it counts, and whether its class was found.
        self.counted, self.hit = np.zeros((2, len(data.paths)), np.bool_)

    def update(
        self, predictions: ClassLogits, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Compares the highest logit of `[B, K]` with the target."""
        best = predictions.logits.argmax(dim=1).tolist()
        for index, label in zip(indices, best, strict=True):
            target = self.targets[index]
            self.counted[index] = target is not None
            self.hit[index] = target == label

    def seen(self) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which images count, and which are right."""
        return self.counted, self.hit

    def absorb(self, seen: tuple[NDArray[np.bool_], NDArray[np.bool_]]) -> None:
        """Adds other images."""
        self.counted |= seen[0]
        self.hit |= seen[1]

    def compute(self) -> float:
        """The share of images whose predicted class is right.

        Raises:
            DataError: If no image has a class that the teacher knows.
        """
        if not self.objects():
            raise DataError("no image has a class that the teacher knows")
        return int(self.hit.sum()) / self.objects()

    def resample(self, counts: NDArray[np.float64]) -> NDArray[np.float64]:
        """The shares of right images."""
        return weighted_means(counts, self.hit.astype(float), self.counted.astype(float))

    def objects(self) -> int:
        """The images whose class the teacher knows: the others do not count."""
        return int(self.counted.sum())

    def chance(self) -> Chance | None:
        """A guess among all classes."""
        guess, seen = 1 / max(1, self.classes), self.objects()
        return Chance(guess, sqrt(guess * (1 - guess) / seen)) if seen else None

    def notes(self) -> tuple[str, ...]:
        """Classes without an image."""
        shown = set(self.data.targets)
        return absent([n for i, n in enumerate(self.data.classes or ()) if i not in shown])


def absent(names: Sequence[str]) -> tuple[str, ...]:
    """The note that classes do not occur; none if there are none."""
    if not names:
        return ()
    listed = ", ".join(printable(name) for name in names[:5]) + (", ..." if len(names) > 5 else "")
    return (f"classes that never occur: {len(names)} ({listed})",)


def no_match(given: Sequence[str], space: Sequence[str]) -> DataError:
    """The error for data of which no class is in a teacher's label space."""
    return DataError(
        f"none of the data's {len(given)} classes ({', '.join(given[:3])}, ...) is among"
        f" the teacher's {len(space)} ({', '.join(space[:3])}, ...)",
        "give this task other data: --data TASK=SOURCE",
    )
