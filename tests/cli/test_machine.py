"""What the machine refuses: closed streams, full disks, permissions, other locales."""

import errno
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from toy_pictures import write_pictures

from kivfm_cli import app

FULL = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no disk that is always full")


def shell(line: str, cwd: Path, **told: str) -> tuple[int, str, str]:
    """Runs a line in which `kivfm` is the real command; gives its exit code and both streams."""
    script = f'kivfm() {{ "{sys.executable}" -m kivfm_cli.app "$@"; }}; set -o pipefail; {line}'
    found = subprocess.run(
        ["bash", "-c", script], cwd=cwd, capture_output=True, check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", **told},
    )  # fmt: skip
    err = found.stderr.decode()
    assert "Traceback" not in err and "Exception ignored" not in err, err
    return found.returncode, found.stdout.decode(), err


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&- >&- 2>&-", "| head -1"])
@pytest.mark.parametrize(
    ("words", "code"),
    [("teachers list", 0), ("doctor --json", 0), ("--help", 0), ("runs show no-such", 2)],
)
def test_nobody_reads(words: str, code: int, closed: str, tmp_path: Path):
    found, out, err = shell(f"kivfm {words} {closed}", tmp_path)
    assert found == code
    assert len(out.splitlines()) <= 1 if "|" in closed else ">&-" not in closed.split() or not out
    assert bool(err) == (code > 0 and "2>&-" not in closed)


def test_a_file_is_never_written_into_by_a_closed_stream(tmp_path: Path):
    code, *_ = shell("kivfm compose --teachers dino/nano,clip/nano -o plan.toml >&- 2>&-", tmp_path)
    assert code == 0
    assert "dino/nano" in tomllib.loads((tmp_path / "plan.toml").read_text())["teachers"][0]["name"]


@FULL
@pytest.mark.parametrize("words", ["teachers list", "doctor --json", "--help"])
def test_a_full_disk_behind_stdout(words: str, tmp_path: Path):
    found, _, err = shell(f"kivfm {words} > /dev/full", tmp_path)
    assert found == 1 and err.startswith("error: stdout: the disk is full\nhint: make room")


@FULL
def test_a_full_disk_behind_stderr_changes_nothing(tmp_path: Path):
    assert shell("kivfm teachers list 2> /dev/full", tmp_path)[0] == 0
    assert shell("kivfm runs show no-such 2> /dev/full", tmp_path)[0] == 2


@pytest.mark.slow
def test_a_distillation_goes_on_unheard(tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    words = (
        "kivfm distill --teachers clip/nano,dino/nano --data pictures --steps 2 --batch-size 2"
        " --image-size 64 --set optim.calibration=4 --set engine.accelerator=cpu"
    )
    for i, closed in enumerate(("2>&-", ">&-", ">&- 2>&-", "2>&1 | head -1")):
        code, *_ = shell(f"{words} --out run{i} {closed}", tmp_path)
        assert code == 0 and (tmp_path / f"run{i}/student/student.safetensors").exists()


# Each command that writes, with a file where a folder should be.
WRITE = (
    "kivfm compose --teachers dino/nano,clip/nano -o PLACE/plan.toml",
    "kivfm scenes PLACE/scenes --train 1 --val 1",
    "kivfm distill --teachers dino/nano,clip/nano --data pictures --steps 1 --out PLACE/run",
    "kivfm teachers new acme --out PLACE/acme",
)


@pytest.mark.parametrize("line", WRITE)
def test_a_file_where_a_folder_should_be(line: str, tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    (tmp_path / "file").write_text("mine")
    code, out, err = shell(line.replace("PLACE", "file"), tmp_path)
    assert code in (1, 2) and not out
    assert err.startswith("error: ") and "file" in err.splitlines()[0], err
    assert "Errno" not in err and "Error:" not in err, err


@pytest.mark.parametrize("line", WRITE)
def test_no_permission(line: str, tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    (tmp_path / "closed").mkdir(mode=0o555)
    line = line.replace("PLACE", "closed")
    if os.geteuid() == 0:  # root may write anywhere, unless it gives this up
        own = "-dac_override,-dac_read_search"
        bare = f'setpriv --bounding-set={own} --inh-caps={own} "{sys.executable}" -m kivfm_cli.app'
        if shell(bare + " --version", tmp_path)[0]:
            pytest.skip("root cannot give up its rights here")
        line = line.replace("kivfm", bare, 1)
    code, out, err = shell(line, tmp_path)
    assert code in (1, 2) and not out
    assert err.startswith("error: ") and "closed" in err.splitlines()[0], err
    assert "permission" in err and "Errno" not in err, err


@pytest.mark.parametrize("line", WRITE)
def test_a_limit_on_the_size_of_files(line: str, tmp_path: Path):
    write_pictures(tmp_path / "pictures")
    line = line.replace("PLACE/", "")
    limit = 100 if "distill" in line else 0  # KiB; without any, torch itself finds no folder
    code, _, err = shell(f"export XDG_CACHE_HOME=$PWD/home; ulimit -f {limit}; {line}", tmp_path)
    assert code == 1 and err.splitlines()[-2].startswith("error: "), err
    assert "larger than the system allows" in err and "hint: ulimit -f unlimited" in err, err


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "some/file"),
        RuntimeError("I/O error: No space left on device (os error 28)"),
    ],
)
def test_the_systems_words_are_a_sentence(error: Exception, monkeypatch, capsys):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr(app, "app", fail)
    assert app.main(["x"]) == 1
    err = capsys.readouterr().err
    place = "some/file: " if isinstance(error, OSError) else ""
    assert err.startswith(f"error: {place}the disk is full") and "hint: make room" in err
    assert app.main(["x", "--debug"]) == 1
    assert "Traceback" in capsys.readouterr().err


@pytest.mark.parametrize("locale", ["C", "POSIX", "C.UTF-8"])
def test_names_in_other_locales(locale: str, tmp_path: Path):
    (tmp_path / "Fotos Müller").mkdir()
    code, out, err = shell("kivfm runs list 'Fotos Müller'", tmp_path, LC_ALL=locale)
    assert code == 0 and "Fotos Müller" in out, err


def test_names_that_cannot_be_shown_are_shown_by_code(tmp_path: Path):
    (tmp_path / "Müller").mkdir()
    told = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    code, out, err = shell("kivfm runs list Müller", tmp_path, **told)
    assert code == 0 and "M\\udcc3\\udcbcller" in out, err


def test_images_that_were_scaled_are_a_sentence(tmp_path: Path):
    Image.fromarray(np.full((96, 96), 900, np.uint16)).save(tmp_path / "xray.png")
    words = "kivfm predict clip/nano xray.png --task zero-shot --labels a,b --json"
    code, out, err = shell(words, tmp_path)
    assert code == 0 and json.loads(out)["schema"] == 1
    assert err == "warning: xray.png: 16-bit gray, scaled to 8 bits (said once)\n"
