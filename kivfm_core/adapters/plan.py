"""What an adapter will be: its shapes and parameters, without torch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from kivfm_core.spec import Attachment, Record

TAPS = 4
EXPANSION = 2
KERNEL = 3


class MapPlan(Record):
    """A dense map that the student offers: `[B, channels, H / stride, W / stride]`."""

    name: str
    channels: int
    stride: int
    rounding: Literal["ceil", "floor"] = "ceil"


class AdapterPlan(Record):
    """The side adapter's shapes.

    Attributes:
        kind: Key of the table of adapters.
        taps: Attachment points that it reads, shallow to deep.
        x_channels: Channels of the student's global feature.
        v_channels: Channels of the student's dense map V.
        strides: Strides of its pyramid, fine to coarse, powers of two from 4.
        widths: Channels at each stride.
        fine: The maps finer than V that it offers.
    """

    kind: Literal["side"] = "side"
    taps: tuple[Attachment, ...]
    x_channels: int
    v_channels: int
    strides: tuple[int, ...]
    widths: tuple[int, ...]
    fine: tuple[MapPlan, ...]

    @property
    def depths(self) -> tuple[int, ...]:
        """Blocks at each stride: three at the coarsest, two where a map is offered, else none."""
        offered = {fine.stride for fine in self.fine}
        return (*(2 if s in offered else 0 for s in self.strides[:-1]), 3)

    @property
    def parameters(self) -> int:
        """Trainable parameters of the module that `build_adapter` makes."""
        top = self.widths[-1]
        stem = _conv(3, self.widths[0] // 2, 3) + _conv(self.widths[0] // 2, self.widths[0], 3)
        downs = sum(_conv(a, b, 3) for a, b in zip(self.widths, self.widths[1:], strict=False))
        blocks = sum(n * _block(w) for n, w in zip(self.depths, self.widths, strict=True))
        taps = sum(_conv(tap.channels, top, 1) for tap in self.taps)
        ups = sum(
            _conv(b, a, 1) + _block(a)
            for stride, a, b in zip(self.strides, self.widths, self.widths[1:], strict=False)
            if stride in {fine.stride for fine in self.fine}
        )
        norms = 2 * top + sum(2 * fine.channels for fine in self.fine)
        heads = _conv(top, self.v_channels, 1) + _conv(top, top, 1) + _conv(top, self.x_channels, 1)
        return stem + downs + blocks + taps + ups + norms + heads


def _conv(inputs: int, outputs: int, kernel: int) -> int:
    return inputs * outputs * kernel**2 + outputs


def _block(width: int) -> int:
    depthwise, norm = width * KERNEL**2 + width, 2 * width
    return depthwise + norm + 2 * EXPANSION * width**2 + EXPANSION * width + width


def plan_adapter(
    attachments: Sequence[Attachment],
    x_channels: int,
    v: MapPlan,
    finest: int,
    width: int | None = None,
) -> AdapterPlan:
    """Plans the side adapter for a base.

    Args:
        attachments: The base's attachment points, shallow to deep; four of them are read.
        x_channels: Channels of the base's global level.
        v: The base's dense level.
        finest: The finest stride that a selected teacher has, in pixels.
        width: Channels at the coarsest stride.
    """
    coarsest = max(8, 1 << (v.stride.bit_length() - (0 if v.stride & (v.stride - 1) else 1)))
    strides = tuple(s for s in (4, 8, 16, 32, 64) if s <= coarsest)
    top = width or min(v.channels, 384)
    widths = tuple(max(32, top * s // coarsest // 8 * 8) for s in strides[:-1])
    fine = tuple(
        MapPlan(name=f"V{s}", channels=w, stride=s)
        for s, w in zip(strides[:-1], widths, strict=True)
        if s >= max(finest, coarsest // 4)
    )
    count = min(TAPS, len(attachments))
    picks = [len(attachments) * (i + 1) // count - 1 for i in range(count)]
    return AdapterPlan(
        taps=tuple(attachments[i] for i in picks),
        x_channels=x_channels,
        v_channels=v.channels,
        strides=strides,
        widths=(*widths, top),
        fine=fine,
    )
