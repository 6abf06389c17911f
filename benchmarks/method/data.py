"""The suite's images: scenes to distil on, to choose by, and to report on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from kivfm_core.scenes import DOMAINS, HELD_OUT_DOMAIN
from kivfm_core.scenes.write import write_scenes

# Of test images: each is scored by itself, so that comparisons can draw blocks anew.
BLOCKS = 6


@dataclass(frozen=True)
class SuiteImages:
    """Where they are.

    Attributes:
        pool: Unlabeled, to distil on.
        validation: To choose by.
        test: Blocks, looked at once.
        unseen: Of a domain that neither a teacher nor the student saw.
        classes: To measure how much of the base the student keeps.
    """

    pool: Path
    validation: Path
    test: tuple[Path, ...]
    unseen: Path
    classes: Path


def write_images(root: Path) -> SuiteImages:
    """Draws what is not there yet; the pool is the demo's own.

    Args:
        root: Where the labeled images go, but for the demo's.
    """
    demo = Path("runs/demo-data")
    write_scenes(demo, train=1500, val=150, seed=0)
    test = tuple(root / f"test-{block}" for block in range(BLOCKS))
    for block, folder in enumerate(test):
        turn = block % len(DOMAINS)  # so that the blocks' few images are of all domains
        domains = DOMAINS[turn:] + DOMAINS[:turn]
        write_scenes(folder, train=0, val=16, seed=500 + block, domains=domains, per_class=3)
    unseen, classes = root / "unseen", root / "classes"
    write_scenes(unseen, train=0, val=32, seed=200, domains=(HELD_OUT_DOMAIN,), per_class=3)
    write_scenes(classes, train=0, val=0, seed=300, per_class=6)
    return SuiteImages(
        pool=demo / "train/images",
        validation=demo / "val",
        test=tuple(folder / "val" for folder in test),
        unseen=unseen / "val",
        classes=classes / "val",
    )


def take(pool: Path, root: Path, share: int) -> Path:
    """A folder with one of `share` of a pool's images, by hard links; smaller ones are in larger.

    The pool's domains take turns, so as many images in a row as there are domains go together.
    """
    folder = root / f"pool-1-of-{share}"
    folder.mkdir(parents=True, exist_ok=True)
    for place, image in enumerate(sorted(pool.iterdir())):
        if place // len(DOMAINS) % share == 0 and not (folder / image.name).exists():
            os.link(image, folder / image.name)
    return folder
