"""Today's teachers by short names: each is what it declares, from a file as upstream has it.

No hub is reached here, so the files have random weights, and the networks two blocks.
"""

from __future__ import annotations

import pytest
import timm
import torch
from torch import Tensor

from kivfm_core.registry.registry import get_registry
from kivfm_core.spec import TeacherSpec
from kivfm_core.teacher import load_teacher
from kivfm_core.testing.checks import run_checks
from kivfm_core.testing.subject import Subject
from kivfm_teachers.open_clip import model as open_clip_model
from kivfm_teachers.timm import model as timm_model

VITS = ("radio", "radio/v3-vit-b-16", "tipsv2", "eupe", "pe/spatial-t-16", "dinov3/vit-s-16")
WIDTH = 192
CHANNELS = {"channels": WIDTH}
CONVNEXTS = ("dinov3/convnext-tiny", "eupe/convnext-tiny")


def shrunk(name: str) -> TeacherSpec:
    """A teacher with two narrow blocks, or one a stage."""
    spec = get_registry().resolve(name)
    of_stages = name in CONVNEXTS
    narrow = {"depth": 2, "embed_dim": WIDTH, "num_heads": 3}
    less = {"depths": [1, 1, 1, 1]} if of_stages else narrow
    fields = {
        "config": {**spec.config, "kwargs": {**spec.config["kwargs"], **less}},
        "attachments": spec.attachments,
        "levels": spec.levels,
    }
    if not of_stages:
        fields["attachments"] = [a.model_copy(update=CHANNELS) for a in spec.attachments[:2]]
        fields["levels"] = [level.model_copy(update=CHANNELS) for level in spec.levels]
    small = TeacherSpec.model_validate({**dict(spec), **fields})
    parameters = sum(p.numel() for p in timm_model.TimmEncoder(small).parameters())
    return small.model_copy(update={"parameters": parameters})


def conforms(spec: TeacherSpec, file) -> None:
    results = list(run_checks(Subject(spec, weights=file)))
    assert not [result for result in results if result.status == "finding"]
    assert sum(result.status == "ok" for result in results) >= 13


@pytest.mark.parametrize("name", (*VITS, *CONVNEXTS))
def test_a_network_of_timm_conforms_from_timms_file(name, save, scramble):
    spec = shrunk(name)
    conforms(spec, save(scramble(timm_model.build(spec))))


def test_perception_encoder_conforms_from_open_clips_file(save, scramble):
    spec = get_registry().resolve("pe/core-t-16")
    text = {"context_length": 32, "vocab_size": 49408, "width": 128, "heads": 2, "layers": 2}
    spec = spec.model_copy(update={"config": {**spec.config, "override": {"text_cfg": text}}})
    halves = [scramble(of(spec)) for of in (open_clip_model.VisualTower, open_clip_model.TextTower)]
    conforms(spec, save({k: v for half in halves for k, v in half.state_dict().items()}))


def as_nvidia(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's state of a C-RADIO as NVIDIA's file has it, with what is no part of the encoder."""
    grid = int(state["pos_embed"].shape[1] ** 0.5)
    square = state["pos_embed"].unflatten(1, (grid, grid)).permute(0, 3, 1, 2)
    fine = torch.nn.functional.interpolate(square, (128, 128), mode="nearest")
    inner = {
        "patch_generator.embedder.weight": state["patch_embed.proj.weight"].flatten(1),
        "patch_generator.pos_embed": fine.flatten(2).transpose(1, 2),
        "patch_generator.cls_token.token": torch.cat([state["cls_token"], state["reg_token"]], 1)[
            0
        ],
        **{key: value for key, value in state.items() if key.startswith("blocks.")},
    }
    outer = {"radio_model.input_conditioner.norm_mean": torch.zeros(3, 1, 1)}
    return outer | {f"radio_model.model.{key}": value for key, value in inner.items()}


def as_meta(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """timm's state of a vision transformer by DINOv3's code, as Meta's file has it."""
    renamed = {
        key.replace("reg_token", "storage_tokens")
        .replace("gamma_1", "ls1.gamma")
        .replace("gamma_2", "ls2.gamma"): value
        for key, value in state.items()
    }
    return {"mask_token": torch.zeros(1, WIDTH), "rope_embed.periods": torch.rand(16), **renamed}


def test_nvidias_own_file_of_a_radio_is_taken(save, scramble, canvases):
    spec = shrunk("radio/v3-vit-b-16")
    model = scramble(timm_model.build(spec))
    with torch.no_grad():
        model.patch_embed.proj.bias.zero_()  # NVIDIA's has none
        model.pos_embed[:] = model.pos_embed[:, :1]  # the same at every place, however it is scaled
    both = [
        load_teacher(spec, weights=save(state, name))
        for name, state in (
            ("timm.pth", model.state_dict()),
            ("nvidia.pth", as_nvidia(model.state_dict())),
        )
    ]
    given = canvases(spec, 512, 1)
    first, second = (teacher.encode(*given) for teacher in both)
    torch.testing.assert_close(second["dense"], first["dense"], rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(second["global"], first["global"], rtol=1e-3, atol=1e-3)


def test_metas_own_file_of_a_eupe_is_taken(save, scramble, canvases):
    spec = shrunk("eupe/vit-t-16")
    state = scramble(timm_model.build(spec)).state_dict()
    ours = load_teacher(spec, weights=save(state, "timm.pth"))
    theirs = load_teacher(spec, weights=save(as_meta(state), "meta.pth"))
    given = canvases(spec, 256, 1)
    assert torch.equal(ours.encode(*given)["dense"], theirs.encode(*given)["dense"])


@pytest.mark.parametrize("name", [*VITS, *CONVNEXTS])
def test_what_is_loaded_is_a_network_that_timm_publishes(name):
    model = get_registry().resolve(name).config["model"]
    assert model in timm.list_pretrained(f"{model.partition('.')[0]}.*")


def test_the_license_of_eupe_forbids_commercial_use_and_says_so():
    for name in ("eupe", "eupe/convnext-base"):
        spec = get_registry().resolve(name)
        assert spec.weights.commercial_use == "no" and "no commercial use" in spec.summary
