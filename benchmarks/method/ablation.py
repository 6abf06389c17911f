"""What each part of the method is worth: ours with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.method.data import take
from benchmarks.method.jobs import Job
from benchmarks.method.parts import PARTS

SHARES = (8, 4, 2)

FLAGS = {
    **{name.partition(", ")[2]: ("--recipe", name) for name in PARTS},
    "no decoders": ("--recipe", "levels"),
    "no shared latent": ("--recipe", "mse"),
    "aligners only": ("--set", "student.adapter=none"),
    "bottleneck inside the base": (
        *("--set", "student.adapter=bottleneck", "--set", "student.width=32"),
    ),
    "full fine-tuning": ("--set", "student.adapter=full"),
    "lora inside the base": ("--set", "student.adapter=lora", "--set", "student.width=16"),
    "learned latent": ("--set", "student.latent_map=learned"),
    "learned latent of 32": (
        *("--set", "student.latent=32", "--set", "student.latent_map=learned"),
    ),
    "latent of 32": ("--set", "student.latent=32"),
    "latent of 64": ("--set", "student.latent=64"),
    "answers kept in 8 bits": ("--set", "cache.encoding=int8"),
    "latent of 64, kept as such": (
        *("--set", "student.latent=64", "--set", "cache.encoding=latent-bf16"),
    ),
    "latent of 64, kept in 8 bits": (
        *("--set", "student.latent=64", "--set", "cache.encoding=latent-int8"),
    ),
    "adapter of 64": ("--set", "student.width=64"),
    "adapter of 192": ("--set", "student.width=192"),
}
"""What is changed, by name.

Parameters stay equal only where no part has any. `no decoders` has fixed weights, too; `no shared
latent` leaves out decoders, convolution and all.
"""


def ablations(plain: Job, pool: Path, root: Path) -> Iterator[Job]:
    """Ours, then ours with one thing changed.

    Args:
        plain: Ours.
        pool: Its pictures.
        root: Where smaller pools go.
    """
    yield replace(plain, variant="kpu")
    for name, flags in FLAGS.items():
        yield replace(plain, variant=name, flags=flags)
    yield replace(plain, variant="no preservation", base_weight=0.0)
    for share in SHARES:
        smaller = str(take(pool, root, share))
        yield replace(plain, variant=f"1/{share} of the pictures", pool=smaller, share=share)
