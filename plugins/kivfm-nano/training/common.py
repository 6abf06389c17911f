"""What the recipes share: the loop, the views, the file of weights."""

import argparse
import os
import time
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

import kivfm_nano
from kivfm_core.data.canvas import normalize
from kivfm_core.data.views import sample_view
from kivfm_core.scenes import DOMAINS
from kivfm_core.spec import TeacherSpec
from kivfm_core.weights.fetch import file_sha256
from kivfm_nano.plugin import kivfm_register_teachers
from training.pool import FAVORITES, Sample, cut, draw_samples

WEIGHTS = Path(kivfm_nano.__file__).parent / "weights"
# Normalized canvases [B, 3, S, S], owners [B, S, S], the samples.
Batch = tuple[Tensor, Tensor, list[Sample]]


def start(family: str, steps: int) -> argparse.Namespace:
    """Read the command line, fix the seed.

    Args:
        family: Of the teacher.
        steps: Number of steps, unless `--steps` gives it.
    """
    parser = argparse.ArgumentParser()
    parser.add_argument("--steps", type=int, default=steps)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--favorite", choices=DOMAINS, default=FAVORITES.get(family))
    parser.add_argument("--out", type=Path, default=WEIGHTS / f"{family}.safetensors")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    return options


def get_spec(name: str) -> TeacherSpec:
    """Look up one of this package's specs."""
    return next(spec for spec in kivfm_register_teachers() if spec.name == name)


def views(spec: TeacherSpec, options: argparse.Namespace, batch: int) -> Iterator[Batch]:
    """Give batches of the same random views that distillation takes."""
    rng, side = np.random.default_rng(options.seed), spec.input.train_side()
    samples = draw_samples(rng, options.favorite)
    for first in count(0, batch):
        chosen = [next(samples) for _ in range(batch)]
        pairs = []
        for i, sample in enumerate(chosen):
            size = (sample.owners.shape[1], sample.owners.shape[2])
            view = sample_view(size, options.seed, f"nano-{first + i}", 0)
            pairs.append(cut(sample, view, spec.input, side))
        canvases = torch.stack([canvas for canvas, _ in pairs])
        yield normalize(canvases, spec.input), torch.stack([o for _, o in pairs]), chosen


def fit(modules: nn.Module, loss: Callable[[int], Tensor], steps: int, lr: float = 2e-3) -> None:
    """Train with AdamW, a short warm-up and a cosine.

    Args:
        modules: What is trained.
        loss: Step -> loss.
        steps: How many.
        lr: Peak learning rate.
    """
    bare = [p for p in modules.parameters() if p.ndim < 2]
    full = [p for p in modules.parameters() if p.ndim >= 2]
    groups = [{"params": full, "weight_decay": 0.05}, {"params": bare, "weight_decay": 0.0}]
    optimizer = torch.optim.AdamW(groups, lr=lr, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, lr, total_steps=steps, pct_start=0.1, cycle_momentum=False
    )
    begun, recent = time.monotonic(), 0.0
    modules.train()
    for step in range(steps):
        value = loss(step)
        optimizer.zero_grad()
        value.backward()
        nn.utils.clip_grad_norm_(modules.parameters(), 3.0)
        optimizer.step()
        schedule.step()
        recent += value.item()
        if (step + 1) % 50 == 0:
            spent = time.monotonic() - begun
            print(f"step {step + 1}/{steps} loss {recent / 50:.3f} {spent:.0f} s", flush=True)
            recent = 0.0
    modules.eval()


def save(file: Path, **parts: nn.Module) -> None:
    """Write the weights of all parts in half precision."""
    state = {
        f"{part}.{key}": value.half().contiguous() if value.is_floating_point() else value
        for part, module in parts.items()
        for key, value in module.state_dict().items()
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    save_file(state, os.fspath(file))
    print(f"{file}: {file.stat().st_size / 1e6:.2f} MB", flush=True)
    if file.parent == WEIGHTS:
        print(f'for kivfm_nano/plugin.py:\n    "{file.stem}": "{file_sha256(file)}",', flush=True)
