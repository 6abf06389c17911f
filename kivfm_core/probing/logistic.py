"""Logistic regression on a vector: scikit-learn's, its strength chosen on a part of train.

As DINOv2 does it (https://arxiv.org/abs/2304.07193): vectors of length 1, L-BFGS. Its grid has 45
strengths between the same ends.
"""

from __future__ import annotations

import warnings

import torch
import torch.nn.functional as F
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from torch import Tensor

from kivfm_core.errors import DataError
from kivfm_core.probing.bench import Bench
from kivfm_core.probing.result import ProbeRow
from kivfm_core.probing.split import hold_out, read_split
from kivfm_core.progress import stage

# Inverse strengths of the penalty, as scikit-learn counts them.
GRID = tuple(10.0**power for power in range(-6, 6))
ITERATIONS = 1000


def run(bench: Bench) -> list[ProbeRow]:
    """Chooses C on a tenth of train, and learns from all of train with it.

    Raises:
        DataError: If train has one class.
    """
    split = read_split(bench)
    if split.classes < 2:
        raise DataError(f"{bench.source('train')} has one class", "give images of several classes")
    x, targets = F.normalize(split.train.vector, dim=1), split.train.targets
    held, tick = hold_out(targets), stage(bench.progress, "logistic: C")
    scores: list[float] = []
    for place, c in enumerate(GRID):
        found = _fit(x[~held], targets[~held], c).predict(x[held].numpy())
        scores.append(float((torch.from_numpy(found) == targets[held]).double().mean()))
        tick(place + 1, len(GRID))
    best = GRID[scores.index(max(scores))]
    model = _fit(x, targets, best)
    if int(model.n_iter_.max()) >= ITERATIONS:
        bench.note(f"logistic: not converged after {ITERATIONS} iterations")
    found = torch.from_numpy(model.predict(F.normalize(split.val.vector, dim=1).numpy()))
    row = split.row(
        "logistic", "logistic regression top-1", split.level, found == split.val.targets
    )
    return [row.model_copy(update={"settings": {"C": best}})]


def _fit(x: Tensor, targets: Tensor, c: float) -> LogisticRegression:
    model = LogisticRegression(C=c, max_iter=ITERATIONS)
    with warnings.catch_warnings():
        # Of the chosen strength it is said in a note.
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(x.numpy(), targets.numpy())
    return model
