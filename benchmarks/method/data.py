"""The suite's pictures: scenes to distil on, to choose by, and to report on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.scenes import DOMAINS, HELD_OUT_DOMAIN
from kivfm_core.scenes.write import write_scenes

BLOCKS = 6
"""Of test pictures: each is scored by itself, so that comparisons can draw blocks anew."""


@dataclass(frozen=True)
class Pictures:
    """Where they are.

    Attributes:
        pool: Unlabeled, to distil on.
        validation: To choose by.
        test: Blocks, looked at once.
        unseen: Of a domain that neither a teacher nor the student saw.
        classes: To tell how much of the base is kept.
    """

    pool: Path
    validation: Path
    test: tuple[Path, ...]
    unseen: Path
    classes: Path


def write_pictures(root: Path) -> Pictures:
    """Draws what is not there yet; the pool is the demo's own.

    Args:
        root: Where the labeled pictures go, but for the demo's.
    """
    demo = Path("runs/demo-data")
    write_scenes(demo, train=1500, val=150, seed=0)
    test = tuple(root / f"test-{block}" for block in range(BLOCKS))
    for block, folder in enumerate(test):
        turn = block % len(DOMAINS)  # so that the blocks' few pictures are of all domains
        domains = DOMAINS[turn:] + DOMAINS[:turn]
        write_scenes(folder, train=0, val=16, seed=500 + block, domains=domains, per_class=3)
    unseen, classes = root / "unseen", root / "classes"
    write_scenes(unseen, train=0, val=32, seed=200, domains=(HELD_OUT_DOMAIN,), per_class=3)
    write_scenes(classes, train=0, val=0, seed=300, per_class=6)
    return Pictures(
        pool=demo / "train/images",
        validation=demo / "val",
        test=tuple(folder / "val" for folder in test),
        unseen=unseen / "val",
        classes=classes / "val",
    )


def take(pool: Path, root: Path, share: int) -> Path:
    """A folder with one of `share` of a pool's pictures, by hard links; smaller ones are in larger.

    The pool's domains take turns, so as many pictures in a row as there are domains go together.
    """
    folder = root / f"pool-1-of-{share}"
    folder.mkdir(parents=True, exist_ok=True)
    for place, picture in enumerate(sorted(pool.iterdir())):
        if place // len(DOMAINS) % share == 0 and not (folder / picture.name).exists():
            os.link(picture, folder / picture.name)
    return folder
