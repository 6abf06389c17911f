"""Write scenes to disk in common formats, so that they are read like any other data."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from kivfm_core.scenes import PER_CLASS
from kivfm_core.scenes.coco import CocoWriter
from kivfm_core.scenes.render import Scene, render, render_object
from kivfm_core.scenes.vocabulary import CATEGORIES, DOMAINS, named_classes

# Index of the first held-out image, far from the indices of the unlabeled ones.
VAL_START = 1_000_000

# Called with (images written, images in all) after each.
Progress = Callable[[int, int], None]


def write_scenes(
    folder: str | Path,
    *,
    train: int,
    val: int,
    seed: int = 0,
    domains: Sequence[str] = DOMAINS,
    per_class: int = PER_CLASS,
    progress: Progress | None = None,
) -> None:
    """Write an unlabeled pool and a labeled held-out set, once.

    All is written aside and renamed at the end: an interrupted write leaves nothing under
    `folder`, and the next call starts over. Where the same set is there already, nothing is done.

    Args:
        folder: Where to; it must not exist, be empty, or hold the same set.
        train: Images in the pool, evenly over the domains.
        val: Held-out images, evenly over the domains.
        seed: Seed of the set.
        domains: What to draw in.
        per_class: Held-out images of a single object, for each of the named classes.
        progress: Called with the number of images written and of all images.

    Raises:
        FileExistsError: If `folder` holds anything else.
    """
    folder = Path(folder)
    about = {
        "schema": 1, "seed": seed, "domains": list(domains), "train": train, "val": val,
        "per_class": per_class,
    }  # fmt: skip
    if _is_there(folder, about):
        return
    aside = _empty_folders(folder.with_name(folder.name + ".partial"))
    total, done = train + val + per_class * len(named_classes()), 0

    def tick() -> None:
        nonlocal done
        done += 1
        if progress:
            progress(done, total)

    _write_train(aside / "train/images", train, seed, domains, tick)
    _write_val(aside / "val", val, seed, domains, tick)
    _write_classes(aside / "val/classes", per_class, seed, domains, tick)
    _save_json(aside / "scenes.json", about)
    if folder.exists():
        folder.rmdir()
    aside.rename(folder)


def _is_there(folder: Path, about: dict[str, Any]) -> bool:
    """Whether this very set is in a folder; one that holds anything else is refused."""
    if not folder.exists() or not any(folder.iterdir()):
        return False
    marker = folder / "scenes.json"
    if marker.is_file() and json.loads(marker.read_text()) == about:
        return True
    raise FileExistsError(f"{folder} is not empty and holds other data than {about}")


def _empty_folders(aside: Path) -> Path:
    shutil.rmtree(aside, ignore_errors=True)
    for name in ("train/images", "val/images", "val/semantic", "val/classes"):
        (aside / name).mkdir(parents=True)
    return aside


def _write_train(
    folder: Path, count: int, seed: int, domains: Sequence[str], tick: Callable[[], None]
) -> None:
    """The unlabeled pool."""
    for i in range(count):
        _save_image(folder / f"{i:06d}.jpg", render(seed, i, domains[i % len(domains)]))
        tick()


def _write_classes(
    folder: Path, count: int, seed: int, domains: Sequence[str], tick: Callable[[], None]
) -> None:
    """Images of a single object, a folder for each of the named classes."""
    for number, (name, words) in enumerate(named_classes().items()):
        (folder / name).mkdir()
        for i in range(count):
            index = VAL_START + number * count + i
            scene = render_object(seed, index, domains[i % len(domains)], words)
            _save_image(folder / f"{name}/{i:06d}.jpg", scene)
            tick()


def _write_val(
    folder: Path, count: int, seed: int, domains: Sequence[str], tick: Callable[[], None]
) -> None:
    coco = CocoWriter()
    for i in range(count):
        scene = render(seed, VAL_START + i, domains[i % len(domains)])
        _save_image(folder / f"images/{i:06d}.jpg", scene)
        _save_mask(folder / f"semantic/{i:06d}.png", scene.semantic)
        coco.add(f"{i:06d}.jpg", scene)
        tick()
    _save_json(folder / "instances.json", coco.instances())
    _save_json(folder / "captions.json", coco.captions())
    _save_json(folder / "semantic/classes.json", ["background", *CATEGORIES])


def _save_image(path: Path, scene: Scene) -> None:
    Image.fromarray(scene.image).save(path, quality=92)


def _save_mask(path: Path, mask: NDArray[np.uint8]) -> None:
    Image.fromarray(mask).save(path)


def _save_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content))
