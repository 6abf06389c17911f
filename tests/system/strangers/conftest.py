"""A finished run, and a cache, that a stranger changed."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from stranger import FOREIGN, LABELS, make_run, toys_installed, write_labels


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run that no test changes."""
    return make_run(tmp_path_factory.mktemp("strangers"))


@pytest.fixture
def run(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A copy of a finished run, with the stranger's module where Python would find it."""
    (tmp_path / "foreign").mkdir()
    module = FOREIGN.partition(":")[0]
    marker = tmp_path / "executed"
    code = f"open({str(marker)!r}, 'w').close()\ndef call(*a, **k): open({str(marker)!r}, 'w')\n"
    (tmp_path / "foreign" / f"{module}.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path / "foreign"))
    copy = Path(shutil.copytree(made, tmp_path / "runs" / "a"))
    write_labels(tmp_path / LABELS)
    with toys_installed():
        yield copy
    assert module not in sys.modules and not marker.exists()


@pytest.fixture
def cache(made: Path, tmp_path: Path) -> Path:
    """A copy of a cache."""
    return Path(shutil.copytree(made.parents[1] / "cache", tmp_path / "cache"))
