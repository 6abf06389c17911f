"""The scenes that the teachers learn from, drawn once and held in memory."""

import os
import pickle
import tempfile
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kivfm_core.data.canvas import render as render_canvas
from kivfm_core.geometry import View, plan_view
from kivfm_core.scenes import DOMAINS
from kivfm_core.scenes.render import render
from kivfm_core.spec import InputContract

# Never the seed of scenes that anything is evaluated on.
SEED = 7

PER_DOMAIN = 2000

# The domain that each purpose teacher mostly sees.
FAVORITES = {"clip": "flat", "sam": "night", "detector": "painted", "segmenter": "paper"}


@dataclass(frozen=True)
class Sample:
    """One scene: image uint8 [3, H, W]; number of the object at each pixel, uint8 [1, H, W]."""

    image: Tensor
    owners: Tensor
    words: list[tuple[str, str, str]]
    domain: str


def draw(
    index: int, domain: str, seed: int = SEED
) -> tuple[np.ndarray, np.ndarray, list[tuple[str, str, str]]]:
    """Draw one scene: image [H, W, 3], owners [H, W], the words of its objects."""
    scene = render(seed, index, domain)
    owners = np.zeros(scene.semantic.shape, dtype=np.uint8)
    for number, item in enumerate(scene.objects, 1):
        owners[item.mask] = number
    words = [(item.category, item.color, item.texture) for item in scene.objects]
    return scene.image, owners, words


def _draw_all(domain: str) -> list[tuple[np.ndarray, np.ndarray, list[tuple[str, str, str]]]]:
    workers = os.cpu_count() or 1
    with ProcessPoolExecutor(workers) as pool:
        return list(pool.map(partial(draw, domain=domain), range(PER_DOMAIN), chunksize=100))


def load_pool() -> dict[str, list[Sample]]:
    """Draw the pool, or read it from the temporary folder where another recipe left it."""
    samples: dict[str, list[Sample]] = {}
    for domain in DOMAINS:
        file = Path(tempfile.gettempdir()) / f"kivfm-nano-{SEED}-{PER_DOMAIN}-{domain}.pickle"
        if not file.is_file():
            aside = file.with_suffix(f".{os.getpid()}")
            aside.write_bytes(pickle.dumps(_draw_all(domain)))
            aside.replace(file)
        samples[domain] = [
            Sample(torch.from_numpy(image).permute(2, 0, 1).contiguous(),
                   torch.from_numpy(owners)[None], words, domain)
            for image, owners, words in pickle.loads(file.read_bytes())
        ]  # fmt: skip
    return samples


def draw_samples(rng: np.random.Generator, favorite: str | None) -> Iterator[Sample]:
    """Give samples forever, more than half of them in the favorite domain, the rest in all."""
    pool = load_pool()
    while True:
        domain = favorite if favorite and rng.random() < 0.5 else str(rng.choice(DOMAINS))
        yield pool[domain][rng.integers(PER_DOMAIN)]


def cut(sample: Sample, view: View, contract: InputContract, side: int) -> tuple[Tensor, Tensor]:
    """Cut a view out of a sample.

    Args:
        sample: The scene.
        view: Box and flip.
        contract: How canvases are made.
        side: Canvas side in pixels.

    Returns:
        Canvas [3, side, side] in [0, 1], not normalized; owners [side, side], long.
    """
    frame = plan_view((sample.owners.shape[1], sample.owners.shape[2]), view, side)
    labels = contract.model_copy(update={"interpolation": "nearest", "pad_value": (0.0, 0.0, 0.0)})
    owners = render_canvas(sample.owners, frame, labels)[0]
    return render_canvas(sample.image, frame, contract), (owners * 255).round().long()
