"""A model that a page is about: what it can do, and what it finds in an image."""

from __future__ import annotations

import base64
import time
from collections.abc import Sequence
from io import BytesIO
from threading import Lock
from typing import Any

from PIL import Image

from kivfm_core.data.canvas import to_tensor
from kivfm_core.data.unlabeled import Images
from kivfm_core.errors import KivfmError, UsageError, printable
from kivfm_core.models.model import Model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.playing.ask import Ask
from kivfm_core.playing.beside import load_beside, why_absent
from kivfm_core.playing.features import as_colors, teacher_level
from kivfm_core.playing.kept import KeptPasses
from kivfm_core.playing.uploads import fit
from kivfm_core.prediction.all_tasks import solve
from kivfm_core.prediction.prompts import told
from kivfm_core.prediction.result import Prediction
from kivfm_core.registry.registry import find_task
from kivfm_core.spec import TeacherSpec
from kivfm_core.student.one_pass import SoloPass
from kivfm_core.task import spread
from kivfm_core.teacher import Encoder, Teacher

# So many images to choose from, and the side of their small versions in pixels.
SAMPLES, SMALL = 24, 160


class Session:
    """A model and the images to try it with. It knows nothing of who asks.

    Args:
        model: The model.
        images: The images to choose from; None if there are none.
    """

    def __init__(self, model: Model, images: Images | None = None) -> None:
        self.model, self.images = model, images
        self.samples = spread(len(images), SAMPLES) if images else []
        # Whoever asks waits until the model is free: its passes are one person's at a time.
        self._lock = Lock()
        self._passes: dict[int | None, KeptPasses] = {}
        self._loaded: dict[str, Teacher | None] = {}

    def about(self) -> dict[str, Any]:
        """What the page is built from, ready for JSON."""
        specs = self.model.specs
        names = dict.fromkeys(solved.task for spec in specs for solved in spec.tasks)
        tasks = [find_task(name) for name in names]
        return {
            "name": printable(self.model.name),
            "dense": self.model.dense_level is not None,
            "student": isinstance(self.model, StudentModel),
            "teachers": [
                {
                    "name": printable(spec.name),
                    "tasks": [solved.task for solved in spec.tasks],
                    "absent": why_absent(self.model, spec),
                    "dense": teacher_level(spec) is not None,
                }
                for spec in specs
            ],
            "tasks": [
                {
                    "name": task.name,
                    "summary": task.summary,
                    "kind": task.kind,
                    "needs": list(task.prompt.flags) if task.prompt else [],
                }
                for task in tasks
            ],
            "samples": [self._sample_name(index) for index in range(len(self.samples))],
        }

    def sample(self, index: int) -> Image.Image:
        """One of the images to choose from.

        Raises:
            UsageError: If there is none of this number.
            DataError: If it cannot be decoded.
        """
        if self.images is None or not 0 <= index < len(self.samples):
            raise UsageError(f"there is no image {index} here")
        return fit(self.images.open(self.samples[index]))

    def predict(self, image: Image.Image, ask: Ask) -> dict[str, Any]:
        """What a model or its teacher finds in an image, ready for JSON.

        Raises:
            KivfmError: If the question does not fit, or the teacher is not here.
        """
        specs = self._specs(ask.teacher)
        given = told(ask.labels or None, ask.prompts(*image.size), image.size[::-1])
        tasks = _wanted(specs, ask, bool(given["prompts"]))
        with self._lock:
            began = time.monotonic()
            passes = self._solvers(ask.teacher)
            found = solve(passes, to_tensor(image), tasks, given, threshold=ask.threshold)
            seconds = time.monotonic() - began
        return {"seconds": round(seconds, 3), "results": [_result(one) for one in found]}

    def features(self, image: Image.Image, ask: Ask) -> dict[str, Any]:
        """Dense features as colors: the model's own, or a teacher's beside its stand-in's.

        Raises:
            KivfmError: If the teacher is not here, or has no dense features.
        """
        spec = None if ask.teacher is None else self._specs(ask.teacher)[0]
        level = self.model.dense_level if spec is None else teacher_level(spec)
        if level is None:
            raise UsageError("there are no dense features")
        with self._lock:
            began = time.monotonic()
            drawn = as_colors(image, self._encoders(spec), level)
            seconds = time.monotonic() - began
        results = [{"drawing": as_url(one, "PNG"), "lines": [words]} for one, words in drawn]
        return {"seconds": round(seconds, 3), "results": results}

    def _encoders(self, spec: TeacherSpec | None) -> list[Encoder]:
        """Whose features are compared: the stand-in, then its teacher if that is here."""
        if spec is None:
            return [self.model.encoder]
        beside = self._beside(spec)
        own = self.model.solver(spec.name)
        return [own] if beside is None else [own, beside]

    def _beside(self, spec: TeacherSpec) -> Teacher | None:
        """A teacher itself; None if it is not here. Its weights are loaded once."""
        if spec.name not in self._loaded:
            self._loaded[spec.name] = load_beside(self.model, spec)
        return self._loaded[spec.name]

    def _sample_name(self, index: int) -> str:
        assert self.images is not None
        return printable(self.images[self.samples[index]])

    def _specs(self, teacher: int | None) -> Sequence[TeacherSpec]:
        if teacher is None:
            return self.model.specs
        if teacher >= len(self.model.specs):
            raise UsageError(f"there is no teacher {teacher} here")
        return [self.model.specs[teacher]]

    def _solvers(self, teacher: int | None) -> KeptPasses:
        """The model's passes, or one of its teachers'; weights are loaded at the first call."""
        if teacher not in self._passes:
            self._passes[teacher] = KeptPasses(self._make_passes(teacher))
        return self._passes[teacher]

    def _make_passes(self, teacher: int | None) -> Sequence[Any]:
        if teacher is None:
            return self.model.passes([spec.name for spec in self.model.specs if spec.tasks])
        spec = self.model.specs[teacher]
        loaded = self._beside(spec)
        if loaded is None:
            why = self.model.absent.get(spec.name) or why_absent(self.model, spec)
            raise KivfmError(f"{spec.name} is not here: {why}")
        return [SoloPass(loaded)]


def _wanted(specs: Sequence[TeacherSpec], ask: Ask, pointed_at: bool) -> dict[str, list[str]]:
    """By teacher, those of the wanted tasks whose prompts are given."""
    known = {"labels": bool(ask.labels), "points": pointed_at, "prompts": pointed_at}
    tasks: dict[str, list[str]] = {}
    for spec in specs:
        for solved in spec.tasks:
            prompt = find_task(solved.task).prompt
            ready = all(known[flag] for flag in (prompt.flags if prompt else ()))
            if ready and (not ask.task or solved.task in ask.task):
                tasks.setdefault(spec.name, []).append(solved.task)
    return tasks


def _result(found: Prediction) -> dict[str, Any]:
    return {
        "task": found.task,
        "teacher": found.teacher,
        "lines": found.lines(),
        "drawing": as_url(found.draw()),
    }


def as_file(image: Image.Image, kind: str = "JPEG") -> bytes:
    """An image as a file for a browser, `JPEG` or `PNG`."""
    content = BytesIO()
    image.save(content, kind, quality=90)
    return content.getvalue()


def as_url(image: Image.Image, kind: str = "JPEG") -> str:
    """An image as an address that contains it."""
    text = base64.b64encode(as_file(image, kind)).decode("ascii")
    return f"data:image/{kind.lower()};base64,{text}"
