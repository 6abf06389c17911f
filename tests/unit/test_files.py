"""Files appear whole or not at all, follow no planted link, and have the user's permissions."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from kivfm_core.errors import UsageError
from kivfm_core.files import make_aside, new_folder, only_writer, put_in_place, write_text


def test_a_planted_link_is_not_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("kivfm_core.files.token_hex", lambda size: "guessed")
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / ".config.toml.guessed.partial").symlink_to(victim)
    with pytest.raises(FileExistsError):
        write_text(tmp_path / "config.toml", "mine")
    assert victim.read_text() == "precious"


def test_a_link_in_place_is_replaced_and_its_target_left(tmp_path: Path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "config.toml").symlink_to(victim)
    write_text(tmp_path / "config.toml", "mine")
    assert victim.read_text() == "precious" and (tmp_path / "config.toml").read_text() == "mine"
    assert not (tmp_path / "config.toml").is_symlink()


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_the_umask_decides(tmp_path: Path, umask: int, mode: int):
    before = os.umask(umask)
    try:
        write_text(tmp_path / "a", "x")
        with new_folder(tmp_path / "folder") as aside:
            write_text(aside / "b", "x")
    finally:
        os.umask(before)
    for file in ("a", "folder/b"):
        assert (tmp_path / file).stat().st_mode & 0o777 == mode


def test_a_failed_write_leaves_the_old_file_and_nothing_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    write_text(tmp_path / "a", "old")

    def full(handle: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"):
        write_text(tmp_path / "a", "new")
    assert (tmp_path / "a").read_text() == "old" and len(list(tmp_path.iterdir())) == 1


def test_what_a_killed_try_left_is_removed(tmp_path: Path):
    for _ in range(3):
        make_aside(tmp_path / "student")
    aside = make_aside(tmp_path / "student")
    put_in_place(aside, tmp_path / "student")
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


def test_a_folder_replaces_the_old_one_whole(tmp_path: Path):
    for content in ("old", "new"):
        with new_folder(tmp_path / "student") as aside:
            write_text(aside / content, content)
    assert [path.name for path in (tmp_path / "student").iterdir()] == ["new"]
    with pytest.raises(KeyError), new_folder(tmp_path / "student") as aside:
        write_text(aside / "third", "")
        raise KeyError
    assert [path.name for path in (tmp_path / "student").iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["student"]


HOLD = """
import sys, time
from pathlib import Path
from kivfm_core.files import only_writer
with only_writer(Path(sys.argv[1]), ""):
    print("held", flush=True)
    time.sleep(60)
"""


def test_a_second_writer_is_refused_until_the_first_is_gone(tmp_path: Path):
    with subprocess.Popen(
        [sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE
    ) as other:
        assert other.stdout is not None and other.stdout.readline() == b"held\n"
        with pytest.raises(UsageError, match="another process is writing") as caught:
            with only_writer(tmp_path, "kivfm runs list"):
                pass
        assert "kivfm runs list" in caught.value.hint
        other.kill()  # the lock dies with its process
    with only_writer(tmp_path, ""):
        pass


def test_one_process_cannot_write_twice_at_once(tmp_path: Path):
    with only_writer(tmp_path, ""), pytest.raises(UsageError), only_writer(tmp_path, ""):
        pass


def test_a_folder_that_cannot_be_written_to_says_so(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with (
        pytest.raises(UsageError, match="cannot be written to"),
        only_writer(tmp_path / "file/run", ""),
    ):
        pass
