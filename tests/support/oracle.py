"""A teacher that answers what it is told to, for tests of what is done with answers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from torch import Tensor

from kivfm_core.geometry import Frame
from kivfm_core.predictions import Predictions
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights
from kivfm_core.teacher import Levels


def oracle_spec(
    tasks: dict[str, Any], contract: InputContract | None = None, name: str = "oracle/one"
) -> TeacherSpec:
    """A spec that declares tasks with their labels."""
    return TeacherSpec(
        name=name,
        encoder="m:build",
        levels=(
            Level(name="global", kind="global", channels=3),
            Level(name="dense", kind="dense", channels=3, stride=1),
        ),
        input=contract or InputContract(policy="letterbox", size=32),
        tasks=tuple(
            TaskSpec(task=task, levels=("dense",), decoder="m:decoder", part=task, labels=labels)
            for task, labels in tasks.items()
        ),
        weights=Weights(source="run:/", split="m:split"),
        parameters=1,
    )


class Oracle:
    """Its levels are the canvas and the canvas's mean color; its predictions come from `answer`.

    Args:
        spec: What it declares.
        answer: From (levels, prompt) to predictions.
    """

    def __init__(
        self, spec: TeacherSpec, answer: Callable[[Levels, Any], Predictions] | None = None
    ) -> None:
        self.spec, self.answer = spec, answer
        self.encoded = self.decoded = 0
        self.prompts: list[dict[str, Any]] = []

    def encode(self, images: Tensor, frames: Sequence[Frame]) -> Levels:
        self.encoded += len(images)
        return Levels({"dense": images, "global": images.mean((2, 3))}, frames)

    def prompt(self, task: str, **raw: Any) -> Any:
        self.prompts.append(raw)
        return raw

    def decode(self, task: str, levels: Levels, prompt: Any = None) -> Predictions:
        assert self.answer is not None
        self.decoded += 1
        return self.answer(levels, prompt)
