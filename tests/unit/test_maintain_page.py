"""The blocks of docs/how-to/maintain-a-teacher.md work as they stand there."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path
from types import SimpleNamespace

from kivfm_core.weights.locate import HubPath, locate

PAGE = Path(__file__).parents[2] / "docs/how-to/maintain-a-teacher.md"
BLOCKS = re.findall(r"^```python\n(.*?)^```", PAGE.read_text("utf-8"), re.M | re.S)


def test_both_sources_are_ones_that_a_spec_takes():
    said: dict[str, object] = {}
    for block in BLOCKS[:2]:
        exec(block, said)
    pinned = HubPath.of(said["ON_THE_HUB"].source)
    assert pinned.repository == "facebook/dinov2-base" and pinned.file == "model.safetensors"
    assert pinned.revision is not None and len(pinned.revision) == 40
    assert said["AT_AN_ADDRESS"].fetch == "kivfm_acme.model:download"


def test_what_the_function_downloads_is_found_and_another_file_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    published = tmp_path / "published.pth"
    published.write_bytes(b"weights")
    code = BLOCKS[2].replace("0a1b2c3d", hashlib.sha256(b"weights").hexdigest()[:8])
    said: dict[str, object] = {}
    exec(code, said)
    said["ADDRESS"] = published.as_uri()
    source = "torch:acme_small.pth"
    spec = SimpleNamespace(weights=SimpleNamespace(source=source))
    assert locate(source) is None
    assert said["download"](spec) == locate(source)
    published.write_bytes(b"others")
    locate(source).unlink()
    try:
        said["download"](spec)
    except RuntimeError as error:
        assert "hash" in str(error)
    assert locate(source) is None
