"""What teachers' own decoders make of levels that were encoded and decoded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from torch import Tensor

from benchmarks.common import NANO
from kivfm_core.cache.codec import Codec
from kivfm_core.cache.encoding import FITTED_ON, Encoding
from kivfm_core.data.batches import batches
from kivfm_core.evaluation.measure import measure
from kivfm_core.evaluation.worklist import list_work
from kivfm_core.geometry import Frame
from kivfm_core.scenes.write import write_scenes
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import Levels, LoadedTeacher, load_teacher

LATENTS = (64, 32)


class Kept:
    """A teacher whose levels went through a cache."""

    def __init__(self, teacher: LoadedTeacher, name: str, encoding: Encoding) -> None:
        self.teacher, self.spec, self.name = teacher, teacher.spec, name
        self.codec, self.bytes = Codec(encoding, torch.device("cpu")), 0

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        """Levels of canvases `[B, 3, H, W]`, as a cache gives them back."""
        said = self.teacher.encode(images, frames)
        records = self.codec.encode(said)
        self.bytes = records.shape[1]
        layout = {name: tuple(level.shape[1:]) for name, level in said.items()}
        return Levels(self.codec.decode(list(records), layout), frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        """The teacher's."""
        return self.teacher.prompt(task, **raw)

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Any:
        """The teacher's."""
        return self.teacher.decode(task, levels, prompt)


def measure_losses(folder: Path, images: int) -> list[dict[str, Any]]:
    """Scores of the nano teachers on demo scenes, on their own levels and on decoded ones."""
    rows: list[dict[str, Any]] = []
    with TemporaryDirectory(dir=folder) as name:
        scenes = Path(name) / "scenes"
        write_scenes(scenes, train=FITTED_ON, val=images, per_class=4)
        pool = sorted((scenes / "train/images").iterdir())
        teachers = [load_teacher(name) for name in NANO.split(",")]
        teachers = [teacher for teacher in teachers if teacher.spec.tasks]
        work = list_work([t.spec for t in teachers], [str(scenes / "val")])
        for teacher in teachers:
            kept = [Kept(teacher, *pair) for pair in _encodings(teacher.spec).items()]
            seen = [teacher.encode(b.images, b.frames) for b in batches(pool, teacher.spec.input)]
            for model in kept:
                model.codec.maps = model.codec.fit(seen)
            for item in work.teachers[teacher.spec.name]:
                own, *scores = measure([teacher, *kept], {item.task: item.data})[item.task].values
                rows += [
                    {"teacher": teacher.spec.name, "task": item.task, "encoding": model.name,
                     "bytes": model.bytes, "own": own, "decoded": score}
                    for model, score in zip(kept, scores, strict=True)
                ]  # fmt: skip
    return rows


def _encodings(spec: TeacherSpec) -> dict[str, Encoding]:
    found = {"bf16": Encoding(), "int8": Encoding("int8")}
    for size in LATENTS:
        dense = {level.name: level.channels for level in spec.levels if level.kind == "dense"}
        latent = {name: size for name, channels in dense.items() if size < channels}
        if latent:
            found[f"latent-bf16, {size}"] = Encoding("bfloat16", latent)
            found[f"latent-int8, {size}"] = Encoding("int8", latent)
    return found
