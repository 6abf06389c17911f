"""Links and pipes in a stranger's folders are not followed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from stranger import RECORDS, STATES, shown

from kivfm_core.errors import KivfmError, WeightsError
from kivfm_core.student.bundle import load_student, read_bundle

# A changed record often differs from what the installed plugin declares, which is no error.
pytestmark = pytest.mark.filterwarnings("ignore::kivfm_core.errors.ChangedTeacherWarning")


@pytest.mark.parametrize("linked", ["classification", "classification/vocab.txt", ""])
def test_a_bundles_own_tokenizer_is_no_link(run: Path, linked: str, tmp_path: Path):
    kept = run / "student/decoders/toypurpose--small"
    (tmp_path / "elsewhere/classification").mkdir(parents=True)
    (tmp_path / "elsewhere/classification/vocab.txt").write_text("word")
    (kept / linked).parent.mkdir(parents=True, exist_ok=True)
    (kept / linked).symlink_to(tmp_path / "elsewhere" / linked)
    with pytest.raises(WeightsError, match="is a link, and not followed"):
        load_student(run)


@pytest.mark.parametrize("file", [*RECORDS, *STATES])
@pytest.mark.parametrize("plant", ["link", "pipe", "folder"])
@pytest.mark.timeout(30)
def test_links_and_pipes_are_not_followed(run: Path, file: str, plant: str, tmp_path: Path, capsys):
    path = run / file
    away = Path(shutil.move(path, tmp_path / "elsewhere"))
    if plant == "link":
        path.symlink_to(away)
    elif plant == "pipe":
        os.mkfifo(path)
    else:
        path.mkdir()
    if file.startswith("student/"):
        with pytest.raises(KivfmError):
            load_student(run)
    for words in (("runs", "show", str(run)), ("runs", "list", str(run.parent))):
        code, text = shown(capsys, *words)
        assert code in (0, 1, 2) and "--debug" not in text
    assert away.exists()


@pytest.mark.parametrize("inside", [True, False])
def test_a_bundle_in_the_hubs_cache_is_made_of_links(
    run: Path, inside: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """As the hub's library stores it; the same folder anywhere else is refused."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / ("hub" if inside else "another")))
    repository = tmp_path / "hub/models--some-one--student"
    snapshot = repository / "snapshots/1234"
    (repository / "blobs").mkdir(parents=True)
    for number, file in enumerate(sorted(p for p in (run / "student").rglob("*") if p.is_file())):
        shutil.copyfile(file, repository / "blobs" / str(number))
        link = snapshot / file.relative_to(run / "student")
        link.parent.mkdir(parents=True, exist_ok=True)
        link.symlink_to(os.path.relpath(repository / "blobs" / str(number), link.parent))
    if inside:
        assert read_bundle(snapshot).composition == load_student(run).composition
        (snapshot / "student.safetensors").unlink()
        (snapshot / "student.safetensors").symlink_to(run / "student/student.safetensors")
    with pytest.raises(KivfmError):
        read_bundle(snapshot)
