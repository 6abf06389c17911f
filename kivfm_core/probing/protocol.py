"""What a protocol is: the torch-free record that describes it, and what a user may set."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Norm = Literal["batch", "layer"]


@dataclass(frozen=True)
class Protocol:
    """A way to measure frozen features.

    Attributes:
        name: As in `--protocol NAME`.
        summary: One line for help.
        run: Reference to `(bench) -> list of ProbeRow`.
        data: What it reads of a source: classes of images, maps of classes, texts of images, or
            images alone.
        trains: Whether it needs images to learn from, `--train`.
        extra: The extra of kivfm that it needs, with the module in it.
    """

    name: str
    summary: str
    run: str
    data: Literal["classes", "maps", "pairs", "images"]
    trains: bool = True
    extra: tuple[str, str] | None = None


@dataclass(frozen=True)
class Settings:
    """What a user may change; the defaults are what the papers did, as far as it can be done.

    Attributes:
        limit: At most so many images of each source.
        teacher: Measure this teacher's levels, as the student predicts them, in place of the
            model's own features.
        size: Side of the square canvas of dense protocols, in pixels; rounded up to what the
            network takes.
        norm: What normalizes the dense map before its classifier.
        steps: Optimizer steps of protocols that train by them; by default the protocol's own.
        against: The model whose levels are compared (`cka`); by default a run's teachers.
    """

    limit: int | None = None
    teacher: str | None = None
    size: int = 512
    norm: Norm = "batch"
    steps: int | None = None
    against: str | None = None
