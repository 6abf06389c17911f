from __future__ import annotations

from pathlib import Path

import pytest
import toy
from toy_pictures import write_pictures

from kivfm_core.config import build_config


@pytest.fixture
def values(tmp_path: Path) -> dict:
    """The configuration of a short run of toy teachers."""
    files = {}
    for spec in (toy.BASE, toy.PURPOSE):
        files[spec.name] = str(tmp_path / f"{spec.family}.safetensors")
        toy.save(spec, files[spec.name])
    flags = {
        "teachers": "toybase,toypurpose",
        "weights": files,
        "data.path": str(write_pictures(tmp_path / "pictures")),
        "optim.steps": 8,
        "optim.batch_size": 4,
        "optim.calibration": 8,
        "optim.warmup": 2,
        "checkpoint.every": 1,
    }
    return build_config(None, flags).model_dump(mode="json", by_alias=True, exclude_none=True)
