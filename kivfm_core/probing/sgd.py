"""Linear classifiers by SGD, as DINOv2 trains them: all heads of a grid side by side.

The grid has 13 learning rates, on the vector, and on the vector beside the dense map's mean. The
features are computed once, where DINOv2 crops and flips each image anew in every epoch.

Paper: Oquab et al., https://arxiv.org/abs/2304.07193.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import cos, pi

import torch
from torch import Tensor

from kivfm_core.probing.bench import Bench
from kivfm_core.probing.result import ProbeRow
from kivfm_core.probing.split import Vectors, hold_out, read_split
from kivfm_core.progress import Counter, stage

# DINOv2's, for batches of 256; they grow with the batch.
RATES = (
    1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 2e-3, 5e-3, 1e-2, 2e-2, 5e-2, 0.1,
)  # fmt: skip
BATCH, EPOCHS, MOMENTUM = 1024, 10, 0.9
# Of a small train, ten epochs are too few for the small rates.
LEAST_STEPS = 500


class Heads:
    """Linear classifiers of one input, trained together by SGD with momentum.

    Args:
        channels: Of the input.
        classes: How many.
        rates: The learning rate of each head, of the first step.
        device: Where they are.
    """

    def __init__(
        self, channels: int, classes: int, rates: Tensor, device: torch.device | None = None
    ) -> None:
        random = torch.Generator().manual_seed(0)
        first = torch.randn(channels, classes, generator=random) * 0.01
        # The last row is added to what the others give: the heads' biases.
        weight = torch.cat([first, torch.zeros(1, classes)])
        self.weight = weight.expand(len(rates), -1, -1).clone().to(device)  # [heads, D + 1, K]
        self.speed = torch.zeros_like(self.weight)
        self.rates = rates.to(device)[:, None, None]

    def logits(self, x: Tensor) -> Tensor:
        """The scores `[heads, B, K]` of vectors `[B, D]`."""
        return x @ self.weight[:, :-1] + self.weight[:, -1:]

    def step(self, x: Tensor, targets: Tensor, share: float) -> None:
        """One step on the mean cross-entropy of a batch.

        Args:
            x: `[B, D]`.
            targets: `[B]`.
            share: Of the first step's learning rates.
        """
        error = self.logits(x).softmax(dim=2)
        error[:, torch.arange(len(x)), targets] -= 1
        error /= len(x)
        gradient = torch.cat([x.T @ error, error.sum(dim=1, keepdim=True)], dim=1)
        self.speed.mul_(MOMENTUM).add_(gradient)
        self.weight -= share * self.rates * self.speed


def run(bench: Bench) -> list[ProbeRow]:
    """Trains the grid twice: without a tenth of train, to choose a head, and on all of it.

    Two rows: the chosen head; and, as DINOv2 reports it, the head that is best on val.
    """
    split, device = read_split(bench), bench.model.device
    held = hold_out(split.train.targets)
    inputs, val = _inputs(split.train), _inputs(split.val)
    first = {name: x[~held] for name, x in inputs.items()}
    steps = bench.settings.steps
    tick = stage(bench.progress, "sgd: choosing a head")
    tuned = _train(first, split.train.targets[~held], steps, device, tick)
    chosen = _best(tuned, {n: x[held] for n, x in inputs.items()}, split.train.targets[held])
    tick = stage(bench.progress, "sgd: on all of train")
    trained = _train(inputs, split.train.targets, steps, device, tick)
    rows: list[ProbeRow] = []
    metric = "linear, SGD, top-1"
    best = _best(trained, val, split.val.targets)
    for what, (name, head) in ((metric, chosen), (f"{metric}, best head on val", best)):
        right = _right(trained[name], val[name], split.val.targets)[head]
        levels = split.level if name == "vector" else f"{split.level}, {split.dense} (mean)"
        row = split.row("sgd", what, levels, right)
        used = {"lr": RATES[head], "steps": _steps(len(held), steps)}
        rows.append(row.model_copy(update={"settings": used}))
    return rows


def _inputs(vectors: Vectors) -> dict[str, Tensor]:
    both = {} if vectors.mean is None else {"both": torch.cat([vectors.vector, vectors.mean], 1)}
    return {"vector": vectors.vector, **both}


def _steps(images: int, wanted: int | None) -> int:
    return wanted or max(LEAST_STEPS, EPOCHS * images // BATCH)


def _train(
    inputs: Mapping[str, Tensor],
    targets: Tensor,
    steps: int | None,
    device: torch.device,
    tick: Counter,
) -> dict[str, Heads]:
    """The heads of every input, trained on the same batches."""
    size = min(BATCH, len(targets))
    rates = torch.tensor(RATES) * size / 256
    classes, steps = int(targets.max()) + 1, _steps(len(targets), steps)
    inputs, targets = {n: x.to(device) for n, x in inputs.items()}, targets.to(device)
    heads = {name: Heads(x.shape[1], classes, rates, device) for name, x in inputs.items()}
    random, order = torch.Generator().manual_seed(0), torch.empty(0, dtype=torch.long)
    for step in range(steps):
        if len(order) < size:
            order = torch.cat([order, torch.randperm(len(targets), generator=random)])
        index, order = order[:size].to(device), order[size:]
        share = (1 + cos(pi * step / steps)) / 2
        for name, own in heads.items():
            own.step(inputs[name][index], targets[index], share)
        if step % 50 == 0 or step + 1 == steps:
            tick(step + 1, steps)
    return heads


def _right(heads: Heads, x: Tensor, targets: Tensor) -> Tensor:
    """Whether each head is right about each image: `[heads, N]`."""
    parts = [heads.logits(part.to(heads.weight.device)).argmax(2).cpu() for part in x.split(BATCH)]
    return torch.cat(parts, dim=1) == targets


def _best(
    heads: Mapping[str, Heads], inputs: Mapping[str, Tensor], targets: Tensor
) -> tuple[str, int]:
    """The input and the place of the head that is right most often; the first of equals."""
    scores: dict[tuple[str, int], float] = {}
    for name, own in heads.items():
        shares = _right(own, inputs[name], targets).double().mean(dim=1).tolist()
        scores |= {(name, head): share for head, share in enumerate(shares)}
    return max(scores, key=scores.__getitem__)
