"""Canvases and frames: where every pixel of a canvas comes from. Prompts: what is pointed at.

Torch-free.

A canvas is made in three integer steps: cut the `source` box out of the original, resize it to
`resized`, put it at `origin` on a `canvas` of padding (an origin below zero crops). The frame
records them, so that boxes, points and maps go back and forth exactly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kivfm_core.errors import UsageError
from kivfm_core.spec import InputContract

Size = tuple[int, int]
Box = tuple[int, int, int, int]


@dataclass(frozen=True)
class View:
    """A square box and a flip in original pixels; the box may reach beyond the image.

    Attributes:
        box: `(x0, y0, x1, y1)`.
        flip: Mirror left and right.
    """

    box: Box
    flip: bool = False


@dataclass(frozen=True)
class Frame:
    """How a canvas was made. Sizes are `(height, width)`, boxes `(x0, y0, x1, y1)`, pixels.

    Attributes:
        original: Size of the image on disk; of a mosaic, of its canvas.
        source: The part of the original that was taken.
        resized: The size it was resized to.
        origin: `(x, y)` of the resized content on the canvas.
        canvas: Size of the canvas.
        flip: Whether the canvas was mirrored, last.
    """

    original: Size
    source: Box
    resized: Size
    origin: tuple[int, int]
    canvas: Size
    flip: bool = False

    @property
    def scale(self) -> tuple[float, float]:
        """`(sx, sy)` of the map `canvas = scale * original + offset`."""
        x0, y0, x1, y1 = self.source
        sx, sy = self.resized[1] / (x1 - x0), self.resized[0] / (y1 - y0)
        return (-sx if self.flip else sx), sy

    @property
    def offset(self) -> tuple[float, float]:
        """`(tx, ty)` of the map `canvas = scale * original + offset`."""
        sx, sy = self.scale
        tx = self.origin[0] - abs(sx) * self.source[0]
        return (self.canvas[1] - tx if self.flip else tx), self.origin[1] - sy * self.source[1]

    @property
    def content(self) -> Box:
        """The box of the canvas that shows the image; the rest of the canvas is padding."""
        (x, y), (h, w), (ch, cw) = self.origin, self.resized, self.canvas
        x0, x1 = max(x, 0), min(x + w, cw)
        return (
            (cw - x1 if self.flip else x0),
            max(y, 0),
            (cw - x0 if self.flip else x1),
            min(y + h, ch),
        )

    def to_canvas(self, x: float, y: float) -> tuple[float, float]:
        """The canvas point of an original point."""
        (sx, sy), (tx, ty) = self.scale, self.offset
        return sx * x + tx, sy * y + ty

    def to_original(self, x: float, y: float) -> tuple[float, float]:
        """The original point of a canvas point."""
        (sx, sy), (tx, ty) = self.scale, self.offset
        return (x - tx) / sx, (y - ty) / sy


def _round_up(side: int, multiple: int) -> int:
    return -(-side // multiple) * multiple


def plan_frame(original: Size, contract: InputContract) -> Frame:
    """The frame of a whole image under a contract, for evaluation and prediction.

    Args:
        original: `(height, width)` of the image.
        contract: The encoder's input contract.
    """
    h, w = original
    size, short, long = contract.size, min(h, w), max(h, w)
    square, origin = (size, size), (0, 0)
    if contract.policy == "stretch":
        resized, canvas = square, square
    elif contract.policy.startswith("letterbox"):
        resized, canvas = _scaled(original, size / long, contract), square
        if contract.policy == "letterbox-center":
            origin = ((size - resized[1]) // 2, (size - resized[0]) // 2)
    elif contract.policy == "short-side":
        resized = _scaled(original, contract.short_side_scale(short, long), contract)
        canvas = _round_up(resized[0], contract.multiple), _round_up(resized[1], contract.multiple)
    else:
        resized = _scaled(original, (contract.resize or size) / short, contract)
        canvas = square
        whole = round if contract.crop_rounding == "nearest" else int
        origin = (-whole((resized[1] - size) / 2), -whole((resized[0] - size) / 2))
    return Frame(original, (0, 0, w, h), resized, origin, canvas)


def _scaled(size: Size, scale: float, contract: InputContract) -> Size:
    # The small term keeps 480 * (800 / 480) at 800: in floating point it is a little less.
    more = 0.5 if contract.rounding == "nearest" else 1e-6
    return max(1, int(size[0] * scale + more)), max(1, int(size[1] * scale + more))


def plan_view(original: Size, view: View, side: int) -> Frame:
    """The frame of a view on a square canvas, for distillation.

    Args:
        original: `(height, width)` of the image.
        view: The square box and flip; it must overlap the image.
        side: Canvas side in pixels.
    """
    h, w = original
    x0, y0, x1, y1 = view.box
    source = max(x0, 0), max(y0, 0), min(x1, w), min(y1, h)
    if source[0] >= source[2] or source[1] >= source[3]:
        raise ValueError(f"view {view.box} does not overlap an image of {w} x {h}")
    scale = side / (x1 - x0)
    left, top = round((source[0] - x0) * scale), round((source[1] - y0) * scale)
    right, bottom = round((source[2] - x0) * scale), round((source[3] - y0) * scale)
    resized = max(1, bottom - top), max(1, right - left)
    return Frame(original, source, resized, (left, top), (side, side), view.flip)


@dataclass(frozen=True)
class Click:
    """A place in an image or on a canvas that is pointed at.

    Attributes:
        x: In pixels, to the right.
        y: In pixels, downwards.
        positive: Whether it lies on what is meant; a negative click lies on what is not.
    """

    x: float
    y: float
    positive: bool = True


@dataclass(frozen=True)
class MaskPrompt:
    """What one mask is wanted for: clicks, a box around it, or both.

    Attributes:
        clicks: In no special order.
        box: `(x0, y0, x1, y1)` in pixels, or None.

    Raises:
        UsageError: If it has neither a positive click nor a box.
    """

    clicks: tuple[Click, ...] = ()
    box: tuple[float, float, float, float] | None = None

    def __post_init__(self) -> None:
        if self.box is None and not any(click.positive for click in self.clicks):
            raise UsageError(
                "a prompt has neither a click on its object nor a box",
                "--points X,Y or --box X0,Y0,X1,Y1",
            )

    @property
    def single(self) -> Click | None:
        """Its click, if that is all it has."""
        return self.clicks[0] if self.box is None and len(self.clicks) == 1 else None

    def to_canvas(self, frame: Frame) -> MaskPrompt:
        """The same prompt, from original to canvas pixels."""
        clicks = tuple(Click(*frame.to_canvas(c.x, c.y), c.positive) for c in self.clicks)
        if self.box is None:
            return MaskPrompt(clicks)
        (ax, ay), (bx, by) = frame.to_canvas(*self.box[:2]), frame.to_canvas(*self.box[2:])
        return MaskPrompt(clicks, (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by)))


def by_form(prompts: Sequence[MaskPrompt]) -> list[list[int]]:
    """Indices of prompts that fill one tensor: as many clicks each, all with a box or none.

    Example:
        >>> click, box = MaskPrompt((Click(1, 2),)), MaskPrompt(box=(0, 0, 4, 4))
        >>> by_form([click, box, click])
        [[0, 2], [1]]
    """
    groups: dict[tuple[int, bool], list[int]] = {}
    for index, prompt in enumerate(prompts):
        groups.setdefault((len(prompt.clicks), prompt.box is None), []).append(index)
    return list(groups.values())
