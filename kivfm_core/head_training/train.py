"""Training a head: steps, validations, the best weights, and where a killed try goes on."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from math import cos, inf, pi
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from kivfm_core.errors import DataError, UsageError, printable
from kivfm_core.files import new_folder
from kivfm_core.head_training.examples import Examples
from kivfm_core.head_training.settings import HeadSettings
from kivfm_core.heads.head import Head
from kivfm_core.progress import Progress
from kivfm_core.run_files import read_record
from kivfm_core.student.bundle import save_tensors
from kivfm_core.weights.loading import load_strict, read_own_state

# In the folder of a head that is being trained.
CARD, WEIGHTS = "state.json", "state.safetensors"

WEIGHT_DECAY = 1e-4


@dataclass(frozen=True)
class Origin:
    """What a head is trained on, as a try that was stopped remembers it.

    Attributes:
        model: What it was opened by.
        sha256: Hash of its weights: what was moved is still the same.
        base_alone: Whether only the base of this student is meant.
    """

    model: str
    sha256: str
    base_alone: bool = False

    def __str__(self) -> str:
        return f"the base of {self.model}" if self.base_alone else self.model


@dataclass
class Trained:
    """How far a head is trained.

    Attributes:
        step: Steps made.
        scores: The score at each validation, by step.
        best: The highest.
        best_step: After how many steps it was reached.
        state: The weights then.
    """

    step: int = 0
    scores: dict[int, float] = field(default_factory=dict[int, float])
    best: float = -inf
    best_step: int = 0
    state: dict[str, Tensor] = field(default_factory=dict[str, Tensor])


class Learner(nn.Module):
    """What is trained: a head, on features that stay as they are.

    Args:
        head: The head, with its first weights.
        examples: What it learns from.
    """

    def __init__(self, head: Head, examples: Examples) -> None:
        super().__init__()
        self.head, self.examples = head, examples

    def groups(self) -> list[dict[str, Any]]:
        """The `params` that are trained, each with its `share` of the learning rate."""
        return [{"params": list(self.head.parameters()), "share": 1.0}]

    def loss(self, step: int) -> Tensor:
        """The loss of a step, a number whose gradients reach all that is trained."""
        seen = self.examples.at(step)
        return self.head.loss(seen.levels, seen.targets)


class Trainer:
    """Trains a head.

    Args:
        learner: The head, and what is trained with it.
        validate: Gives its score, in 0..1.
        settings: How it is trained.
        folder: Where a killed try goes on.
        origin: What it is trained on.
    """

    def __init__(
        self,
        learner: Learner,
        validate: Callable[[], float],
        settings: HeadSettings,
        folder: Path,
        origin: Origin,
    ) -> None:
        self.learner, self.validate, self.origin = learner, validate, origin
        self.settings, self.folder, self.at = settings, folder, Trained()
        self.optimizer = torch.optim.AdamW(
            learner.groups(), lr=settings.rate, weight_decay=WEIGHT_DECAY
        )

    def run(self, progress: Progress) -> Trained:
        """Trains until all steps are made, or the score has not grown for long.

        What is trained has its best weights then.

        Raises:
            UsageError: If the folder holds a try on another model, or with other settings.
            DataError: If images cannot be used, or the loss is no number.
        """
        self._resume()
        progress.start(self.settings.steps, self.at.step)
        while self.at.step < self.settings.steps and not self._is_enough():
            loss = self._step()
            progress.step({"step": self.at.step, "loss": loss, "what": self.settings.name})
            if self.at.step % self.settings.every == 0 or self.at.step == self.settings.steps:
                self._score(progress)
        load_strict(self.learner, self.at.state, self.settings.name)
        return self.at

    def _is_enough(self) -> bool:
        waited = self.at.step - self.at.best_step
        return bool(self.at.scores) and waited >= self.settings.patience * self.settings.every

    def _step(self) -> float:
        step, settings = self.at.step, self.settings
        for group in self.optimizer.param_groups:
            falling = (1 + cos(pi * step / settings.steps)) / 2
            group["lr"] = settings.rate * falling * group["share"]
        self.learner.train()
        # A loss may draw; what it draws follows from the seed and the step, resumed or not.
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(settings.seed * 1_000_003 + step)
            loss = self.learner.loss(step)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        value = float(loss.detach())
        if value != value or abs(value) == inf:
            raise DataError(f"the loss of step {step + 1} is {value}", "--lr, smaller")
        self.at.step = step + 1
        return value

    def _score(self, progress: Progress) -> None:
        self.learner.eval()
        at, score = self.at, self.validate()
        at.scores[at.step] = score
        if score > at.best:
            at.best, at.best_step = score, at.step
            at.state = {key: value.clone() for key, value in self.learner.state_dict().items()}
        progress.message(f"step {at.step}: validation {score:.3f}, best {at.best:.3f}")
        self._save()

    def _save(self) -> None:
        """Writes all that a killed try needs to go on as if nothing had happened."""
        moments = self.optimizer.state_dict()["state"]
        tensors = {f"now.{key}": value for key, value in self.learner.state_dict().items()}
        tensors |= {f"best.{key}": value for key, value in self.at.state.items()}
        tensors |= {f"optimizer.{index}.{key}": value
                    for index, own in moments.items() for key, value in own.items()}  # fmt: skip
        card = {
            "settings": self.settings.model_dump(),
            "origin": asdict(self.origin),
            "step": self.at.step,
            "scores": list(self.at.scores.items()),
            "best": self.at.best,
            "best_step": self.at.best_step,
        }
        with new_folder(self.folder) as aside:
            save_tensors(tensors, aside / WEIGHTS)
            (aside / CARD).write_text(json.dumps(card, indent=1), encoding="utf-8")

    def _resume(self) -> None:
        card: dict[str, Any] = read_record(self.folder / CARD)
        if not card:
            return
        # A try of an earlier version does not say what it was begun on.
        begun = Origin(**card.get("origin", asdict(self.origin)))
        if replace(begun, model=self.origin.model) != self.origin:
            raise UsageError(
                f"{self.folder} is a head that was begun on {printable(str(begun))}, and not on "
                f"{printable(str(self.origin))} as it is now",
                "give that, or choose another: --out RUN2",
            )
        if card.get("settings") != self.settings.model_dump():
            raise UsageError(
                f"{self.folder} is a head that was begun with other settings",
                "give the same, or choose another: --out RUN2",
            )
        state = read_own_state(self.folder / WEIGHTS)
        load_strict(self.learner, _part(state, "now."), self.settings.name)
        moments: dict[int, dict[str, Tensor]] = {}
        for name, value in _part(state, "optimizer.").items():
            index, _, key = name.partition(".")
            moments.setdefault(int(index), {})[key] = value
        groups = self.optimizer.state_dict()["param_groups"]
        self.optimizer.load_state_dict({"state": moments, "param_groups": groups})
        self.at = Trained(
            card["step"], {int(step): score for step, score in card["scores"]},
            card["best"], card["best_step"], _part(state, "best."),
        )  # fmt: skip


def _part(state: Any, start: str) -> dict[str, Tensor]:
    return {key.removeprefix(start): state[key] for key in state if key.startswith(start)}
