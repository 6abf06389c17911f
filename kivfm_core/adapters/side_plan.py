"""The side adapter's shapes and parameters, without torch."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt
from typing import Any, ClassVar, Self

from pydantic import model_validator

from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest, MapPlan, cells, spread
from kivfm_core.errors import UsageError

# Attachments that it reads, spread over the base's depth.
READS = 4
EXPANSION = 2
KERNEL = 5
NARROWEST = 32
# Strides that a pyramid may have, in pixels.
STRIDES = (4, 8, 16, 32, 64, 128)


class SidePlan(AdapterPlan):
    """The side adapter's shapes: a pyramid of maps, each half as fine as the one before.

    Its strides start at 4 pixels and go one beyond the base's own, for context. The base's
    features enter at the base's stride. From there a second way leads back to finer strides, as
    far as the finest that a teacher needs, and makes the maps that the adapter offers::

        canvas -> 4 -> 8 -> 16 -> 32       down; the base's features enter at 16, its own stride
                       8 <- 16 <- 32       back up; offered as P8, P16, P32

    Attributes:
        x_channels: Channels of the student's global feature.
        v_channels: Channels of the student's dense map V.
        strides: Strides of its pyramid, fine to coarse, powers of two from 4.
        widths: Channels at each stride.
        entry: Index of the stride where the base's features enter: the base's own.
        finest: Index of the finest stride whose map is offered.
        suffix: End of the offered maps' names, empty or `+NUMBER`; with several adapters it tells
            maps of one stride apart.
        native: Whether it adds to x and V, too.
    """

    module: ClassVar[str] = "kivfm_core.adapters.side:SideAdapter"

    kind: str = "side"
    x_channels: int
    v_channels: int
    strides: tuple[int, ...]
    widths: tuple[int, ...]
    entry: int
    finest: int
    suffix: str = ""
    native: bool = True

    @model_validator(mode="after")
    def _is_a_pyramid(self) -> Self:
        """Otherwise canvases would be enlarged to a cell, however large a plan says that it is."""
        if self.strides != STRIDES[: len(self.strides)]:
            raise ValueError(f"its strides are not {STRIDES[: len(self.strides)]}")
        if not 0 <= self.finest <= self.entry < len(self.strides) == len(self.widths):
            raise ValueError("its entry, its finest map or its widths do not fit its strides")
        return self

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """Plans the side adapter of a base; `width` is that at the base's stride.

        Raises:
            UsageError: If that is too narrow.
        """
        v, width = request.v, request.width
        if width is not None and width < NARROWEST:
            raise UsageError(
                f"a side adapter of {width} channels is too narrow",
                f"--set student.width={NARROWEST}",
            )
        # The base's stride, up to a power of two: patches of 14 pixels enter at 16.
        own = max(8, 1 << (v.stride - 1).bit_length())
        strides = tuple(s for s in STRIDES if s <= 2 * own)
        entry = strides.index(own)
        # Three quarters of the base's width, rounded to a multiple of 8, which GPUs compute
        # fastest. Finer maps have more cells, so they are narrower; the coarser one is wider.
        middle = width or max(NARROWEST, min(v.channels, 512) * 3 // 4 // 8 * 8)
        finer = [max(48, middle * s // own // 8 * 8) for s in strides[:entry]]
        wanted = min(max(request.finest, 4), own)
        return cls(
            taps=spread(request.attachments, READS),
            x_channels=request.x_channels,
            v_channels=v.channels,
            strides=strides,
            widths=(*finer, middle, middle * 4 // 3 // 8 * 8),
            entry=entry,
            finest=next(i for i, s in enumerate(strides) if s >= wanted),
        )

    @property
    def number(self) -> int:
        """Which of a student's adapters it is; `beside` writes it into the suffix."""
        # Stored compositions hold the suffix alone: no text, or a plus sign and the number.
        return int(self.suffix or 0)

    def split_width(self, count: int) -> int:
        """Parameters grow with the width's square."""
        return max(NARROWEST, round(self.widths[self.entry] / sqrt(count)) // 8 * 8)

    def beside(self, number: int) -> Self:
        """The same without its additions to x and V, and with its number in its maps' names."""
        suffix = f"+{number}" if number else ""
        return self.model_copy(update={"suffix": suffix, "native": False})

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The maps that it offers beside V, fine to coarse."""
        pairs = list(zip(self.strides, self.widths, strict=True))[self.finest :]
        return tuple(MapPlan(name=f"P{s}{self.suffix}", channels=w, stride=s) for s, w in pairs)

    @property
    def outline(self) -> dict[str, Any]:
        """The attachments that it reads, and its width at each stride."""
        taps = [attachment.module for attachment in self.attachments]
        return {"taps": taps, "strides": list(self.strides), "widths": list(self.widths)}

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks at each stride on the way down."""
        return tuple(1 if i < self.entry else 2 for i in range(len(self.strides)))

    @property
    def parameters(self) -> int:
        """Trainable parameters of the `SideAdapter`, part by part."""
        widths, coarsest = self.widths, self.widths[-1]
        at_entry = widths[self.entry]
        stem = _conv(3, widths[0] // 2, 3) + _conv(widths[0] // 2, widths[0], 3)
        downs = sum(2 * a + _conv(a, b, 2) for a, b in pairwise(widths))
        blocks = sum(n * _block(w) for n, w in zip(self.depths, widths, strict=True))
        reads = sum(2 * a.channels + _conv(a.channels, at_entry, 1) for a in self.attachments)
        ups = sum(_conv(b, a, 1) + _block(a) for a, b in pairwise(widths[self.finest :]))
        norms = sum(2 * plan.channels for plan in self.maps)
        heads = _conv(at_entry, self.v_channels, 1) + _conv(coarsest, self.x_channels, 1)
        return stem + downs + blocks + reads + ups + norms + (heads if self.native else 0)

    def activation_numbers(self, side: int, trunk_pixels: int) -> int:
        """The inputs of its layers and of their activation functions, part by part."""
        counts = [cells(side, stride) for stride in self.strides]
        stem = 3 * side**2 + 2 * (self.widths[0] // 2) * cells(side, 2)
        maps = [width * n for width, n in zip(self.widths, counts, strict=True)]
        down = sum(n * _block_numbers(size) for n, size in zip(self.depths, maps, strict=True))
        between = 2 * sum(maps[:-1])
        reads = sum(2 * a.channels * (trunk_pixels // a.stride**2) for a in self.attachments)
        offered = maps[self.finest :]
        up = sum(_block_numbers(fine) + coarse for fine, coarse in pairwise(offered))
        return stem + down + between + reads + up + 2 * sum(offered)


def _conv(inputs: int, outputs: int, kernel: int) -> int:
    """Parameters of a convolution."""
    return inputs * outputs * kernel**2 + outputs


def _block(width: int) -> int:
    """Parameters of a block."""
    depthwise, norm = width * KERNEL**2 + width, 2 * width
    return depthwise + norm + 2 * EXPANSION * width**2 + EXPANSION * width + width


def _block_numbers(size: int) -> int:
    """Numbers that a block keeps of a map of `size`: convolution, norm, the two linear layers."""
    return (3 + 2 * EXPANSION) * size
