"""The records of a run's heads: how each was trained, and how it scored meanwhile."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from kivfm_core.composition.composition import Composition
from kivfm_core.files import write_text
from kivfm_core.registry.heads import is_head
from kivfm_core.run_files import RunFiles, read_record, slug

# In a run folder: a file for each head.
RECORDS = "heads"


def record_file(run: RunFiles, head: str) -> Path:
    """The file of a head's record.

    Args:
        run: The run.
        head: `head/NAME`.
    """
    return run.path / RECORDS / f"{slug(head)}.json"


def write_record(run: RunFiles, head: str, record: dict[str, Any]) -> None:
    """Writes a head's record."""
    file = record_file(run, head)
    file.parent.mkdir(exist_ok=True)
    write_text(file, json.dumps(record, indent=1))


def copy_records(earlier: RunFiles, new: RunFiles, plan: Composition) -> None:
    """Copies the records of the heads that a plan has, as far as the earlier run has them."""
    for spec in filter(is_head, plan.teachers):
        if record := read_record(record_file(earlier, spec.name)):
            write_record(new, spec.name, record)


def head_settings(run: RunFiles) -> dict[str, dict[str, Any]]:
    """How each of a run's heads was trained, but for its seed, by the names of their records."""
    records = {file.name: read_record(file) for file in sorted((run.path / RECORDS).glob("*.json"))}
    return {name: {**record.get("settings", {}), "seed": None} for name, record in records.items()}
