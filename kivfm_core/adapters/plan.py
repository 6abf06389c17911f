"""What every kind of adapter declares, without torch, and what it is planned from."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Literal, Self

from kivfm_core.spec import Attachment, Record


class MapPlan(Record):
    """A dense map that the student offers: `[B, channels, H / stride, W / stride]`."""

    name: str
    channels: int
    stride: int
    rounding: Literal["ceil", "floor"] = "ceil"


# What an adapter reads of its base: the output of a module, or a dense level beside V.
Source = Attachment | MapPlan


class AdapterRequest(Record):
    """What an adapter is planned from: its base, and what is wanted of it.

    Attributes:
        attachments: The base's attachment points, shallow to deep.
        x_channels: Channels of the base's global level.
        v: The base's dense level.
        levels: The base's further dense levels.
        finest: The finest stride that a teacher needs, in pixels.
        width: Channels of the adapter; each kind says which, and has a default for None.
        base_parameters: Number of the base's parameters.
    """

    attachments: tuple[Attachment, ...]
    x_channels: int
    v: MapPlan
    finest: int
    width: int | None = None
    base_parameters: int = 0
    levels: tuple[MapPlan, ...] = ()


class AdapterPlan(Record):
    """What is trained on a frozen base. Each kind has a subclass, named in `ADAPTERS`.

    Attributes:
        module: Reference to its module, an `Adapter` that is built from `(plan, trunk)`.
        changes_base: Whether it changes what the base's own modules compute. The student then runs
            the base a second time, with gradients, and some settings of the engine cannot follow.
        taps: Attachment points whose outputs it reads, shallow to deep. Stored under this name;
            code reads `attachments`.
        kind: Its key in `ADAPTERS`; every subclass gives it a default.
    """

    module: ClassVar[str]
    changes_base: ClassVar[bool] = False

    taps: tuple[Attachment, ...] = ()
    kind: str = ""

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """Plans an adapter of this kind.

        Raises:
            UsageError: If the base has no place for this kind, or the width does not suit it.
        """
        raise NotImplementedError

    @property
    def attachments(self) -> tuple[Attachment, ...]:
        """Attachment points whose outputs it reads, shallow to deep."""
        return self.taps

    @property
    def reads(self) -> tuple[Source, ...]:
        """All that it reads of the base, in the order in which its module gets the maps."""
        return self.attachments

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The maps that it offers beside V, fine to coarse."""
        return ()

    @property
    def parameters(self) -> int:
        """Trainable parameters of its module."""
        return 0

    @property
    def outline(self) -> dict[str, Any]:
        """Its shape for a reader, as JSON-able data."""
        return {}

    def activation_numbers(self, side: int, trunk_pixels: int) -> int | None:
        """Numbers that a training pass keeps of one view for the gradient, by estimate.

        Args:
            side: Side of the student's square canvas, in pixels.
            trunk_pixels: Pixels of the canvas that the base gets.

        Returns:
            None if it cannot be told: gradients pass through the base, and no spec describes its
            layers.
        """
        return None if self.changes_base else 0

    # A student can have several adapters: one for each teacher, or one more each time that
    # teachers were added. All but the first are numbered, and leave the base's x and V as they are.

    @property
    def number(self) -> int:
        """Which of a student's adapters it is; the first has 0."""
        return 0

    def split_width(self, count: int) -> int | None:
        """The width at which `count` adapters have about as many parameters as this one.

        Returns:
            None if a student can have only one adapter of this kind.
        """
        return None

    def beside(self, number: int) -> Self:
        """The same as a further adapter, which leaves x and V as they are.

        Args:
            number: Which of the student's adapters it becomes; part of its maps' names.
        """
        raise NotImplementedError


def spread(places: Sequence[Attachment], count: int) -> tuple[Attachment, ...]:
    """Some attachment points, evenly spread from shallow to deep; the deepest is the last."""
    number = min(count, len(places))
    return tuple(places[len(places) * (i + 1) // number - 1] for i in range(number))


def cells(side: int, stride: int) -> int:
    """Cells of a map of this stride on a square canvas; both in pixels."""
    return (-(-side // stride)) ** 2
