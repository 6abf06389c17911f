"""kivfm-nano: its specs say what its networks are."""

import subprocess
import sys

import pytest
import torch

from kivfm_core.errors import WeightsError
from kivfm_core.locate import locate
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import LoadedTeacher, load_teacher

nano = pytest.importorskip("kivfm_nano.plugin")
SPECS: dict[str, TeacherSpec] = {spec.name: spec for spec in nano.kivfm_register_teachers()}
RAW = {
    "zero-shot": {"labels": ["red star", "blue striped disc"]},
    "promptable-segmentation": {"points": [torch.tensor([[20.0, 30.0]])] * 2},
}


@pytest.fixture(scope="module", params=SPECS)
def teacher(request: pytest.FixtureRequest) -> LoadedTeacher:
    return load_teacher(SPECS[request.param])


def test_listing_imports_nothing_heavy() -> None:
    code = "import sys, kivfm_nano.plugin; sys.exit({'torch', 'timm'} & set(sys.modules) != set())"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_counts_and_sizes(teacher: LoadedTeacher) -> None:
    assert sum(p.numel() for p in teacher.encoder.parameters()) == teacher.spec.parameters
    assert (teacher.spec.weights.bytes or 0) <= 2_500_000


@pytest.mark.parametrize("side", [96, 128])
def test_levels_are_as_declared(teacher: LoadedTeacher, side: int) -> None:
    levels = teacher.encoder(torch.rand(2, 3, side, side))
    assert set(levels) == {level.name for level in teacher.spec.levels}
    for level in teacher.spec.levels:
        grid = level.grid((side, side)) if level.kind == "dense" else ()
        assert levels[level.name].shape == (2, level.channels, *grid)
        assert levels[level.name].isfinite().all()


def test_decoders_answer(teacher: LoadedTeacher) -> None:
    from kivfm_core.data.canvas import make_canvases

    pictures = list(torch.randint(0, 256, (2, 3, 128, 128), dtype=torch.uint8))
    levels = teacher.encode(*make_canvases(pictures, teacher.spec.input))
    for task in teacher.spec.tasks:
        prompt = teacher.prompt(task.task, **RAW.get(task.task, {}))
        assert teacher.decode(task.task, levels, prompt).to_original(levels.frames)


def test_attachment_points_are_where_the_spec_says() -> None:
    base = load_teacher(SPECS["dino/nano"])
    for point in base.spec.attachments:
        seen: list[torch.Tensor] = []
        handle = base.encoder.get_submodule(point.module).register_forward_hook(
            lambda module, inputs, output, seen=seen: seen.append(output)
        )
        base.encoder(torch.rand(1, 3, 96, 96))
        handle.remove()
        assert seen[0].shape == (1, point.prefix_tokens + 144, point.channels)


def test_weights_of_another_teacher_are_refused() -> None:
    with pytest.raises(WeightsError):
        load_teacher(SPECS["sam/nano"], locate(SPECS["segmenter/nano"].weights.source))
