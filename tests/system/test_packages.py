"""What is published: sdists and wheels, built twice, looked into, and used without the clone."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path

import pytest
from clean import make_environment, run

import kivfm_core

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]
ROOT = Path(__file__).parents[2]
# The packages of each distribution, and the folders that they lie in.
OURS = {
    "kivfm": {"kivfm_core": "", "kivfm_teachers": "teachers", "kivfm_cli": "cli"},
    **{f"kivfm_{name}": {f"kivfm_{name}": ""} for name in ("deeplab", "nano", "transformers",
                                                          "yolox")},
}  # fmt: skip
# In an sdist, beside the packages.
PAPERS = {"pyproject.toml", "README.md", "PKG-INFO", ".gitignore", "LICENSE", "CHANGELOG.md"}


def home(name: str) -> Path:
    return ROOT if name == "kivfm" else ROOT / "plugins" / name.replace("_", "-")


def build(folder: Path, out: Path) -> None:
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-d", str(out)],
        cwd=folder, check=True, capture_output=True,
        env={**os.environ, "SOURCE_DATE_EPOCH": "1600000000"},
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory) -> Path:
    """The folder with all sdists and wheels, built from this clone."""
    out = tmp_path_factory.mktemp("dist")
    for name in OURS:
        build(home(name), out)
    return out


def read_wheel(path: Path) -> dict[str, bytes]:
    with zipfile.ZipFile(path) as wheel:
        return {name: wheel.read(name) for name in wheel.namelist()}


def sources(name: str, *, nested: bool) -> set[str]:
    """The files of a distribution's packages, as in an sdist (nested) or a wheel."""
    return {
        f"{parent}/{path}".lstrip("/") if nested else path
        for package, parent in OURS[name].items()
        for file in (home(name) / parent / package).rglob("*")
        if file.is_file() and file.suffix != ".pyc"
        for path in [file.relative_to(home(name) / parent).as_posix()]
    }


@pytest.mark.parametrize("name", OURS)
def test_they_hold_what_they_must_and_nothing_else(built, name):
    wheel = read_wheel(next(built.glob(f"{name}-*.whl")))
    own = {file for file in wheel if ".dist-info/" not in file}
    assert own == sources(name, nested=False)
    assert {f"{package}/py.typed" for package in OURS[name]} <= own
    ends = {Path(file).suffix or Path(file).name for file in own}
    assert ends <= {".py", ".typed", ".safetensors", ".md", ".toml", ".yml", "LICENSE"} | {
        ".css", ".html", ".js", ".svg"  # of pages
    }  # fmt: skip
    with tarfile.open(next(built.glob(f"{name}-*.tar.gz"))) as sdist:
        held = {member.name.partition("/")[2] for member in sdist if member.isfile()}
    assert held - PAPERS == sources(name, nested=True)
    assert {"pyproject.toml", "README.md", "PKG-INFO"} <= held


def test_they_carry_templates_weights_and_entry_points(built):
    kivfm, nano = (read_wheel(next(built.glob(f"{n}-*.whl"))) for n in ("kivfm", "kivfm_nano"))
    assert "kivfm_cli/templates/common/pyproject.toml" in kivfm
    for group in ("[console_scripts]", "[pytest11]", "[kivfm]", "timm = kivfm_teachers.timm"):
        assert group in described(kivfm, "entry_points.txt")
    for family in ("clip", "detector", "dino", "sam", "segmenter"):
        assert f"kivfm_nano/weights/{family}.safetensors" in nano
    assert "nano = kivfm_nano.plugin" in described(nano, "entry_points.txt")
    # Two places say it.
    assert f"Version: {kivfm_core.__version__}\n" in described(kivfm, "METADATA")
    for extra in ("nano", "onnx", "sam", "all"):
        assert f"Provides-Extra: {extra}\n" in described(kivfm, "METADATA")


def described(wheel: dict[str, bytes], file: str) -> str:
    (name,) = (name for name in wheel if name.endswith(f".dist-info/{file}"))
    return wheel[name].decode()


@pytest.mark.parametrize("name", OURS)
def test_an_sdist_gives_the_same_bytes_again(built, tmp_path, name):
    """Elsewhere, at another time, without git."""
    (sdist,) = built.glob(f"{name}-*.tar.gz")
    shutil.unpack_archive(sdist, tmp_path / "source", filter="data")
    (source,) = (tmp_path / "source").iterdir()
    for file in source.rglob("*"):
        os.utime(file, (1_700_000_000, 1_700_000_000))
    build(source, tmp_path / "again")
    again = [*(tmp_path / "again").iterdir()]
    assert len(again) == 2
    for file in again:
        assert file.read_bytes() == (built / file.name).read_bytes(), file.name


def test_the_demo_runs_with_the_wheels_alone(built, tmp_path):
    environment = make_environment(tmp_path / "venv")
    place = tmp_path / "place"
    place.mkdir()
    (kivfm,) = built.glob("kivfm-*.whl")
    run(f"pip install {kivfm}", place, environment)
    without = subprocess.run(
        "kivfm demo", shell=True, cwd=place, env=environment, text=True, capture_output=True
    )
    assert without.returncode == 3 and "hint: pip install 'kivfm[nano]'" in without.stderr
    run(f"pip install {' '.join(map(str, built.glob('kivfm_*.whl')))}", place, environment)
    where = run("python -c 'import kivfm_core; print(kivfm_core.__file__)'", place, environment)
    assert str(ROOT) not in where
    told = run("kivfm demo --steps 4 --train 16 --val 4", place, environment)
    assert "The student beside its teachers" in told and "run:        runs/demo\n" in told
    assert "  kivfm export runs/demo --format onnx --task detection -o detector.onnx\n" in told
    evaluation = json.loads((place / "runs/demo/evaluation.json").read_text())
    assert len(evaluation["rows"]) == 6
    assert len([*(place / "runs/demo/predictions").iterdir()]) == 4
    run("kivfm push runs/demo me/demo --dry-run up", place, environment)
    card = (place / "up/README.md").read_text()
    assert "16 images of `images`" in card and "| clip/nano | zero-shot | top-1 | val |" in card
