"""Plain loops over the same teachers, student, losses and images as a run's, in one process.

    python -m benchmarks.reuse.loops ideal|online|tar RUN.TOML

`online` runs all teachers on fresh views in every step, as UNIC does; `tar` runs them once on
every stored view and then reads safetensors from a tar in its order, as Theia does; `ideal` runs
them once and then trains on what is in memory, with only the networks' own seconds counted. The
last line has in JSON the seconds that each part took.
"""

from __future__ import annotations

import io
import json
import sys
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from safetensors.torch import load, save
from torch import Tensor, nn

from kivfm_core.composition.compose import compose
from kivfm_core.config import RunConfig, build_config
from kivfm_core.data.canvas import normalize
from kivfm_core.data.loader import ViewBatch, ViewDataset, collate
from kivfm_core.data.sampler import ViewItem
from kivfm_core.data.unlabeled import find_images
from kivfm_core.distillation.assemble import assemble
from kivfm_core.distillation.training.module import Distillation
from kivfm_core.distillation.training.schedule import make_optimizer

Levels = dict[str, dict[str, Tensor]]


class Loop:
    """The networks of a run, and its images."""

    def __init__(self, config: RunConfig, device: str = "cpu") -> None:
        self.config, composition = config, compose(config)
        self.device = torch.device(device)
        self.parts = assemble(config, composition, self.device, lambda _: None)
        self.student = self.parts.student.train()
        self.optimizer = make_optimizer(self.student, config)
        teachers = self.parts.teachers
        share = 1 / len(teachers)
        self.module = Distillation(self.student, config.recipe, dict.fromkeys(teachers, share))
        self.module.to(self.device)
        self.contract = composition.trunk.input
        requests = [(t.spec.input, composition.side(t.spec)) for t in teachers.values()]
        self.dataset = ViewDataset(
            find_images(Path(str(config.data.path))), config.seed,
            (self.contract, composition.image_size), requests, 0,
        )  # fmt: skip
        images = len(self.dataset)
        self.epochs = config.optim.steps * config.optim.batch_size // images

    def batches(self, view: int) -> Iterator[ViewBatch]:
        """One view of all images."""
        size = self.config.optim.batch_size
        for start in range(0, len(self.dataset), size):
            yield collate([self.dataset[ViewItem(i, view, 0)] for i in range(start, start + size)])

    def outputs(self, batch: ViewBatch) -> Levels:
        """The teachers' outputs."""
        return {
            name: dict(teacher.encode(batch.teachers[place].to(self.device), batch.frames[place]))
            for place, (name, teacher) in enumerate(self.parts.teachers.items())
        }

    def learn(self, canvas: Tensor, levels: Levels) -> None:
        """A step of the student."""
        draws = torch.zeros(len(self.parts.teachers), len(canvas))  # its recipe draws nothing
        loss, _ = self.module(normalize(canvas, self.contract), levels, draws)
        loss.backward()
        nn.utils.clip_grad_norm_(self.student.parameters(), self.config.optim.clip)
        self.optimizer.step()
        self.optimizer.zero_grad()


def online(loop: Loop) -> dict[str, float]:
    """Runs the teachers in every step."""
    began = time.perf_counter()
    for epoch in range(loop.epochs):
        for batch in loop.batches(epoch):
            loop.learn(batch.student, loop.outputs(batch))
    return {"total": time.perf_counter() - began}


def ideal(loop: Loop) -> dict[str, float]:
    """Runs them once a view, and learns from memory."""
    batches = [batch for view in range(loop.config.data.views) for batch in loop.batches(view)]
    loop.learn(batches[0].student, loop.outputs(batches[0]))  # warms up
    began = time.perf_counter()
    computed_outputs = [loop.outputs(batch) for batch in batches]
    computed = time.perf_counter()
    for step in range(loop.config.optim.steps):
        at = step % len(batches)
        loop.learn(batches[at].student, computed_outputs[at])
    done = time.perf_counter()
    return {"teachers": computed - began, "student": done - computed, "total": done - began}


def tar(loop: Loop) -> dict[str, float]:
    """Runs them once a view, and reads a tar a view in its order."""
    with TemporaryDirectory() as folder:
        began = time.perf_counter()
        for view in range(loop.config.data.views):
            with tarfile.open(f"{folder}/{view}.tar", "w") as file:
                for batch in loop.batches(view):
                    _write(file, batch, loop.outputs(batch))
        built = time.perf_counter()
        for epoch in range(loop.epochs):
            with tarfile.open(f"{folder}/{epoch % loop.config.data.views}.tar", "r:") as file:
                for rows in _read(file, loop.config.optim.batch_size):
                    loop.learn(rows.pop("")[""], rows)
        done = time.perf_counter()
    return {"build": built - began, "learning": done - built, "total": done - began}


def _write(file: tarfile.TarFile, batch: ViewBatch, levels: Levels) -> None:
    """A member a view: its canvas, and every level, in bfloat16."""
    flat = {f"{teacher}|{name}": x for teacher, by in levels.items() for name, x in by.items()}
    flat["|"] = batch.student
    for row, (image, view, _) in enumerate(batch.keys):
        blob = save({key: x[row].bfloat16().contiguous() for key, x in flat.items()})
        member = tarfile.TarInfo(f"{image:08d}-{view}.safetensors")
        member.size = len(blob)
        file.addfile(member, io.BytesIO(blob))


def _read(file: tarfile.TarFile, batch: int) -> Iterator[Levels]:
    """Batches of members, as they come."""
    rows: list[dict[str, Tensor]] = []
    for member in file:
        stream = file.extractfile(member)
        assert stream is not None
        rows.append(load(stream.read()))
        if len(rows) == batch:
            found: Levels = {}
            for key in rows[0]:
                teacher, _, name = key.partition("|")
                stacked = torch.stack([row[key] for row in rows]).float()
                found.setdefault(teacher, {})[name] = stacked
            yield found
            rows = []


LOOPS = {"online": online, "ideal": ideal, "tar": tar}

if __name__ == "__main__":
    torch.manual_seed(0)
    print(json.dumps(LOOPS[sys.argv[1]](Loop(build_config(Path(sys.argv[2]), {})))))
