"""Classification: top-1 accuracy over a teacher's whole label space."""

from __future__ import annotations

from collections.abc import Sequence

from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.label_spaces import match
from kivfm_core.errors import DataError
from kivfm_core.geometry import Frame
from kivfm_core.predictions import ClassLogits
from kivfm_core.task import Meter


class Classification(Meter):
    """Top-1 accuracy on the images whose class the label space has.

    Args:
        data: Images with classes; classes meet the space by name, plain indices as they are.
        space: The teacher's labels.

    Raises:
        DataError: If the space has none of the data's classes, or an index is beyond it.
    """

    def __init__(self, data: ClassData, space: tuple[str, ...] | None) -> None:
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
        self.right = self.seen = 0

    def update(
        self, predictions: ClassLogits, indices: Sequence[int], frames: Sequence[Frame]
    ) -> None:
        """Compares the highest logit of `[B, K]` with the target."""
        best = predictions.logits.argmax(dim=1).tolist()
        for index, label in zip(indices, best, strict=True):
            target = self.targets[index]
            self.seen += target is not None
            self.right += target == label

    def compute(self) -> float:
        """The share of images whose class was right."""
        return self.right / self.seen


def no_match(given: Sequence[str], space: Sequence[str]) -> DataError:
    """The error of data whose classes a teacher does not know."""
    return DataError(
        f"none of the data's {len(given)} classes ({', '.join(given[:3])}, ...) is among"
        f" the teacher's {len(space)} ({', '.join(space[:3])}, ...)",
        "give this task other data: --data TASK=SOURCE",
    )
