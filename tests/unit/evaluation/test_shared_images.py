"""An evaluation whose images several processes share: the scores of one, to the bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from threads import in_threads

from kivfm_core.errors import UsageError
from kivfm_core.evaluation.evaluate import measure_model
from kivfm_core.models.open import open_model
from kivfm_core.processes import team as module
from kivfm_core.processes.team import ONE_PROCESS, Team
from kivfm_core.scenes.write import write_scenes
from kivfm_core.task import Meter


@pytest.fixture(scope="module")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Seven scenes, one of which cannot be decoded, with all labels; and images of classes."""
    folder = tmp_path_factory.mktemp("scenes")
    write_scenes(folder, train=1, val=7, per_class=2)
    sorted((folder / "val/images").iterdir())[3].write_bytes(b"no image")
    return folder


@pytest.mark.parametrize("name", ["detector", "segmenter", "sam", "clip"])
def test_the_scores_of_several_are_those_of_one(
    scenes: Path, name: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "BLOCK", 2)

    def measure(team: Team = ONE_PROCESS) -> dict[str, Any]:
        model = open_model(f"{name}/nano", "cpu")
        return measure_model(model, [str(scenes / "val")], team=team).model_dump(
            exclude={"seconds"}
        )

    alone = measure()
    assert alone["rows"] and all(row["teacher_interval"] for row in alone["rows"])
    assert in_threads(measure, 3) == [alone] * 3


def test_a_meter_that_cannot_share_is_refused_before_anything_runs():
    class Own(Meter):
        """As a plugin's, of an earlier kivfm."""

    with pytest.raises(UsageError, match="Own measures in one process only"):
        Own().seen()
