"""No link of an opened folder is followed; the hub's own snapshots are made of links."""

from __future__ import annotations

from pathlib import Path

import pytest

from kivfm_core.files import is_link

REPOSITORY = "models--some-one--student"


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A hub cache with one blob, itself behind a link as on a machine with a second disk."""
    (tmp_path / "disk" / REPOSITORY / "blobs").mkdir(parents=True)
    (tmp_path / "disk" / REPOSITORY / "blobs/abc").write_text("{}")
    (tmp_path / "hub").symlink_to(tmp_path / "disk")
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    return tmp_path / "hub"


def plant(file: Path, target: str | Path) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.symlink_to(target)
    return file


@pytest.mark.parametrize("inside", ["student.json", "decoders/clip--x.safetensors"])
def test_a_snapshots_link_to_its_blob_is_none(cache: Path, inside: str):
    snapshot = cache / REPOSITORY / "snapshots/1234"
    up = "../" * (2 + len(Path(inside).parent.parts))
    assert not is_link(plant(snapshot / inside, f"{up}blobs/abc"))


@pytest.mark.parametrize(
    "target",
    ["/etc/passwd", "../../../other/blobs/abc", "../../refs/main", "../../blobs/../refs/main",
     "student.json", "../../blobs", "nowhere"],
)  # fmt: skip
def test_a_snapshots_link_to_anything_else_is_one(cache: Path, target: str):
    assert is_link(plant(cache / REPOSITORY / "snapshots/1234/student.json", target))


def test_a_blob_that_is_a_link_leads_out(cache: Path):
    plant(cache / REPOSITORY / "blobs/def", "/etc/passwd")
    assert is_link(plant(cache / REPOSITORY / "snapshots/1234/x", "../../blobs/def"))


def test_elsewhere_each_link_is_one(cache: Path, tmp_path: Path):
    """Of a folder that looks like the hub's cache, too, and of one beside the snapshots."""
    blob = cache / REPOSITORY / "blobs/abc"
    for folder in (tmp_path, tmp_path / REPOSITORY / "snapshots/1234", cache / REPOSITORY / "refs"):
        assert is_link(plant(folder / "student.json", blob))
    copy = tmp_path / REPOSITORY
    (copy / "blobs").mkdir()
    (copy / "blobs/abc").write_text("{}")
    assert is_link(plant(copy / "snapshots/1/student.json", "../../blobs/abc"))


def test_a_file_is_no_link(tmp_path: Path):
    (tmp_path / "file").touch()
    assert not is_link(tmp_path / "file") and not is_link(tmp_path) and not is_link(tmp_path / "x")
