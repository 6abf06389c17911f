"""The recipes that made the weights still run: a few steps on a few images."""

from __future__ import annotations

import importlib
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from safetensors.torch import load_file

import kivfm_nano
from kivfm_core.teacher import load_teacher
from kivfm_nano.plugin import kivfm_register_teachers

PLUGIN = Path(__file__).parents[1]
PACKAGED = Path(kivfm_nano.__file__).parent / "weights"


@pytest.fixture(scope="module")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder for the scenes that the recipes share."""
    return tmp_path_factory.mktemp("pool")


@pytest.mark.parametrize("family", ["clip", "detector", "dino", "sam", "segmenter"])
def test_a_recipe_writes_what_its_teacher_loads_and_siblings_of_other_seeds(
    family: str, drawn: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.syspath_prepend(str(PLUGIN))
    common, pool = (importlib.import_module(f"training.{name}") for name in ("common", "pool"))
    monkeypatch.setattr("tempfile.tempdir", str(drawn))
    monkeypatch.setattr(pool, "PER_DOMAIN", 4)
    monkeypatch.setattr(pool, "ProcessPoolExecutor", ThreadPoolExecutor)
    monkeypatch.setattr(common, "WEIGHTS", tmp_path)
    monkeypatch.setattr(sys, "argv", [family, "--steps", "2"])
    importlib.import_module(f"training.{family}").main()

    file = tmp_path / f"{family}.safetensors"
    made, known = load_file(file), load_file(PACKAGED / file.name)
    assert {k: (v.shape, v.dtype) for k, v in made.items()} == {
        k: (v.shape, v.dtype) for k, v in known.items()
    }
    spec = next(s for s in kivfm_register_teachers() if s.name == f"{family}/nano")
    assert all(value.isfinite().all() for value in made.values())
    assert load_teacher(spec, file).provenance.keys == len(made)

    favorite = "flat" if family == "detector" else "painted"
    for changed in (["--seed", "1"], ["--favorite", favorite]):
        other = tmp_path / "siblings" / f"{changed[1]}.safetensors"
        monkeypatch.setattr(sys, "argv", [family, "--steps", "2", *changed, "--out", str(other)])
        importlib.import_module(f"training.{family}").main()
        there = load_file(other)
        assert there.keys() == made.keys()
        assert any(not there[key].equal(value) for key, value in made.items())
