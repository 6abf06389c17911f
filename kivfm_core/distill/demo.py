"""The data of a run that was given none: the demo scenes."""

from __future__ import annotations

from pathlib import Path

import platformdirs

from kivfm_core.distill.progress import Progress

TRAIN, VAL = 3000, 300


def demo_images(watch: Progress) -> Path:
    """Writes the demo scenes to the user's cache, once, and returns their unlabeled pictures."""
    from kivfm_core.data.scenes.write import write_scenes

    folder = platformdirs.user_cache_path("kivfm") / "scenes"
    watch.message(f"no --data: distilling on the demo scenes in {folder}")
    write_scenes(folder, train=TRAIN, val=VAL)
    return folder / "train" / "images"
