"""Seconds per view as measured on this machine, from which plans predict. Torch-free."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import platformdirs
from filelock import FileLock

from kivfm_core.files import write_text
from kivfm_core.planner.placement import Machine


@dataclass(frozen=True)
class Rates:
    """What was measured on a device.

    Attributes:
        device: Its name; None if nothing was measured yet.
        seconds: Seconds per view, by the key of the work.
        precision: The precision that `auto` stands for there.
        machine: Its kind and memory.
    """

    device: str | None = None
    seconds: Mapping[str, float] = field(default_factory=dict[str, float])
    precision: str | None = None
    machine: Machine | None = None


def read_rates(device: str | None = None) -> Rates:
    """Reads what earlier runs measured; nothing if the file is missing or damaged.

    Args:
        device: The device's name; the one measured last by default.
    """
    known = _read(_file())
    device = device or known["last"]
    machine = known["machines"].get(device)
    return Rates(
        device,
        known["devices"].get(device, {}),
        known["auto"].get(device),
        Machine(**machine) if machine else None,
    )


def save_rates(rates: Rates) -> None:
    """Saves measured rates; they replace earlier ones of the same work.

    Raises:
        OSError: If it cannot be written.
    """
    file = _file()
    file.parent.mkdir(parents=True, exist_ok=True)
    with FileLock(file.with_suffix(".lock")):
        known = _read(file)
        devices = known["devices"]
        devices[rates.device] = {**devices.get(rates.device, {}), **rates.seconds}
        known["auto"][rates.device] = rates.precision
        known["machines"][rates.device] = asdict(rates.machine) if rates.machine else None
        write_text(file, json.dumps({**known, "last": rates.device}, indent=1))


def _file() -> Path:
    return platformdirs.user_cache_path("kivfm") / "rates.json"


def _read(file: Path) -> dict[str, Any]:
    try:
        known = json.loads(file.read_text(encoding="utf-8"))
        more = {key: known.get(key, {}) for key in ("auto", "machines")}
        return {"schema": 1, "last": known["last"], "devices": known["devices"], **more}
    except (OSError, ValueError, LookupError, TypeError):
        return {"schema": 1, "last": None, "devices": {}, "auto": {}, "machines": {}}
