"""Changes are files whose names say of what kind they are, and become a part of the changelog."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
KINDS = ("added", "changed", "fixed", "removed")
NAME = re.compile(rf"(\d+|\+[a-z0-9-]+)\.({'|'.join(KINDS)})(\.\d+)?\.md")


def test_each_change_has_a_name_that_says_its_kind():
    for file in (ROOT / "changes").iterdir():
        assert file.name == "README.md" or NAME.fullmatch(file.name), f"{file.name}: see README.md"
        assert file.read_text("utf-8").strip()


def test_the_kinds_are_those_that_towncrier_knows():
    told = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["towncrier"]
    assert tuple(kind["directory"] for kind in told["type"]) == KINDS


def test_a_release_moves_changes_below_the_head_of_the_changelog(tmp_path: Path):
    for name in ("pyproject.toml", "CHANGELOG.md"):
        shutil.copy(ROOT / name, tmp_path)
    before = (tmp_path / "CHANGELOG.md").read_text("utf-8")
    (tmp_path / "changes").mkdir()
    (tmp_path / "changes/25.added.md").write_text("A command is new.\n")
    (tmp_path / "changes/+bias.fixed.md").write_text("A bias is kept.\n")
    command = (sys.executable, "-m", "towncrier", "build", "--yes", "--version", "9.9.9")
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    after = (tmp_path / "CHANGELOG.md").read_text("utf-8")
    added, fixed, unreleased = (
        after.index(text) for text in ("A command is new. (issue 25)", "A bias is kept.", "## Unre")
    )
    assert after.startswith(before[: before.index("## Unre")].rstrip())
    assert after.index("## 9.9.9 (") < added < fixed < unreleased
    assert after.endswith(before[before.index("## Unre") :])
