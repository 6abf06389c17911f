"""What each part of the method is worth: ours with one thing changed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from benchmarks.method.changed_recipes import changes_of
from benchmarks.method.data import take
from benchmarks.method.jobs import Job

SHARES = (8, 4, 2)

# What is changed, by name.
#
# Bottlenecks and lora are as wide as it takes to have as many parameters as ours. `plain squared
# error` is the rival `mse`: no shared latent, no decoders, no convolution. The cache that is shared
# has no outputs for further views, so those runs have caches of their own.
FLAGS = {
    **{name: ("--recipe", recipe) for name, recipe in changes_of("kpu").items()},
    "no decoders": ("--recipe", "levels"),
    "plain squared error": ("--recipe", "mse"),
    "aligners only": ("--set", "student.adapter=none"),
    "bottlenecks inside the base": (
        *("--set", "student.adapter=bottleneck", "--set", "student.width=928"),
    ),
    "lora inside the base": ("--set", "student.adapter=lora", "--set", "student.width=312"),
    "full fine-tuning": ("--set", "student.adapter=full"),
    "learned latent": ("--set", "student.latent_map=learned"),
    "latent of 32": ("--set", "student.latent=32"),
    "latent of 64": ("--set", "student.latent=64"),
    "answers kept in 8 bits": ("--set", "cache.encoding=int8"),
    "latent of 64, kept in 8 bits": (
        *("--set", "student.latent=64", "--set", "cache.encoding=latent-int8"),
    ),
    "adapter of 64": ("--set", "student.width=64"),
    "adapter of 192": ("--set", "student.width=192"),
    "three views": ("--set", "data.views=3", "--set", "cache.path=runs/method/cache-views"),
    "three views of three sizes": (
        *("--set", "data.views=3", "--set", "cache.path=runs/method/cache-sizes"),
        *("--image-size", "64,96,128"),
    ),
}


def ablations(plain: Job, pool: Path, root: Path) -> Iterator[Job]:
    """Ours, then ours with one thing changed.

    Args:
        plain: Ours.
        pool: Its images.
        root: Where smaller pools go.
    """
    yield replace(plain, variant="kpu")
    for name, flags in FLAGS.items():
        yield replace(plain, variant=name, flags=flags)
    yield replace(plain, variant="no preservation", base_weight=0.0)
    yield replace(plain, variant="one rate for all", global_level_lr=1.0)
    for share in SHARES:
        smaller = str(take(pool, root, share))
        yield replace(plain, variant=f"1/{share} of the pictures", pool=smaller, share=share)
