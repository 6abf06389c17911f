"""Removes the labels of an earlier call, and nothing else of a folder. Torch-free."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from kivfm_core.data.saving.journal import NAME, list_parts
from kivfm_core.data.saving.table import SAVERS
from kivfm_core.errors import UsageError, printable
from kivfm_core.files import only_writer, write_text

# Where drawings lie in a folder of labels.
DRAWINGS = "drawings"


def remove_save(folder: Path) -> None:
    """Removes labels and drawings that were saved in a folder; the images in it stay.

    Killed on the way, what is left is refused by a save, and removed by the next call.

    Args:
        folder: Of the labels; without any, nothing is done.

    Raises:
        UsageError: If another process is writing there, or the labels are not kivfm's.
    """
    journal = folder / NAME
    if not journal.is_file():
        return
    with only_writer(folder, "run this again"):
        head = _head(journal)
        savers = {item.saver.__name__: item.saver for item in SAVERS.values()}
        saver = savers.get(str(head.get("format")))
        if saver is None:
            raise UsageError(f"{printable(journal)} is no journal of labels", "give another folder")
        # With such a head, no save goes on.
        left = {"removed": True, "format": head["format"], "draw": head.get("draw")}
        write_text(journal, json.dumps(left) + "\n")
        drawings = (DRAWINGS,) if head.get("draw") is True else ()
        for mark in (*saver.marks, *drawings, *list_parts(folder)):
            _remove(folder / mark)
        journal.unlink()


def _head(journal: Path) -> dict[str, Any]:
    with journal.open("rb") as file:
        try:
            head = json.loads(file.readline())
        except ValueError:
            head = None
    return head if isinstance(head, dict) else {}


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
