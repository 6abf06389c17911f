r"""Draws the places of one image in several teachers' coordinates and in what all of them share.

kivfm scenes DATA --train 700 --val 150 --seed 0
kivfm distill --teachers dino/nano,clip/nano,sam/nano,detector/nano,segmenter/nano \
  --recipe kpu-joint --steps 300 --batch-size 8 --image-size 96 --set data.views=1 \
  --set student.width=192 --data DATA/train/images --out RUN
python scripts/shared_figure.py RUN DATA/val/images/000062.jpg --beside DATA/val/images

Above: a teacher's own dense level. Below: what that level says of the shared coordinates, and what
the student says of them. Colors are the first three principal coordinates: above of each teacher
for itself, below the same three for all.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from kivfm_core.aligners.joint import JointAligner
from kivfm_core.aligners.joint_plan import PLACES
from kivfm_core.data.canvas import make_canvases, to_tensor
from kivfm_core.data.images import open_image
from kivfm_core.geometry import Frame
from kivfm_core.layers.resample import resample
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.prediction.feature_colors import components, paint

if TYPE_CHECKING:
    from torch import Tensor

FILE = Path(__file__).parents[1] / "docs/figures/shared-space.webp"
TEACHERS = ("clip/nano", "detector/nano", "segmenter/nano")
# Pixels: an image's width, and the room around images and for a line of text.
WIDTH, GAP, LINE = 220, 10, 28
INK = "#1c1f24"


class Reader:
    """Dense levels of teachers and student on one grid, the student's.

    Args:
        run: With a shared head.
    """

    def __init__(self, run: Path) -> None:
        self.model = cast(StudentModel, open_model(run, "cpu"))
        self.teachers = {name: self.model.teacher(name) for name in TEACHERS}

    def __call__(self, file: Path) -> tuple[list[Tensor], list[Tensor]]:
        """Each teacher's level `[C, h, w]`; and Z `[K, h, w]` by each, then by the student."""
        pixels, encoder = to_tensor(open_image(file)), self.model.encoder
        canvas, frames = make_canvases([pixels], encoder.spec.input)
        z = encoder.encode(canvas, frames)[PLACES]
        grid = (z.shape[-2], z.shape[-1])
        pairs = [self._read(name, pixels, frames, grid) for name in TEACHERS]
        return [own for own, _ in pairs], [*(said for _, said in pairs), z[0]]

    def _read(
        self, name: str, pixels: Tensor, frames: list[Frame], grid: tuple[int, int]
    ) -> tuple[Tensor, Tensor]:
        teacher = self.teachers[name]
        assert teacher is not None
        canvas, own = make_canvases([pixels], teacher.spec.input)
        levels = teacher.encode(canvas, own)
        plan = [p for p in self.model.composition.of(name) if p.level.kind == "dense"][-1]
        aligner = cast(JointAligner, self.model.student.aligner(name, plan.level.name))
        v = aligner.to_latent(levels[plan.level.name])
        both = (v, aligner.shared_map.shared(v))
        here, there = (resample(one, own, frames, grid)[0] for one in both)
        return here, there


def main() -> None:
    """Reads the command line, and writes the figure."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument(
        "--beside", type=Path, required=True, help="Images whose colors are comparable."
    )
    given = parser.parse_args()
    read = Reader(given.run)
    found = [read(file) for file in [given.image, *sorted(given.beside.iterdir())[:40]]]
    own = [_colors([levels[i] for levels, _ in found]) for i in range(len(TEACHERS))]
    # One basis for all: their coordinates are the same ones.
    every = [z / z.std() for i in range(len(TEACHERS) + 1) for z in [zs[i] for _, zs in found]]
    colors = paint(components(every))[:: len(found)]
    photo = open_image(given.image)
    top = [np.asarray(photo), *own]
    _composed(photo.size, [top, [colors[-1], *colors[:-1]]]).save(FILE, quality=80, method=6)
    print(f"written: {FILE} ({FILE.stat().st_size // 1024} KiB)")


def _colors(maps: Sequence[Tensor]) -> np.ndarray:
    return paint(components(maps))[0]


def _composed(size: tuple[int, int], rows: Sequence[Sequence[np.ndarray]]) -> Image.Image:
    """Two rows of images, each with a line of text above."""
    height = WIDTH * size[1] // size[0]
    columns = len(rows[0])
    room = (GAP + columns * (WIDTH + GAP), len(rows) * (LINE + height + GAP))
    whole = Image.new("RGB", room, "white")
    brush, font = ImageDraw.Draw(whole), ImageFont.load_default(15)
    words = (
        ("the image", *(f"{name}: own coordinates" for name in TEACHERS)),
        ("the student: shared", *(f"{name}: shared" for name in TEACHERS)),
    )
    for row, (images, names) in enumerate(zip(rows, words, strict=True)):
        y = row * (LINE + height + GAP)
        for column, (pixels, name) in enumerate(zip(images, names, strict=True)):
            x = GAP + column * (WIDTH + GAP)
            brush.text((x, y + 6), name, fill=INK, font=font)
            shown = Image.fromarray(pixels).resize((WIDTH, height), Image.Resampling.NEAREST)
            whole.paste(shown, (x, y + LINE))
    return whole


if __name__ == "__main__":
    main()
