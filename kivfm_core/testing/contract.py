"""The check that the input contract is applied once: by the core, and not by the encoder again."""

from __future__ import annotations

from typing import Any, TypeGuard

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from kivfm_core.data.canvas import normalize
from kivfm_core.spec import InputContract
from kivfm_core.testing.images import canvases
from kivfm_core.testing.outcome import Finding
from kivfm_core.testing.subject import Subject

# Pixels that padding may add where no level has a stride: fewer are a convolution's own.
CELL = 32
ARITHMETIC = {"add", "sub", "mul", "div", "add_", "sub_", "mul_", "div_"}
RESIZING = ("upsample", "_upsample", "grid_sampler")


def contract(subject: Subject) -> None:
    """The input contract is applied once and only once."""
    images, _ = canvases(subject.spec.input, subject.sides[0])
    x = normalize(images, subject.spec.input)
    teacher = subject.teacher
    strides = [level.stride for level in subject.spec.levels if level.stride]
    canvas = (x.shape[-2], x.shape[-1])
    watch, geometry = _Watch(subject.spec.input), _Geometry(canvas, max(strides, default=CELL))
    with torch.no_grad(), watch, geometry:
        teacher.encoder(x)
    seen = watch.seen | (set() if geometry.used else geometry.seen)
    if seen:
        raise Finding(
            f"the encoder applies {' and '.join(sorted(seen))} of the input contract again",
            "leave it to the core: the encoder gets canvases as it wants them",
        )


class _Watch(TorchDispatchMode):
    """Sees what is done to three-channel images with the contract's own numbers, or again."""

    def __init__(self, contract: InputContract) -> None:
        super().__init__()
        inverse = tuple(1 / value for value in contract.std)
        named = {"mean": [contract.mean], "std": [contract.std, inverse],
                 "scale": [(contract.scale,) * 3, (1 / contract.scale,) * 3]}  # fmt: skip
        self.numbers = [
            (name, torch.tensor(values).abs())
            for name, options in named.items()
            for values in options
            if set(values) - {0.0, 1.0}
        ]
        self.flipped = contract.channel_order == "BGR"
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        name = func.overloadpacket.__name__
        if self.flipped and args and _is_images(args[0]) and _swaps(name, args):
            self.seen.add("channel order")
        if name in ARITHMETIC and any(map(_is_images, args)):
            for numbers in filter(_is_few, args):
                value = torch.as_tensor(numbers, dtype=torch.float32).abs().flatten().expand(3)
                self.seen |= {
                    name for name, own in self.numbers if torch.allclose(value, own, rtol=1e-4)
                }
        return func(*args, **(kwargs or {}))


class _Geometry(TorchDispatchMode):
    """Sees whether whole canvases are resized or padded, and whether they are used as they are.

    Networks with branches look at an image in several sizes, and convolutions pad it by less than
    a cell: neither takes the core's place.
    """

    def __init__(self, canvas: tuple[int, int], cell: int) -> None:
        super().__init__()
        self.canvas, self.cell = canvas, cell
        self.used = False
        self.seen: set[str] = set()

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        found = func(*args, **(kwargs or {}))
        if any(map(self._is_canvas, args)):
            name = func.overloadpacket.__name__
            if not _is_images(found):
                self.used = True
            elif name.startswith(RESIZING) and not self._is_canvas(found):
                self.seen.add("resizing")
            elif "pad" in name and max(found.shape[-2] - self.canvas[0],
                                       found.shape[-1] - self.canvas[1]) >= self.cell:  # fmt: skip
                self.seen.add("padding")
        return found

    def _is_canvas(self, value: Any) -> bool:
        return _is_images(value) and tuple(value.shape[-2:]) == self.canvas


def _swaps(name: str, args: tuple[Any, ...]) -> bool:
    """Whether an operation puts an image's three channels in another order."""
    channels = args[0].ndim - 3
    if name == "flip":
        return any(axis % args[0].ndim == channels for axis in args[1])
    if name == "index_select":
        return args[1] % args[0].ndim == channels and args[2].numel() == 3
    if name == "index":
        indices = args[1][channels] if len(args[1]) == channels + 1 else None
        return indices is not None and indices.numel() == 3
    return False


def _is_images(value: Any) -> TypeGuard[Tensor]:
    return isinstance(value, Tensor) and value.ndim in (3, 4) and value.shape[-3] == 3


def _is_few(value: Any) -> bool:
    if isinstance(value, Tensor):
        return value.numel() in (1, 3)
    return isinstance(value, (int, float))
