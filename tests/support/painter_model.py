"""The teacher of colors as a model that is opened: what it answers is given."""

from __future__ import annotations

from typing import Any

import torch
from oracle import Oracle
from painter import PAINTER
from torch import nn

from kivfm_core.models.model import Model


class Painter(Model):
    """A teacher of colors."""

    own_features = passes = rivals = sha256 = global_level = dense_level = None  # type: ignore
    canvas = pad_value = None  # type: ignore
    network = nn.Linear(3, 4)  # type: ignore

    def __init__(self, name: str, answer: Any) -> None:
        super().__init__(name, [PAINTER], torch.device("cpu"))
        self.oracle = Oracle(PAINTER, answer)

    def load(self) -> Oracle:
        return self.oracle

    def solver(self, teacher: str) -> Oracle:
        return self.oracle
