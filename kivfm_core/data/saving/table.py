"""The table of the formats in which labels can be saved. Torch-free.

with open_saver("coco", Path("labels"), ("cat", "dog"), {"threshold": 0.3}) as saver:
for file in files:
if file.name not in saver.done:
saver.add(SavedImage(file.name, width, height, objects, source=file))
for line in saver.notes.lines():
print(line)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from kivfm_core.data.saving.coco import COCO
from kivfm_core.data.saving.masks import MASKS
from kivfm_core.data.saving.rows import CSV, JSONL
from kivfm_core.data.saving.saver import SaveFormat, Saver
from kivfm_core.data.saving.voc import VOC
from kivfm_core.data.saving.yolo import YOLO
from kivfm_core.errors import UsageError
from kivfm_core.processes.team import ONE_PROCESS, Team

SAVERS: dict[str, SaveFormat] = {kind.name: kind for kind in (COCO, YOLO, VOC, MASKS, CSV, JSONL)}


def open_saver(
    name: str,
    folder: Path,
    classes: Sequence[str],
    about: Mapping[str, Any] | None = None,
    team: Team = ONE_PROCESS,
) -> Saver:
    """Begins to save labels, or goes on where an earlier process stopped.

    Args:
        name: Of the format, in `SAVERS`.
        folder: Where the labels go; made if there is none. One save at a time writes to it.
        classes: The classes' names; labels are indices into it.
        about: What else has to be the same for a save to go on, such as the model and the
            threshold, ready for JSON. It is stored.
        team: The processes that save together, each its own images; all have to call this.

    Raises:
        UsageError: If there is no such format, or the folder has other labels.
    """
    if name not in SAVERS:
        raise UsageError(f"no format to save labels is named {name!r}", ", ".join(SAVERS))
    return SAVERS[name].saver(folder, classes, about or {}, team)
