"""Splits the real photographs into a pool to distil on and pictures held out, by links alone."""

from __future__ import annotations

import json
from pathlib import Path

CROWDED = ("coco_photos/images", "camvid/train")
"""Of many things each; most of the other photographs show a single one."""
COPIES = 4
"""Links to each of these, so that as many more of the views show many things."""


def split(data: Path, root: Path) -> tuple[Path, Path]:
    """Links photos into a pool, and a third of `imagenet_photos/` beside their labels.

    The pool is `photos/`, the other ImageNet photos, and what is crowded, several times. Every
    third ImageNet photo, by name, is held out; `coco_val` and `coco_val_boxes` stay out altogether.
    Nothing is copied.

    Args:
        data: The assets' `data/`.
        root: Where `pool/` and `held-out/` go.

    Returns:
        The pool, and the held-out pictures with their `labels.json`.
    """
    pool, held_out = root / "pool", root / "held-out"
    labels = json.loads((data / "imagenet_photos" / "labels.json").read_text())
    names = sorted(labels)
    kept = names[::3]
    for photo in sorted((data / "photos").iterdir()):
        _link(pool / "photos" / photo.name, photo)
    for copy in range(COPIES):
        for kind in CROWDED:
            for photo in sorted((data / kind).iterdir()):
                _link(pool / f"crowded-{copy}" / photo.name, photo)
    for name in names:
        folder = held_out if name in set(kept) else pool / "imagenet_photos"
        _link(folder / name, data / "imagenet_photos" / name)
    (held_out / "labels.json").write_text(json.dumps({name: labels[name] for name in kept}))
    return pool, held_out


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    target = target.resolve()
    if link.is_symlink() and link.readlink() != target:  # of assets that lay elsewhere
        link.unlink()
    if not link.is_symlink():
        link.symlink_to(target)
