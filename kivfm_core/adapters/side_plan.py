"""The side adapter's shapes and parameters, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Literal

from kivfm_core.adapters.plan import AdapterPlan, MapPlan
from kivfm_core.errors import UsageError
from kivfm_core.spec import Attachment

TAPS = 4
EXPANSION = 2
KERNEL = 5
NARROWEST = 32


class SidePlan(AdapterPlan):
    """The side adapter's shapes.

    Attributes:
        x_channels: Channels of the student's global feature.
        v_channels: Channels of the student's dense map V.
        strides: Strides of its pyramid, fine to coarse, powers of two from 4.
        widths: Channels at each stride.
        entry: Where in the pyramid the taps come in: the base's own stride.
        finest: Where the offered maps begin.
        suffix: Ends the offered maps' names, where another adapter offers the same strides.
        native: Whether it adds to x and V, too.
    """

    kind: Literal["side"] = "side"
    x_channels: int
    v_channels: int
    strides: tuple[int, ...]
    widths: tuple[int, ...]
    entry: int
    finest: int
    suffix: str = ""
    native: bool = True

    @property
    def number(self) -> int:
        """Which extension of a student this is, from 1; 0 for its first adapter."""
        # Stored compositions hold the suffix alone: no text, or a plus sign and the number.
        return int(self.suffix or 0)

    def numbered(self, number: int) -> SidePlan:
        """The same as one of several adapters of a student: it leaves x and V as they are."""
        suffix = f"+{number}" if number else ""
        return self.model_copy(update={"suffix": suffix, "native": False})

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The maps that it offers beside V, fine to coarse."""
        pairs = list(zip(self.strides, self.widths, strict=True))[self.finest :]
        return tuple(MapPlan(name=f"P{s}{self.suffix}", channels=w, stride=s) for s, w in pairs)

    @property
    def outline(self) -> dict[str, Any]:
        """Where it reads the base, and how wide it is at each stride."""
        taps = [tap.module for tap in self.taps]
        return {"taps": taps, "strides": list(self.strides), "widths": list(self.widths)}

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks at each stride on the way down."""
        return tuple(1 if i < self.entry else 2 for i in range(len(self.strides)))

    @property
    def parameters(self) -> int:
        """Trainable parameters of the module that `build_adapter` makes."""
        widths, coarsest = self.widths, self.widths[-1]
        at_entry = widths[self.entry]
        stem = _conv(3, widths[0] // 2, 3) + _conv(widths[0] // 2, widths[0], 3)
        downs = sum(2 * a + _conv(a, b, 2) for a, b in pairwise(widths))
        blocks = sum(n * _block(w) for n, w in zip(self.depths, widths, strict=True))
        taps = sum(2 * tap.channels + _conv(tap.channels, at_entry, 1) for tap in self.taps)
        ups = sum(_conv(b, a, 1) + _block(a) for a, b in pairwise(widths[self.finest :]))
        norms = sum(2 * plan.channels for plan in self.maps)
        heads = _conv(at_entry, self.v_channels, 1) + _conv(coarsest, self.x_channels, 1)
        return stem + downs + blocks + taps + ups + norms + (heads if self.native else 0)


def _conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def _block(width: int) -> int:
    depthwise, norm = width * KERNEL**2 + width, 2 * width
    return depthwise + norm + 2 * EXPANSION * width**2 + EXPANSION * width + width


def plan_side(
    attachments: Sequence[Attachment],
    x_channels: int,
    v: MapPlan,
    finest: int,
    width: int | None = None,
) -> SidePlan:
    """Plans the side adapter for a base.

    The pyramid goes one stride beyond the base's, for context, and offers every stride from the
    finest that a teacher has.

    Args:
        attachments: The base's attachment points, shallow to deep; four of them are read.
        x_channels: Channels of the base's global level.
        v: The base's dense level.
        finest: The finest stride that a selected teacher has, in pixels.
        width: Channels at the base's stride.

    Raises:
        UsageError: If that is too narrow.
    """
    if width is not None and width < NARROWEST:
        raise UsageError(
            f"a side adapter of {width} channels is too narrow",
            f"--set student.width={NARROWEST}",
        )
    own = max(8, 1 << (v.stride - 1).bit_length())
    strides = tuple(s for s in (4, 8, 16, 32, 64, 128) if s <= 2 * own)
    entry = strides.index(own)
    middle = width or max(NARROWEST, min(v.channels, 512) * 3 // 4 // 8 * 8)
    finer = [max(48, middle * s // own // 8 * 8) for s in strides[:entry]]
    count = min(TAPS, len(attachments))
    picks = [len(attachments) * (i + 1) // count - 1 for i in range(count)]
    return SidePlan(
        taps=tuple(attachments[i] for i in picks),
        x_channels=x_channels,
        v_channels=v.channels,
        strides=strides,
        widths=(*finer, middle, middle * 4 // 3 // 8 * 8),
        entry=entry,
        finest=next(i for i, s in enumerate(strides) if s >= min(max(finest, 4), own)),
    )
