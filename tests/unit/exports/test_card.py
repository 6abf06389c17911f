"""What an export says of its model."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_core.exports.card import public_name


def test_where_a_student_lies_is_not_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    bundle = tmp_path / "me/runs/photos/student"
    bundle.mkdir(parents=True)
    assert public_name(str(bundle)) == public_name(str(bundle.parent)) == "photos"
    monkeypatch.chdir(bundle)
    assert public_name(".") == "photos"
    assert public_name("me/photos-student@v1") == "me/photos-student@v1"
