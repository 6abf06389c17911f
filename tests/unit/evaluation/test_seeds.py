"""Runs that differ only by seed: their mean, their spread, and differences between groups."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from painter import sees
from painter_model import Painter

from kivfm_cli import app
from kivfm_core.errors import UsageError
from kivfm_core.evaluation.compare import compare_models
from kivfm_core.evaluation.compared import ComparedRow
from kivfm_core.evaluation.seeds import average, group_by_seed
from kivfm_core.predictions import ClassLogits


def wrong_first(number: int) -> Any:
    """Wrong on so many images, the first that are seen."""
    seen = 0

    def answer(levels: Any, prompt: Any) -> ClassLogits:
        nonlocal seen
        right = sees()(levels, prompt).logits
        for i in range(len(right)):
            if seen < number:
                right[i] = right[i].roll(1)
            seen += 1
        return ClassLogits(right)

    return answer


def painter(name: str, seed: int | None, lr: float, wrong: int = 0) -> Painter:
    """A run of a learning rate; a teacher if it has no seed."""
    model = Painter(name, wrong_first(wrong))
    if seed is not None:
        config = {"seed": seed, "optim": {"lr": lr}}
        model.run = SimpleNamespace(path=Path("nowhere"), read_config=lambda: config)  # type: ignore[assignment]
    return model


def runs() -> list[Painter]:
    return [
        painter("teacher", None, 0.0),
        painter("a0", 0, 0.1, wrong=6),
        painter("b0", 0, 0.2, wrong=3),
        painter("a1", 1, 0.1, wrong=9),
        painter("a2", 2, 0.1, wrong=6),
        painter("b1", 1, 0.2, wrong=3),
    ]


def test_runs_are_alike_but_for_their_seed() -> None:
    groups = group_by_seed(runs())
    assert groups == {
        "teacher": "teacher", "a0": "a0", "a1": "a0", "a2": "a0", "b0": "b0", "b1": "b0",
    }  # fmt: skip
    with pytest.raises(UsageError, match="no two of these are runs that differ only by seed"):
        group_by_seed(runs()[:3])


def test_runs_are_not_alike_whose_heads_were_trained_in_other_ways(tmp_path: Path) -> None:
    models = [painter(name, 0, 0.1) for name in ("a", "b", "c")]
    for model, seed, lr in zip(models, (0, 1, 1), (0.1, 0.1, 0.2), strict=True):
        folder = tmp_path / model.name
        (folder / "heads").mkdir(parents=True)
        record = {"settings": {"seed": seed, "lr": lr}}
        (folder / "heads/head--mine.json").write_text(json.dumps(record))
        model.run.path = folder  # type: ignore[union-attr, misc]
    assert group_by_seed(models) == {"a": "a", "b": "a", "c": "c"}


def test_the_mean_and_the_spread(colors: Path) -> None:
    found = compare_models(runs(), [str(colors)], seeds=True)
    assert len(found.rows) == 6
    teacher, a, b = found.averages
    assert (teacher.group, teacher.runs, teacher.deviation) == ("teacher", ("teacher",), None)
    assert (a.group, a.runs, b.runs) == ("a0", ("a0", "a1", "a2"), ("b0", "b1"))
    scores = [row.score for row in found.rows if row.model in a.runs]
    assert a.score == pytest.approx(np.mean(scores)) == pytest.approx(8 / 15)
    assert a.deviation == pytest.approx(np.std(scores, ddof=1)) and b.deviation == 0
    assert a.difference == pytest.approx(-7 / 15) and b.difference == pytest.approx(-3 / 15)
    assert teacher.difference is None and teacher.pictures == 15
    assert a.beyond_chance is True
    assert not compare_models(runs()[:2], [str(colors)]).averages


def row(model: str, score: float) -> ComparedRow:
    return ComparedRow(
        model=model, teacher="t", task="k", metric="m", data="d", pictures=9, score=score
    )


def test_an_interval_is_of_seeds_too() -> None:
    """With images that show no difference, the ends are those of Student's t."""
    same = {score: np.full(1000, score) for score in (0.4, 0.5, 0.6)}
    rows = [(row(f"a{i}", score), draws) for i, (score, draws) in enumerate(same.items())]
    rows += [(row("b", 0.55), np.full(1000, 0.55))]
    first, other = average(rows, {"a0": "a0", "a1": "a0", "a2": "a0", "b": "b"})
    low, high = first.score_interval or (0, 0)
    half = 4.303 * 0.1 / 3**0.5  # t of two degrees of freedom, and the standard error
    assert 0.5 - low == pytest.approx(half, rel=0.15) == pytest.approx(high - 0.5, rel=0.15)
    assert other.difference == pytest.approx(0.05) and other.beyond_chance is False


def test_a_meter_without_draws_has_a_difference_and_no_interval() -> None:
    rows = [(row("a0", 0.4), None), (row("a1", 0.6), None), (row("b", 0.7), None)]
    first, other = average(rows, {"a0": "a0", "a1": "a0", "b": "b"})
    assert (first.score_interval, first.difference) == (None, None)
    assert other.difference == pytest.approx(0.2)
    assert other.difference_interval is None and other.beyond_chance is None


def test_the_command_shows_them(
    colors: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: Any
) -> None:
    def opened(name: str, accelerator: str) -> Painter:
        return next(model for model in runs() if model.name == name)

    monkeypatch.setattr("kivfm_core.models.open.open_model", opened)
    names = [model.name for model in runs()]
    page = tmp_path / "page.html"
    given = ["compare", *names, "--data", str(colors), "--seeds"]
    assert app.main([*given, "--html", str(page)]) == 0
    lines = capsys.readouterr().out.splitlines()
    line = next(line for line in lines if " a0 " in line)
    for cell in (" 3 ", "0.533", "0.115", "-0.467", " *"):
        assert cell in line, line
    html = page.read_text()
    assert "mean of 3 runs, standard deviation 0.115" in html and "a2" in html
    assert app.main([*given, "--json"]) == 0
    record = json.loads(capsys.readouterr().out)
    assert [own["runs"] for own in record["averages"]][1:] == [["a0", "a1", "a2"], ["b0", "b1"]]
    assert app.main(["compare", "teacher", "a0", "--data", str(colors), "--seeds"]) == 2
    assert "differ only by seed" in capsys.readouterr().err
