"""The notebooks run from the first cell to the last, with small settings."""

from __future__ import annotations

from pathlib import Path

import jupytext
import nbclient
import nbformat
import pytest

FOLDER = Path(__file__).parents[2] / "examples/notebooks"
# In place of each notebook's parameters.
SMALL = {
    "first_student": "IMAGES, HELD_OUT, STEPS = 8, 4, 2",
    "head_on_your_labels": "SCENES, CLASSES, IMAGES, STEPS = 4, 2, 4, 2",
}


def test_every_notebook_is_run():
    assert sorted(SMALL) == sorted(file.stem for file in FOLDER.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("name", SMALL)
def test_a_notebook_runs(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    notebook = jupytext.read(FOLDER / f"{name}.py")
    (given,) = (
        index
        for index, cell in enumerate(notebook.cells)
        if "parameters" in cell.metadata.get("tags", [])
    )
    notebook.cells.insert(given + 1, nbformat.v4.new_code_cell(SMALL[name]))
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=280, resources=resources).execute()
    outputs = [output for cell in notebook.cells for output in cell.get("outputs", [])]
    assert outputs and not [output for output in outputs if output.output_type == "error"]
