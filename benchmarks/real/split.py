"""Splits the real photos into a pool to distil on and images held out, by links alone."""

from __future__ import annotations

import json
from pathlib import Path

# Of many things each; most of the other photos show a single one.
CROWDED = ("coco_photos/images", "camvid/train")
# Links to each of these, so that as many more of the views show many things.
COPIES = 4
# Images with boxes and outlines, that no network is trained on.
LABELED = ("coco_val", "coco_val_boxes")
BLOCKS = 4


def split(data: Path, root: Path, scenes: bool = False) -> tuple[Path, Path]:
    """Links photos into a pool, and a third of `imagenet_photos/` beside their labels.

    The pool is `photos/`, the other ImageNet photos, and what is crowded, several times. Every
    third ImageNet photo, by name, is held out; `coco_val` and `coco_val_boxes` stay out altogether.
    Nothing is copied.

    Args:
        data: The assets' `data/`.
        root: Where `pool/` and `held-out/` go.
        scenes: Whether `scenes_pool/` belongs to the pool.

    Returns:
        The pool, and the held-out images with their `labels.json`.
    """
    pool, held_out = root / "pool", root / "held-out"
    labels = json.loads((data / "imagenet_photos" / "labels.json").read_text())
    names = sorted(labels)
    kept = names[::3]
    for kind in ("photos", "scenes_pool") if scenes else ("photos",):
        for photo in sorted((data / kind).glob("*.jpg")):
            _link(pool / kind / photo.name, photo)
    for copy in range(COPIES):
        for kind in CROWDED:
            for photo in sorted((data / kind).iterdir()):
                _link(pool / f"crowded-{copy}" / photo.name, photo)
    for name in names:
        folder = held_out if name in set(kept) else pool / "imagenet_photos"
        _link(folder / name, data / "imagenet_photos" / name)
    (held_out / "labels.json").write_text(json.dumps({name: labels[name] for name in kept}))
    return pool, held_out


def measured(data: Path, held_out: Path) -> dict[str, list[Path]]:
    """Everything that is held out, by kind.

    Args:
        data: The assets' `data/`.
        held_out: As `split` gives it.
    """
    return {"held-out": [held_out], **{kind: [data / kind] for kind in LABELED}}


def blocks(data: Path, held_out: Path, root: Path) -> dict[str, list[Path]]:
    """The same in blocks of every fourth image, by name: what a bootstrap draws.

    Args:
        data: The assets' `data/`.
        held_out: As `split` gives it.
        root: Where the blocks go.
    """
    made: dict[str, list[Path]] = {}
    for kind, (folder,) in measured(data, held_out).items():
        made[kind] = [root / kind / str(index) for index in range(BLOCKS)]
        for index, block in enumerate(made[kind]):
            block.mkdir(parents=True, exist_ok=True)
            (_labels if kind == "held-out" else _instances)(folder, block, index)
    return made


def _labels(folder: Path, block: Path, index: int) -> None:
    labels: dict[str, int] = json.loads((folder / "labels.json").read_text())
    kept = sorted(labels)[index::BLOCKS]
    for name in kept:
        _link(block / name, folder / name)
    (block / "labels.json").write_text(json.dumps({name: labels[name] for name in kept}))


def _instances(folder: Path, block: Path, index: int) -> None:
    labels = json.loads((folder / "instances.json").read_text())
    kept = sorted(labels["images"], key=lambda image: image["file_name"])[index::BLOCKS]
    known = {image["id"] for image in kept}
    own = [a for a in labels["annotations"] if a["image_id"] in known]
    for image in kept:
        _link(block / "images" / image["file_name"], folder / "images" / image["file_name"])
    (block / "instances.json").write_text(
        json.dumps({**labels, "images": kept, "annotations": own})
    )


def _link(link: Path, target: Path) -> None:
    link.parent.mkdir(parents=True, exist_ok=True)
    target = target.resolve()
    if link.is_symlink() and link.readlink() != target:  # of assets that lay elsewhere
        link.unlink()
    if not link.is_symlink():
        link.symlink_to(target)
