"""The data of a run that was given none: the demo scenes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import platformdirs

from kivfm_core.config import RunConfig
from kivfm_core.data.scenes import TRAIN, VAL


def data_path(config: RunConfig, say: Callable[[str], None]) -> Path:
    """Where a run's pictures are; writes the demo scenes to the user's cache if it has none."""
    if config.data.path:
        return Path(config.data.path)
    from kivfm_core.data.scenes.write import write_scenes

    folder = platformdirs.user_cache_path("kivfm") / "scenes"
    say(f"no --data: distilling on the demo scenes in {folder}")
    write_scenes(folder, train=TRAIN, val=VAL)
    return folder / "train" / "images"
