"""Colors as classes, and how heads are trained on them in tests."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kivfm_core.head_training import train as training
from kivfm_core.head_training.settings import HeadSettings

COLORS = {"red": (220, 30, 30), "green": (30, 200, 40), "blue": (20, 40, 210)}


def settings(data: str, **more) -> HeadSettings:
    values = {"task": "classification", "kind": "linear", "name": "mine", "steps": 40, "every": 10}
    return HeadSettings(**{**values, "data": data, "val": data, "lr": 0.03, **more})


def stop_at(step: int, monkeypatch: pytest.MonkeyPatch, train: Callable[[], object]) -> None:
    """Stops a training after it has saved this step."""
    save = training.Trainer._save

    def stop(self: training.Trainer) -> None:
        save(self)
        if self.at.step == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.Trainer, "_save", stop)
        train()
