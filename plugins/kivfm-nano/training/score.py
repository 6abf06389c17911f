"""Measure the teachers on held-out scenes, and the base through closed-form linear aligners.

The latter is what a student gets for free: ridge regression from dino/nano's levels, resized
bilinearly, to a teacher's levels, and the teacher's own decoders on top.
"""

import argparse
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor

from kivfm_core.data.canvas import normalize
from kivfm_core.data.formats.classes import ClassData
from kivfm_core.data.sources import load_data, parse_source
from kivfm_core.data.views import sample_view
from kivfm_core.evaluation.evaluate import evaluate_teacher
from kivfm_core.evaluation.features.knn import measure_knn
from kivfm_core.geometry import Frame
from kivfm_core.scenes import named_classes
from kivfm_core.scenes.write import write_scenes
from kivfm_core.tasks.table import KNN
from kivfm_core.teacher import Decoders, Levels, LoadedTeacher, load_teacher
from training.common import WEIGHTS, get_spec
from training.pool import FAVORITES, Sample, cut, load_pool

# Views a domain that the linear aligners are fitted on.
FIT = 400


def load(family: str) -> LoadedTeacher:
    """A teacher as just trained: its file given, since its hash may not be in the spec yet."""
    return load_teacher(get_spec(f"{family}/nano"), WEIGHTS / f"{family}.safetensors")


class Pixels:
    """Raw pixels as a feature: an image of 24 x 24."""

    def __init__(self, spec_of: LoadedTeacher) -> None:
        self.spec = spec_of.spec

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Shrink the canvas."""
        small = F.interpolate(images, (24, 24), mode="area").flatten(1)
        return Levels({"global": small - small.mean(1, keepdim=True)}, frames)


class LinearBase:
    """The base in a teacher's place, through ridge regression."""

    def __init__(self, base: LoadedTeacher, teacher: LoadedTeacher) -> None:
        self.base, self.spec = base, teacher.spec
        self.decoders: Decoders = teacher.decoders
        self.prompt, self.decode = teacher.prompt, teacher.decode
        self.maps = {level.name: self._fit(teacher, level.name) for level in self.spec.levels}

    def _features(self, images: Tensor, like: Tensor) -> Tensor:
        """The base's level [N, C + 1] of the same kind and grid as another, a one at the end."""
        with torch.no_grad():
            levels = self.base.encoder(normalize(images, self.base.spec.input))
        x = levels["global"]
        if like.ndim == 4:
            dense = F.interpolate(levels["dense"], like.shape[-2:], mode="bilinear")
            x = dense.permute(0, 2, 3, 1).flatten(0, 2)
        return torch.cat((x, x.new_ones(len(x), 1)), dim=1)

    def _fit(self, teacher: LoadedTeacher, name: str) -> Tensor:
        squares, products = torch.zeros(()), torch.zeros(())
        for images, frames in _views(teacher):
            y = teacher.encode(images, frames)[name]
            x = self._features(images, y)
            y = y.permute(0, 2, 3, 1).flatten(0, 2) if y.ndim == 4 else y
            squares, products = squares + x.T @ x, products + x.T @ y
        penalty = 1e-4 * squares.diagonal().mean() * torch.eye(len(squares))
        return torch.linalg.solve(squares + penalty, products)

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Predict the teacher's levels."""
        found: dict[str, Tensor] = {}
        for level in self.spec.levels:
            grid = level.grid(frames[0].canvas) if level.stride else None
            like = images.new_empty(len(images), 1, *grid) if grid else images.new_empty(1, 1)
            y = self._features(images, like) @ self.maps[level.name]
            found[level.name] = (
                y.unflatten(0, (len(images), *grid)).permute(0, 3, 1, 2) if grid else y
            )
        return Levels(found, frames)


def _views(teacher: LoadedTeacher) -> list[tuple[Tensor, list[Frame]]]:
    contract, side = teacher.spec.input, teacher.spec.input.train_side()
    samples: list[Sample] = [s for d in load_pool().values() for s in d[:FIT]]
    batches = []
    for start in range(0, len(samples), 32):
        chosen = samples[start : start + 32]
        sizes = [(s.owners.shape[1], s.owners.shape[2]) for s in chosen]
        views = [sample_view(size, 1, f"fit-{start + i}", 0) for i, size in enumerate(sizes)]
        canvases = [cut(s, v, contract, side)[0] for s, v in zip(chosen, views, strict=True)]
        frame = Frame((side, side), (0, 0, side, side), (side, side), (0, 0), (side, side))
        batches.append((torch.stack(canvases), [frame] * len(chosen)))
    return batches


def by_category(data: ClassData) -> ClassData:
    """Group the 48 named classes by silhouette."""
    categories = [words[0] for words in named_classes().values()]
    names = tuple(dict.fromkeys(categories))
    words = named_classes()
    targets = tuple(names.index(words[data.classes[t]][0]) for t in data.targets)
    return replace(data, targets=targets, classes=names)


def score(family: str, base: LoadedTeacher, folder: Path, limit: int | None) -> None:
    """Print a purpose teacher's scores on mixed scenes, the base's, and those at home."""
    teacher = load(family)
    linear = LinearBase(base, teacher)
    home = folder / FAVORITES[family]
    write_scenes(home, train=0, val=100, seed=0, domains=(FAVORITES[family],), per_class=4)
    for task in (task.task for task in teacher.spec.tasks):
        mixed = evaluate_teacher(teacher, task, str(folder / "mixed/val"), limit)
        given = evaluate_teacher(linear, task, str(folder / "mixed/val"), limit)
        own = evaluate_teacher(teacher, task, str(home / "val"), limit)
        print(
            f"{family} {task}: {mixed:.3f} on mixed scenes, {own:.3f} on {home.name} alone; "
            f"the base through linear aligners {given:.3f} ({given / mixed:.0%})",
            flush=True,
        )


def score_base(base: LoadedTeacher, folder: Path, limit: int | None) -> None:
    """Print k-NN accuracies."""
    data = load_data(parse_source(str(folder / "mixed/val")), KNN, limit)
    assert isinstance(data, ClassData)
    for name, model in (("dino", base), ("raw pixels", Pixels(base))):
        own, grouped = measure_knn(model, data)[0], measure_knn(model, by_category(data))[0]
        print(f"{name} k-NN: {own:.3f} by class, {grouped:.3f} by category", flush=True)


def main() -> None:
    """Print one line a teacher and task."""
    parser = argparse.ArgumentParser()
    parser.add_argument("families", nargs="*", default=("dino", *FAVORITES))
    parser.add_argument("--limit", type=int, help="images of each set; all")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = Path(tempfile.gettempdir()) / "kivfm-nano-scenes"
    folder.mkdir(exist_ok=True)
    write_scenes(folder / "mixed", train=0, val=400, seed=0)
    base = load("dino")
    for family in options.families:
        if family == "dino":
            score_base(base, folder, options.limit)
        else:
            score(family, base, folder, options.limit)


if __name__ == "__main__":
    main()
