"""The examples of docs/how-to/extend-kivfm.md work as they stand there."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from types import ModuleType

import pytest
import torch

from kivfm_core.adapters.table import ADAPTERS
from kivfm_core.aligners.table import ALIGNERS
from kivfm_core.config import RunConfig, build_config
from kivfm_core.distillation.engine import distill
from kivfm_core.layers.trunk_output import TrunkOutput
from kivfm_core.prediction.draw import Drawing
from kivfm_core.recipes.table import RECIPES
from kivfm_core.reference import resolve_reference
from kivfm_core.runs.run import open_run
from kivfm_core.spec import Level
from kivfm_core.student.bundle import load_student

PAGE = Path(__file__).parents[2] / "docs/how-to/extend-kivfm.md"
BLOCKS = dict(
    re.findall(r'^```python title="([^"]+)"\n(.*?)^```', PAGE.read_text("utf-8"), re.M | re.S)
)


@pytest.fixture(autouse=True)
def examples(monkeypatch):
    """Every block as the module that its title says."""
    monkeypatch.setitem(sys.modules, "kivfm_light", ModuleType("kivfm_light"))
    for path, code in BLOCKS.items():
        # `cli/` and a package's own folder are where modules are found.
        name = re.sub(r"^(cli|kivfm-light)/", "", path).removesuffix(".py").replace("/", ".")
        module = ModuleType(name)
        monkeypatch.setitem(sys.modules, name, module)
        exec(compile(code, path, "exec"), vars(module))


def test_the_places_that_the_page_names_are_there():
    tables = "\n".join(line for line in PAGE.read_text("utf-8").splitlines() if line[:1] == "|")
    places = [p for p in re.findall(r"`([^`\s]+/[^`\s]*)`", tables) if "NAME" not in p]
    assert len(places) > 15
    for place in places:
        assert (PAGE.parents[2] / place).exists(), place
    for name, place in re.findall(r"`(\w+)` in `([^`]+\.py)`", tables):
        assert re.search(rf"^(class )?{name}\b", (PAGE.parents[2] / place).read_text(), re.M), name


def test_an_adapter_changes_nothing_at_the_start():
    from kivfm_core.adapters.scale import ScaleAdapter, ScalePlan

    plan = ScalePlan(channels={"x": 4, "V": 4})
    adapter = resolve_reference(plan.module)(plan)
    assert isinstance(adapter, ScaleAdapter)
    assert sum(p.numel() for p in adapter.parameters()) == plan.parameters
    trunk = TrunkOutput(torch.rand(2, 4), torch.rand(2, 4, 3, 3))
    adapted = adapter.adapt(torch.rand(2, 3, 6, 6), trunk, lambda encode: trunk)
    assert all(torch.equal(adapted[name], trunk.features[name]) for name in trunk.features)


def test_a_student_learns_with_the_adapter(config: RunConfig, tmp_path: Path, monkeypatch):
    from kivfm_core.adapters.scale import ScalePlan

    monkeypatch.setitem(ADAPTERS, "scale", ScalePlan)
    values = config.model_dump(by_alias=True, exclude_none=True)
    config = build_config(None, {**values, "student.adapter": "scale"})
    student = load_student(distill(config, out=tmp_path / "run"))
    assert any(change.any() for change in student.adapter.changes.values())


def test_an_aligner_leads_there_and_back():
    from kivfm_core.aligners.linear import LinearPlan

    level = Level(name="dense", kind="dense", channels=5, stride=8)
    plan = LinearPlan(teacher="a/b", level=level, maps={"V": 4}, x_channels=4, hidden=1, latent=5)
    aligner = resolve_reference(plan.module)(plan)
    fitted = sum(t.numel() for t in (*aligner.parameters(), *aligner.buffers()))
    assert fitted == plan.parameters
    aligner.fit(2, torch.ones(5), torch.eye(5))
    y = torch.rand(2, 5, 3, 3)
    torch.testing.assert_close(aligner.to_level(aligner.to_latent(y)), y)
    assert aligner.predict({"V": torch.rand(2, 4, 6, 6)}, (3, 3)).shape == y.shape


def test_a_recipe_names_what_there_is():
    from kivfm_core.recipes.cosine import COSINE

    from kivfm_core.aligners.targets import TARGETS
    from kivfm_core.objectives.losses import DISTANCES

    for match in (COSINE.global_match, COSINE.dense_match):
        assert match.target in TARGETS and match.distance in DISTANCES


@pytest.mark.parametrize("aligner", ["latent", "linear"])
def test_a_student_learns_by_the_recipe(config: RunConfig, tmp_path: Path, monkeypatch, aligner):
    from kivfm_core.aligners.linear import LinearPlan
    from kivfm_core.recipes.cosine import COSINE

    monkeypatch.setitem(ALIGNERS, "linear", LinearPlan)
    monkeypatch.setitem(RECIPES, "cosine", COSINE.model_copy(update={"aligner": aligner}))
    values = config.model_dump(by_alias=True, exclude_none=True)
    run = open_run(
        distill(build_config(None, {**values, "recipe": "cosine"}), out=tmp_path / "run")
    )
    plans = [plan for plan in run.composition.aligners if not plan.native]
    assert plans and {plan.kind for plan in plans} == {aligner}
    now, before = run.load_student(), run.load_student(untrained=True)
    for plan in plans:
        pairs = zip(
            now.aligner(plan.teacher, plan.level.name).parameters(),
            before.aligner(plan.teacher, plan.level.name).parameters(),
            strict=True,
        )
        assert any(not torch.equal(a, b) for a, b in pairs)


def test_a_task_reads_and_measures_its_labels(tmp_path):
    from kivfm_light.plugin import kivfm_register_tasks

    (task,) = kivfm_register_tasks()
    (tmp_path / "brightness.json").write_text(json.dumps({"a.png": 0.5, "b.png": 1.0}))
    data = resolve_reference(task.formats[0].read)(tmp_path)
    meter = resolve_reference(task.meter)(data, None)
    meter.update(resolve_reference(task.prediction)(torch.tensor([0.5, 0.5])), [0, 1], [])
    assert data.take(1).paths == (tmp_path / "a.png",) and meter.compute() == 0.75
    drawing = Drawing(torch.zeros(3, 8, 8, dtype=torch.uint8))
    rows = resolve_reference(task.draw)(drawing, 0.5, None, torch.zeros(0, 2))
    assert rows == [{"brightness": 0.5}]


def test_a_command_runs(capsys, tmp_path):
    from kivfm_cli.commands.count import count
    from PIL import Image

    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    count(tmp_path)
    assert capsys.readouterr().out == "1\n"
