"""A loop in plain PyTorch that does what ours does: both levels, through our aligners."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from benchmarks.engine import work
from benchmarks.engine.ours import configuration
from kivfm_core.aligners import build_aligner
from kivfm_core.composition.compose import compose


def main() -> None:
    """Makes the next steps."""
    teacher, student = work.frozen(work.TEACHER), work.network(work.STUDENT).train()
    heads = nn.ModuleDict(
        {plan.level.name: build_aligner(plan) for plan in compose(configuration()).aligners}
    )
    parameters = [*student.parameters(), *heads.parameters()]
    optimizer = work.optimizer(parameters)
    for canvas in work.steps():
        x = work.normalize(canvas)
        with torch.no_grad():
            pooled, grid = levels(teacher, x)
        own, dense = levels(student, x)
        features = {"x": own, "V": dense}
        size = grid.shape[-2], grid.shape[-1]
        said, meant = heads["global"].predict(features, None), heads["global"].to_latent(pooled)
        loss = angle(said, meant) / heads["global"].distance_unit / 2
        said, meant = heads["dense"].predict(features, size), heads["dense"].to_latent(grid)
        loss = loss + distance(said, meant) / 2
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, work.CLIP)
        optimizer.step()
        optimizer.zero_grad()


def angle(said: Tensor, meant: Tensor) -> Tensor:
    """Mean squared angle between global vectors `[B, K]`."""
    similar = F.cosine_similarity(said, meant, dim=1, eps=1e-6)
    return similar.clamp(1e-6 - 1, 1 - 1e-6).acos().square().mean()


def distance(said: Tensor, meant: Tensor) -> Tensor:
    """Half squared error plus one minus the cosine of whole maps `[B, K, h, w]`."""
    similar = F.cosine_similarity(said.flatten(1), meant.flatten(1), dim=1, eps=1e-6)
    return F.mse_loss(said, meant) / 2 + 1 - similar.mean()


def levels(model: Any, x: Tensor) -> tuple[Tensor, Tensor]:
    """Pooled features `[B, C]`, and the tokens as a map `[B, C, h, w]`."""
    tokens = model.forward_features(x)
    side = x.shape[-1] // 16
    grid = tokens[:, model.num_prefix_tokens :].transpose(1, 2).unflatten(2, (side, side))
    return model.forward_head(tokens, pre_logits=True), grid


if __name__ == "__main__":
    main()
