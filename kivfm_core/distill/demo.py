"""The pictures of a run, and the demo scenes of one that was given none."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from kivfm_core.config import RunConfig
from kivfm_core.data.scenes import TRAIN, VAL
from kivfm_core.data.unlabeled import Images, find_images


def run_images(config: RunConfig, say: Callable[[str], None]) -> Images:
    """The pictures of a run; what is wrong with where they are is said.

    Raises:
        DataError: If there are none.
    """
    images = find_images(Path(config.data.path) if config.data.path else demo_images(say))
    for note in images.notes:
        say(note)
    return images


def demo_images(say: Callable[[str], None]) -> Path:
    """Writes the demo scenes to the user's cache, once, and returns their unlabeled pictures."""
    from kivfm_core.data.scenes.write import write_scenes

    folder = platformdirs.user_cache_path("kivfm") / "scenes"
    say(f"no --data: distilling on the demo scenes in {folder}")
    write_scenes(folder, train=TRAIN, val=VAL)
    return folder / "train" / "images"
