"""What any adapter will be, without torch."""

from __future__ import annotations

from typing import Any, Literal

from kivfm_core.spec import Attachment, Record


class MapPlan(Record):
    """A dense map that the student offers: `[B, channels, H / stride, W / stride]`."""

    name: str
    channels: int
    stride: int
    rounding: Literal["ceil", "floor"] = "ceil"


class AdapterPlan(Record):
    """What is trained on a frozen base; each kind has a plan of its own.

    Attributes:
        taps: Attachment points whose outputs it reads, shallow to deep.
    """

    taps: tuple[Attachment, ...] = ()

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The maps that it offers beside V, fine to coarse."""
        return ()

    @property
    def parameters(self) -> int:
        """Trainable parameters of the module that `build_adapter` makes."""
        return 0

    @property
    def outline(self) -> dict[str, Any]:
        """What a person would want to know of its shape."""
        return {}


class NoPlan(AdapterPlan):
    """No adapter: the base as it is, and aligners only."""

    kind: Literal["none"] = "none"
