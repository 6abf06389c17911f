"""The data of a run that was given none: the demo scenes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from shlex import quote

import platformdirs

from kivfm_core.config import RunConfig
from kivfm_core.data.remote.url import locate
from kivfm_core.errors import DataError
from kivfm_core.progress import Progress, stage
from kivfm_core.scenes import PER_CLASS, TRAIN, VAL
from kivfm_core.scenes.write import write_scenes
from kivfm_core.spec import TeacherSpec


def demo_warning(config: RunConfig, teachers: Sequence[TeacherSpec]) -> str:
    """What to tell somebody who distills teachers of photos on drawn shapes; else empty."""
    real = [spec.name for spec in teachers if spec.variant != "nano"]
    if config.data.path or not real:
        return ""
    return (
        f"warning: without --data FOLDER, {', '.join(real)} will be distilled on the demo's drawn"
        " shapes, and the student will know little of photos"
    )


def data_path(config: RunConfig, progress: Progress) -> Path:
    """Where a run's images are; without any, the demo scenes are drawn into the user's cache.

    Raises:
        DataError: If other data are in their place.
    """
    if config.data.path:
        return locate(config.data.path)
    folder = platformdirs.user_cache_path("kivfm") / "scenes"
    progress.message(f"no --data: distilling on the demo scenes in {folder}")

    count = stage(progress, "drawing")
    try:
        write_scenes(folder, train=TRAIN, val=VAL, per_class=PER_CLASS, progress=count)
    except FileExistsError as error:
        raise DataError(
            f"{folder} holds something else than the demo scenes, of another version maybe",
            f"remove it: rm -r {quote(str(folder))}; or give images: --data FOLDER",
        ) from error
    return folder / "train" / "images"
