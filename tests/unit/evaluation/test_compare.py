"""Models side by side: paired differences, and the forms in which they are shown."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from painter import sees
from painter_model import Painter

from kivfm_cli import app
from kivfm_core.errors import DataError, UsageError
from kivfm_core.evaluation.compare import ModelComparison, compare_models
from kivfm_core.predictions import ClassLogits


def wide(levels: Any, prompt: Any) -> ClassLogits:
    """Wrong for wide images: three of each color's five."""
    right = sees()(levels, prompt).logits
    for i, frame in enumerate(levels.frames):
        if frame.original[1] > frame.original[0]:
            right[i] = right[i].roll(1)
    return ClassLogits(right)


MODELS: Mapping[str, Any] = {"half": wide, "right": sees(), "again": wide}


@pytest.fixture
def found(colors: Path) -> ModelComparison:
    models = [Painter(name, answer) for name, answer in MODELS.items()]
    return compare_models(models, [str(colors)])


def test_differences_are_paired(found: ModelComparison) -> None:
    first, right, again = found.rows
    assert [row.model for row in found.rows] == list(MODELS)
    assert first.difference is None and first.beyond_chance is None and first.pictures == 15
    assert (right.score, right.beyond_chance) == (1.0, True)
    assert right.difference == pytest.approx(1 - first.score)
    low, high = right.difference_interval or (0, 0)
    assert 0 < low < 1 - first.score < high
    # The same model on the same images: its own interval is wide, that of the difference is none.
    low, high = again.score_interval or (0, 0)
    assert high - low > 0.3
    assert (again.difference, again.difference_interval) == (0.0, (0.0, 0.0))
    assert again.beyond_chance is False


def test_what_a_model_costs(found: ModelComparison) -> None:
    for model in found.models:
        assert (model.parameters, model.license) == (16, "unknown")
        assert model.images_per_second > 0


def test_what_cannot_be_compared(colors: Path, tmp_path: Path) -> None:
    model = Painter("a", sees())
    for models in ([], [model, model]):
        with pytest.raises(UsageError, match="different names"):
            compare_models(models, [str(colors)])
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="nothing could be compared"):
        compare_models([model], [str(tmp_path / "empty")])


def test_the_command(
    colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    monkeypatch.setattr(
        "kivfm_core.models.open.open_model", lambda name, accelerator: Painter(name, MODELS[name])
    )
    given = ["compare", *MODELS, "--data", str(colors)]
    page = tmp_path / "page.html"
    assert app.main([*given, "--html", str(page)]) == 0
    out = capsys.readouterr().out
    assert ("difference" in out and "+0.600" in out) or "+0.400" in out
    assert out.count(" *") == 1 and "images/s" in out
    html = page.read_text()
    assert html.count("<tr>") == 2 + 3 + 3 and "://" not in html and "+0." in html
    assert app.main([*given, "--markdown"]) == 0
    assert "| task | metric | data | model |" in capsys.readouterr().out
    assert app.main([*given, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [row["model"] for row in record["rows"]] == list(MODELS) and record["draws"] == 1000
    assert app.main([*given, "--json", "--markdown"]) == 2
    assert app.main([*given, "--html", str(tmp_path / "none/page.html")]) == 2
