"""A probe from the model's name to the record: rows, resuming, and what is refused."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from threads import in_threads
from toy_bundle import write_toy_bundle

import kivfm_core
from kivfm_core.composition.composition import Composition
from kivfm_core.errors import DataError, KivfmError, UsageError
from kivfm_core.loaded import store
from kivfm_core.probing import table
from kivfm_core.probing.protocol import Settings
from kivfm_core.probing.result import RECORD, ProbeResult, ProbeRow, read_result
from kivfm_core.processes.team import ONE_PROCESS, Team


@pytest.fixture
def bundle(composition: Composition, tmp_path: Path) -> Path:
    return write_toy_bundle(composition, tmp_path / "student")


def probe(model: Any, train: Path | None, val: Path, *protocols: str, **more: Any) -> ProbeResult:
    source = None if train is None else str(train)
    return kivfm_core.probe(
        model, str(val), train=source, protocols=protocols, accelerator="cpu", **more
    )


def scores(result: ProbeResult) -> dict[str, float]:
    return {row.metric: row.score for row in result.rows}


def test_colors_are_told_apart_by_every_classifier(bundle: Path, train: Path, val: Path):
    found = probe(
        bundle, train, val, "knn", "knn-l2", "logistic", "sgd", settings=Settings(steps=60)
    )
    assert [row.metric for row in found.rows] == [
        "k-NN top-1, k 10",
        "k-NN top-1, k 18",  # train has no 20
        "k-NN top-1, k 10",
        "logistic regression top-1",
        "linear, SGD, top-1",
        "linear, SGD, top-1, best head on val",
    ]
    for row in found.rows[:1] + found.rows[2:]:
        assert row.score > 0.9 and row.chance == 1 / 3
        assert (row.train_images, row.images, row.bad) == (18, 12, 0)
        low, high = row.interval or (1, 0)
        assert low <= row.score <= high
    assert found.rows[0].features == "x"
    assert found.rows[-1].features in ("x", "x, V (mean)")
    assert (found.draws, found.seed) == (1000, 0)


def test_the_features_are_those_that_load_gives(bundle: Path, train: Path, val: Path):
    """k-NN by hand on features from another path through the code."""
    model = kivfm_core.load(bundle, accelerator="cpu")
    sets = {}
    for folder in (train, val):
        files = sorted(folder.rglob("*.png"))
        names = [file.parent.name for file in files]
        sets[folder] = model.features(files, maps=False).vector, names
    (bank, known), (queries, names) = sets[train], sets[val]
    near = torch.nn.functional.cosine_similarity(queries[:, None], bank[None], dim=2)
    right = 0
    for row, name in zip(near, names, strict=True):
        votes: dict[str, float] = {}
        similarity, places = row.topk(10)
        for s, place in zip(similarity.tolist(), places.tolist(), strict=True):
            votes[known[place]] = votes.get(known[place], 0) + torch.tensor(s / 0.07).exp().item()
        right += max(votes, key=lambda own: votes[own]) == name
    assert probe(bundle, train, val, "knn").rows[0].score == right / len(names)


def test_a_killed_probe_goes_on(bundle: Path, train: Path, val: Path, tmp_path: Path, monkeypatch):
    monkeypatch.setattr(store, "PART_BYTES", 1)  # a part a batch
    monkeypatch.setattr("kivfm_core.data.batches.PIXELS", 4 * 64 * 64)
    out, whole = tmp_path / "out", probe(bundle, train, val, "knn")
    encoded: list[int] = []

    class Killed(Exception):
        pass

    def kill_after(number: int):
        write = store.write_bytes

        def write_bytes(path: Path, content: bytes) -> None:
            if len(encoded) == number:
                raise Killed
            encoded.append(1)
            write(path, content)

        return write_bytes

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_bytes", kill_after(2))
        with pytest.raises(Killed):
            probe(bundle, train, val, "knn", out=out)
    parts = list(out.glob("vectors-*/part-*"))
    times = {part: part.stat().st_mtime_ns for part in parts}
    assert len(parts) == 2 and not (out / RECORD).exists()
    parts[0].write_bytes(b"torn")  # a disk that lost what was written
    again = probe(bundle, train, val, "knn", out=out)
    assert scores(again) == scores(whole)
    assert parts[1].stat().st_mtime_ns == times[parts[1]]
    every = {part: part.stat().st_mtime_ns for part in out.glob("vectors-*/part-*")}
    learned = [probe(bundle, train, val, "logistic", "sgd", out=o) for o in (out, None)]
    assert learned[0].rows == learned[1].rows  # from features of two lives, and of one
    more = probe(bundle, train, val, "knn-l2", out=out)
    assert {part: part.stat().st_mtime_ns for part in out.glob("vectors-*/part-*")} == every
    kept = json.loads((out / RECORD).read_text())
    assert kept["schema"] == 1
    protocols = [row["protocol"] for row in kept["rows"]]
    assert protocols == ["knn", "knn", "logistic", "sgd", "sgd", "knn-l2"]
    assert more.rows[0].model_dump(mode="json") == kept["rows"][-1]


def test_changed_images_are_read_anew(bundle: Path, train: Path, val: Path, tmp_path: Path):
    out = tmp_path / "out"
    first = probe(bundle, train, val, "knn", out=out)
    for file in (val / "red").iterdir():
        Image.new("RGB", (33, 44), (20, 20, 230)).save(file)
    second = probe(bundle, train, val, "knn", out=out)
    assert second.rows[0].score < first.rows[0].score


def test_broken_images_are_counted(bundle: Path, train: Path, val: Path, tmp_path: Path):
    (train / "red/0.png").write_bytes(b"no image")
    out = tmp_path / "out"
    for _ in range(2):  # and again where all others are kept
        (row, _) = probe(bundle, train, val, "knn", out=out).rows
        assert (row.train_images, row.images, row.bad) == (17, 12, 1)


def test_classes_meet_by_name(bundle: Path, train: Path, val: Path):
    (val / "blue").rename(val / "violet")
    found = probe(bundle, train, val, "knn")
    assert found.rows[0].score == pytest.approx(8 / 12)
    assert found.notes == ("4 images of val have classes that train lacks: they count as wrong",)


def test_a_teachers_levels_are_probed(bundle: Path, train: Path, val: Path):
    found = probe(bundle, train, val, "knn", settings=Settings(teacher="toypurpose"))
    assert found.rows[0].features == "global"
    with pytest.raises(UsageError, match="no teacher 'clip'"):
        probe(bundle, train, val, "knn", settings=Settings(teacher="clip"))


def test_what_is_refused_before_anything_is_measured(
    bundle: Path, train: Path, val: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    with pytest.raises(UsageError, match="unknown protocol 'knnn'") as error:
        probe(bundle, train, val, "knnn")
    assert error.value.hint == "did you mean knn?"
    with pytest.raises(UsageError, match="knn needs images to learn from"):
        probe(bundle, None, val, "knn")
    with pytest.raises(DataError, match="12 images are in both"):
        probe(bundle, val, val, "knn")
    with pytest.raises(DataError, match="no such data"):
        probe(bundle, train, tmp_path / "none", "knn")
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / RECORD).write_text('{"schema": 1, "rows": 3}')
    with pytest.raises(UsageError, match="is no record of a probe") as error:
        probe(bundle, train, val, "knn", out=tmp_path / "other")
    assert error.value.hint.endswith("--out DIR")
    monkeypatch.setattr(table, "find_spec", lambda name: None)
    with pytest.raises(KivfmError, match="logistic needs sklearn") as error:
        probe(bundle, train, val, "logistic")
    assert error.value.hint == "pip install 'kivfm[probe]'"


def test_a_probe_that_wrote_nothing_leaves_what_was_there(
    bundle: Path, train: Path, tmp_path: Path
):
    out = tmp_path / "of/mine"
    for _ in range(2):
        with pytest.raises(DataError, match="no such data"):
            probe(bundle, train, tmp_path / "none", "knn", out=out / "probe")
        assert not (out / "probe").exists()
        assert out.exists() == out.parent.exists() == (out / "kept").exists()
        out.mkdir(parents=True, exist_ok=True)
        (out / "kept").touch()


def test_a_link_in_place_of_features_is_not_followed(
    bundle: Path, train: Path, val: Path, tmp_path: Path
):
    out = tmp_path / "out"
    probe(bundle, train, val, "knn", out=out)
    part = next(out.glob("vectors-*/part-*"))
    part.rename(tmp_path / "elsewhere")
    part.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match="is a link"):
        probe(bundle, train, val, "knn", out=out)


def test_later_rows_take_the_place_of_their_like():
    def row(metric: str, score: float, **more: Any) -> ProbeRow:
        return ProbeRow(protocol="knn", metric=metric, features="x", score=score, images=1, **more)

    earlier = ProbeResult(rows=(row("a", 0.1), row("b", 0.2), row("b", 0.3, model="m")))
    later = ProbeResult(rows=(row("b", 0.9),))
    assert [r.score for r in later.added_to(earlier).rows] == [0.1, 0.3, 0.9]


def test_the_table_of_protocols_imports_no_torch():
    code = (
        "import sys; from kivfm_core.probing import protocol, table, result;"
        "assert not {'torch', 'sklearn'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_processes_keep_what_one_does(
    bundle: Path, train: Path, val: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr("kivfm_core.processes.team.BLOCK", 2)
    protocols = ("knn", "logistic", "cka")
    more = {"against": str(bundle)}

    def measure(out: str, team: Team = ONE_PROCESS) -> ProbeResult:
        settings = Settings(**more)
        return probe(
            bundle, train, val, *protocols, out=tmp_path / out, settings=settings, team=team
        )

    alone = measure("one")
    assert [found.rows for found in in_threads(lambda team: measure("two", team), 3)] == [
        alone.rows
    ] * 3
    assert read_result(tmp_path / "two").rows == alone.rows
    parts = {path.parent.name for path in (tmp_path / "two").rglob("part-*")}
    assert parts == {path.parent.name for path in (tmp_path / "one").rglob("part-*")}
    with pytest.raises(UsageError, match="meet in a folder"):
        probe(bundle, train, val, "knn", team=Team(0, 2))
