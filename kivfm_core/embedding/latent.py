"""What teachers share, as features: of an image, of a part of it, and of words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.aligners.joint_plan import IMAGE, PLACES
from kivfm_core.composition.words import clicked_teacher, is_words
from kivfm_core.data.canvas import make_canvases
from kivfm_core.embedding.kind import Manifest
from kivfm_core.errors import UsageError, printable
from kivfm_core.geometry import Frame, Size
from kivfm_core.layers.resample import resample
from kivfm_core.loaded.features import Viewpoint
from kivfm_core.loaded.pixels import read_pixels
from kivfm_core.models.model import Model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.tasks.open_vocabulary import OPEN_VOCABULARY


def latent_view(model: Model, teacher: str | None = None) -> Viewpoint:
    """What a student's shared coordinates are read from: z of an image, and Z of its places.

    Args:
        model: The model.
        teacher: None: no one teacher has them.

    Raises:
        UsageError: If the model has no shared head, or a teacher is given.
    """
    if teacher is not None:
        raise UsageError("what all share is no one teacher's", "leave out --teacher or --latent")
    if not isinstance(model, StudentModel) or model.composition.shared_head is None:
        raise UsageError(
            f"{printable(model.name)} has no space that teachers share",
            "kivfm distill --recipe kpu-joint makes a student that has",
        )
    return Viewpoint(model.encoder, None, IMAGE, (PLACES,))


def is_latent(model: Model, manifest: Manifest) -> bool:
    """Whether a file that the model made has vectors of what its teachers share."""
    own = manifest["teacher"] is None and isinstance(model, StudentModel)
    return own and manifest["level"] == IMAGE


@dataclass(frozen=True)
class Part:
    """A part of an image, by a box or a mask.

    Attributes:
        box: `(x0, y0, x1, y1)` in pixels of the image.
        mask: An image's file of the same size; what is not black belongs to the part.
    """

    box: Sequence[float] | None = None
    mask: str | Path | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is the whole image."""
        return self.box is None and self.mask is None

    def cover(self, size: Size) -> Tensor:
        """Which pixels of an image of `(height, width)` belong to it, boolean.

        Raises:
            UsageError: If both are given, none does, or the mask is of another size.
            DataError: If the mask cannot be decoded.
        """
        if self.box is not None and self.mask is not None:
            raise UsageError("a part is either a box or a mask", "leave out --box or --mask")
        shown = f"{size[1]} x {size[0]} pixels"
        inside = torch.zeros(size, dtype=torch.bool)
        if self.box is not None:
            what = f"the box {','.join(f'{v:g}' for v in self.box)}"
            x0, y0, x1, y1 = self.box
            if x0 < x1 and y0 < y1:
                (x0, x1), (y0, y1) = _clipped(x0, x1, size[1]), _clipped(y0, y1, size[0])
                inside[floor(y0) : ceil(y1), floor(x0) : ceil(x1)] = True
        else:
            what = printable(str(self.mask))
            inside = read_pixels(Path(str(self.mask))).amax(0) > 0
            if inside.shape != size:
                given = f"{inside.shape[1]} x {inside.shape[0]}"
                raise UsageError(f"{what} has {given} pixels", f"the image has {shown}")
        if not inside.any():
            raise UsageError(f"{what} shows nothing of the image", f"the image has {shown}")
        return inside


def _clipped(low: float, high: float, side: int) -> tuple[float, float]:
    return min(max(low, 0), side), min(max(high, 0), side)


def image_vector(model: Model, image: str | Path, part: Part) -> Tensor:
    """The shared coordinates `[K]` of an image, or the mean of those of a part's places.

    Raises:
        UsageError: If the model has none, or sees nothing of the part.
        DataError: If a file cannot be decoded.
    """
    seen, pixels = latent_view(model), read_pixels(image)
    canvas, frames = make_canvases([pixels], seen.encoder.spec.input)
    levels = seen.encoder.encode(canvas, frames)
    if part.is_whole:
        return seen.vector(levels)[0]
    z = levels[PLACES][0].float().cpu()
    weights = _weights(part.cover((pixels.shape[1], pixels.shape[2])), frames[0], z.shape[1:])
    if not weights.any():
        raise UsageError("the student's canvas shows nothing of that part", "give a larger one")
    return (z * weights).sum((1, 2)) / weights.sum()


def _weights(inside: Tensor, frame: Frame, grid: Sequence[int]) -> Tensor:
    """How much of each cell of a canvas `[h, w]` belongs to a part of its image."""
    h, w = inside.shape
    # A border of nothing, since beyond a map its border goes on.
    around = Frame((h, w), (0, 0, w, h), (h, w), (1, 1), (h + 2, w + 2))
    framed = F.pad(inside.float(), (1, 1, 1, 1))[None, None]
    return resample(framed, [around], [frame], (grid[0], grid[1]))[0, 0]


def text_vector(model: Model, text: str) -> Tensor:
    """Where a text points to in the shared coordinates, `[K]`.

    Raises:
        UsageError: If the model has none, or no teacher of words is a part of them.
    """
    latent_view(model)
    found = [one for one in model.specs if is_words(one) and clicked_teacher(one) is None]
    if not found:
        again = f"kivfm distill --from {printable(model.name)} --add-teacher clip"
        raise UsageError(f"no teacher of {printable(model.name)} knows words", again)
    prompt: Tensor = model.solver(found[0].name).prompt(OPEN_VOCABULARY.name, labels=[text])
    return prompt[:, 0].float().cpu()
