"""Passes of an encoder that are not made again for the image that was seen last.

A click, a label or another threshold then costs a decoder alone.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from hashlib import sha256

from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.student.one_pass import Canvas, EncoderPass
from kivfm_core.teacher import Levels

# Images whose levels are kept: those of two people who look at the page at once.
IMAGES = 2


class KeptPass:
    """A pass, and what it gave for the last images. What is kept is in memory alone.

    Args:
        one: The pass.
    """

    def __init__(self, one: EncoderPass) -> None:
        self.one, self.input, self.solvers = one, one.input, one.solvers
        self._levels: OrderedDict[bytes, list[Levels]] = OrderedDict()

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> list[Levels]:
        """The levels for each of `solvers`, from canvases `[B, 3, H, W]`."""
        key = sha256(repr(frames).encode() + images.contiguous().numpy().tobytes()).digest()
        if key not in self._levels:
            self._levels[key] = self.one.encode(images, frames)
        self._levels.move_to_end(key)
        while len(self._levels) > IMAGES:
            self._levels.popitem(last=False)
        return self._levels[key]


class KeptPasses:
    """Whoever solves tasks, with all passes made once.

    Args:
        passes: The passes.
    """

    def __init__(self, passes: Sequence[EncoderPass]) -> None:
        self._passes = [KeptPass(one) for one in passes]

    def passes(self, teachers: Sequence[str], canvas: Canvas = None) -> Sequence[EncoderPass]:
        """All of them, whoever is needed."""
        return self._passes
