"""The data of a run that was given none: the demo scenes."""

from __future__ import annotations

from pathlib import Path
from shlex import quote

import platformdirs

from kivfm_core.config import RunConfig
from kivfm_core.errors import DataError
from kivfm_core.progress import Progress
from kivfm_core.scenes import PER_CLASS, TRAIN, VAL


def data_path(config: RunConfig, watch: Progress) -> Path:
    """Where a run's pictures are; draws the demo scenes into the user's cache if it has none.

    Raises:
        DataError: If other scenes are there.
    """
    if config.data.path:
        return Path(config.data.path)
    from kivfm_core.scenes.write import write_scenes

    folder = platformdirs.user_cache_path("kivfm") / "scenes"
    watch.message(f"no --data: distilling on the demo scenes in {folder}")

    def tell(done: int, total: int) -> None:
        if done == 1:
            watch.start(total)
        watch.step({"step": done, "what": "drawing"})

    try:
        write_scenes(folder, train=TRAIN, val=VAL, per_class=PER_CLASS, progress=tell)
    except FileExistsError as error:
        raise DataError(
            f"{folder} holds something else than the demo scenes, of another version maybe",
            f"remove it: rm -r {quote(str(folder))}; or give pictures: --data FOLDER",
        ) from error
    return folder / "train" / "images"
