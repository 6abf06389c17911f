"""What every head is: a decoder that is trained on labels."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Protocol, TypedDict

from torch import Tensor, nn
from torchvision.tv_tensors import BoundingBoxes, Mask

from kivfm_core.errors import UsageError
from kivfm_core.predictions import Predictions
from kivfm_core.spec import Level, TeacherSpec


class Given(Protocol):
    """What a head reads, as `kivfm_core.teacher.Levels` offers it: a batch of levels by name."""

    @property
    def canvas(self) -> tuple[int, int]:
        """Height and width of the batch's canvases, in pixels."""
        ...

    def __getitem__(self, name: str, /) -> Tensor:
        """A level: `[B, C]`, or `[B, C, h, w]`."""
        ...


class Meters(Mask):
    """Meters at every pixel, of the camera that took the image: a closer look divides them."""


class Target(TypedDict, total=False):
    """The labels of an image on its canvas, in the form that torchvision's transforms take.

    Attributes:
        label: Index of the image's class; below 0 if it does not count.
        map: `[H, W]`, indices of classes; below 0 where nothing counts.
        depth: `Meters` `[H, W]`; 0 or below where nothing was measured.
        boxes: `[N, 4]`, xyxy in canvas pixels, of the objects.
        labels: `[N]`, indices of the objects' classes.
        masks: int8 `[N, H, W]`, 1 where an object is.
    """

    label: int
    map: Mask
    depth: Mask
    boxes: BoundingBoxes
    labels: Tensor
    masks: Mask


class Head(nn.Module):
    """A decoder that is trained on labels.

    Only its weights are trained. It reads a student's own features.

    Args:
        spec: Of the head, with one task, whose labels are its classes.
    """

    def __init__(self, spec: TeacherSpec) -> None:
        super().__init__()
        (task,) = spec.tasks
        self.levels: tuple[Level, ...] = tuple(spec.level(name) for name in task.levels)
        self.classes = len(task.labels)

    def forward(self, levels: Given, prompt: Any = None) -> Predictions:
        """Predictions in canvas pixels."""
        raise NotImplementedError

    def loss(self, levels: Given, targets: Sequence[Target]) -> Tensor:
        """The loss of a batch, a number whose gradients reach the head's weights.

        Args:
            levels: What it reads.
            targets: One an image.
        """
        raise NotImplementedError


def no_encoder(spec: TeacherSpec) -> NoReturn:
    """A head has no encoder: it reads its student's features.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{spec.name} is a head of a student: it has no encoder of its own")


def no_weights(spec: TeacherSpec, state: Mapping[str, Tensor]) -> NoReturn:
    """A head has no weights file: its weights lie in its student's bundle.

    Raises:
        UsageError: Always.
    """
    raise UsageError(f"{spec.name} is a head of a student: it has no weights file of its own")
