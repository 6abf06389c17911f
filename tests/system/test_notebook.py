"""A notebook that distills shows how far it is, and stays clean."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

pytest.importorskip("kivfm_nano")
nbformat = pytest.importorskip("nbformat")
nbclient = pytest.importorskip("nbclient")

CELL = """
import kivfm_core
from kivfm_core.config import build_config
flags = {"teachers": "dino,clip", "variant": "nano", "data.path": "images", "optim.steps": 12,
         "optim.batch_size": 2, "data.image_size": 32, "data.views": 1}
run = kivfm_core.distill(build_config(None, flags), out="run")
"""


@pytest.mark.filterwarnings("ignore")
def test_a_cell_that_distills_shows_its_progress(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    for i in range(4):
        Image.new("RGB", (40, 32), (60 * i, 90, 120)).save(tmp_path / f"images/{i}.png")
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    resources = {"metadata": {"path": str(tmp_path)}}
    nbclient.NotebookClient(notebook, timeout=200, resources=resources).execute()
    outputs = notebook.cells[0].outputs
    assert not [output for output in outputs if output.output_type == "error"]
    # One output that changed in place: it is as it was at the end.
    (shown,) = [output for output in outputs if output.output_type == "display_data"]
    assert '<progress value="12" max="12">' in shown.data["text/html"]
    assert "12/12  ETA 0:00" in shown.data["text/plain"] and "clip/nano" in shown.data["text/plain"]
    said = {"stdout": "", "stderr": ""}
    for output in outputs:
        if output.output_type == "stream":
            said[output.name] += output.text
    # What kivfm says is not on stderr, which notebooks show in red.
    assert "4 images in" in said["stdout"] and "images in" not in said["stderr"]
    assert "Traceback" not in said["stderr"]
