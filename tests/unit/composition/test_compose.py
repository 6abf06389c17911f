from __future__ import annotations

import pytest
import toy

from kivfm_core.composition.compose import compose
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.summary import summarize
from kivfm_core.config import RunConfig, build_config, dump_config
from kivfm_core.config.assign_weights import assign_weights
from kivfm_core.errors import UsageError


def with_(config: RunConfig, **fields) -> RunConfig:
    return build_config(None, {**config.model_dump(by_alias=True, exclude_none=True), **fields})


def test_the_general_teacher_is_the_base(composition: Composition):
    assert composition.base == "toybase/small"
    kinds = {(a.teacher, a.level.name): a.kind for a in composition.aligners}
    assert kinds["toybase/small", "dense"] == "identity"
    assert kinds["toypurpose/small", "fine"] == "latent"


def test_a_named_base_is_the_teacher_of_that_name(config: RunConfig):
    named = compose(with_(config, **{"student.base": "toybase"}))
    assert named.aligners == compose(config).aligners


def test_no_general_teacher_says_what_to_add(config: RunConfig):
    with pytest.raises(UsageError) as caught:
        compose(with_(config, teachers="toypurpose"))
    assert caught.value.exit_code == 2
    assert caught.value.hint == "--teachers dino,toypurpose/small"


def test_a_purpose_teacher_that_can_be_the_base_is_the_second_choice():
    with pytest.raises(UsageError, match="no general teacher") as caught:
        compose(RunConfig(teachers=("clip", "sam")))
    added = "--teachers dino,clip/vit-b-16,sam/vit-b"
    assert caught.value.hint == f"{added}; or --base clip/vit-b-16"
    assert compose(RunConfig(teachers=("dino", "clip", "sam"))).base == "dino/vit-b-14"


def test_where_no_teacher_can_be_the_base_one_is_added():
    with pytest.raises(UsageError, match="no attachment points") as caught:
        compose(build_config(None, {"teachers": "sam/nano", "student.base": "sam/nano"}))
    assert caught.value.hint == "--teachers dino,sam/nano --base dino"


def test_a_base_without_attachment_points_is_refused(config: RunConfig):
    with pytest.raises(UsageError, match="no attachment points") as caught:
        compose(with_(config, **{"student.base": "toypurpose"}))
    assert caught.value.hint == "--base toybase/small"


def test_a_base_that_is_not_selected_is_refused(config: RunConfig):
    with pytest.raises(UsageError, match="not among the teachers"):
        compose(with_(config, teachers="toypurpose", **{"student.base": "toybase"}))


def test_a_teacher_named_twice_is_refused(config: RunConfig):
    with pytest.raises(UsageError, match="twice") as caught:
        compose(with_(config, teachers="toybase,toypurpose,toybase"))
    assert caught.value.hint == "--teachers toybase/small,toypurpose/small"


def test_the_outline_adds_up(composition: Composition):
    plan = summarize(composition)
    parts = plan["adapter"]["parameters"] + sum(a["parameters"] for a in plan["aligners"])
    assert plan["parameters"]["trainable"] == parts
    assert plan["parameters"]["total"] == parts + toy.BASE.parameters
    assert plan["license"]["commercial_use"] == "no"
    assert any("forbids commercial use" in warning for warning in plan["warnings"])
    # The base runs as the trunk, and lies in memory once.
    held = plan["parameters"]["total"] + toy.PURPOSE.parameters
    assert plan["cost"]["weights_bytes"] == 4 * held


def test_what_is_given_is_not_downloaded(composition: Composition):
    def wanted(*files: str) -> list[str]:
        return [item["teacher"] for item in summarize(composition, files)["downloads"]]

    assert wanted() == ["toybase/small", "toypurpose/small"]
    assert wanted("toybase/small") == ["toypurpose/small"]


def test_canvases_follow_the_image_size(config: RunConfig):
    small = compose(with_(config, **{"data.image_size": 48}))
    assert small.image_size == (48,)
    assert compose(config).image_size == (64, 96)


def test_teachers_may_have_larger_canvases_than_the_student(config: RunConfig):
    made = compose(with_(config, **{"data.image_size": 48, "data.teacher_size": 96}))
    assert made.scales == {"toypurpose/small": 0.5}  # the base is the student itself
    assert made.student_size("toypurpose/small", (96, 64)) == (48, 32)
    assert made.student_size("toybase/small", (96, 64)) == (96, 64)
    assert not compose(config).scales


def test_a_composition_survives_json(composition: Composition):
    again = Composition.model_validate_json(composition.model_dump_json())
    assert again == composition


def test_a_configuration_survives_toml(config: RunConfig, tmp_path):
    (tmp_path / "run.toml").write_text(dump_config(config))
    assert build_config(tmp_path / "run.toml", {}) == config


def test_flags_beat_set_beats_file(tmp_path):
    file = tmp_path / "run.toml"
    file.write_text('schema = 1\nteachers = ["a"]\n[optim]\nlr = 0.1\nsteps = 5\nclip = 9.0\n')
    config = build_config(
        file, {"optim.lr": 0.3, "optim.steps": None}, ["optim.lr=0.2", "optim.clip=2"]
    )
    assert (config.optim.lr, config.optim.steps, config.optim.clip) == (0.3, 5, 2.0)


def test_a_license_that_is_known_is_not_warned_about(composition: Composition):
    def warned(**weights) -> list[str]:
        first, *others = composition.teachers
        changed = first.model_copy(update={"weights": first.weights.model_copy(update=weights)})
        plan = summarize(composition.model_copy(update={"teachers": (changed, *others)}))
        return [warning for warning in plan["warnings"] if first.name in warning]

    assert not warned(license="MIT", commercial_use="unknown")
    assert "does not say" in warned(license="unknown", commercial_use="unknown")[0]
    assert "forbids" in warned(license="CC-BY-NC-4.0", commercial_use="unknown")[0]


def test_code_is_warned_about_too(composition: Composition):
    first, *others = composition.teachers
    changed = first.model_copy(update={"code_license": "unknown"})
    plan = summarize(composition.model_copy(update={"teachers": (changed, *others)}))
    (warning,) = [text for text in plan["warnings"] if first.name in text]
    assert "its code (unknown) does not say" in warning


def test_weights_are_assigned_by_any_name(composition: Composition):
    name = composition.teachers[0].name
    for given in (name, name.split("/")[0], f"some-distribution::{name}"):
        assert assign_weights({given: "a.pth"}, composition.teachers) == {name: "a.pth"}
    with pytest.raises(UsageError, match="0 of the selected"):
        assign_weights({"nobody": "a.pth"}, composition.teachers)


def test_weights_are_assigned_by_the_name_that_a_provider_took(composition: Composition):
    first, *others = composition.teachers
    tagged = first.model_copy(update={"name": "timm/resnet18.a1_in1k", "aliases": ()})
    teachers = (tagged, *others)
    assert assign_weights({"timm/resnet18": "a"}, teachers) == {"timm/resnet18.a1_in1k": "a"}
    with pytest.raises(UsageError, match="0 of the selected"):
        assign_weights({"timm/resnet1": "a"}, teachers)


def test_a_backbone_without_its_library_is_hinted_at(config: RunConfig):
    student = config.student.model_copy(update={"model": "vit_small_patch16_224"})
    with pytest.raises(UsageError, match="no student is named 'vit_small_patch16_224'") as caught:
        compose(config.model_copy(update={"student": student}))
    assert caught.value.hint == "--student timm/vit_small_patch16_224"


NANO = ("dino/nano", "clip/nano", "detector/nano", "segmenter/nano")


def test_an_adapter_for_each_teacher_is_read_by_it_alone():
    one, each = (
        compose(RunConfig.model_validate({"teachers": NANO, "recipe": recipe}))
        for recipe in ("am-radio", "sak")
    )
    assert len(one.adapters) == 1 and len(each.adapters) == 3
    adapters, shared = (sum(a.parameters for a in plan.adapters) for plan in (each, one))
    assert adapters == pytest.approx(shared, rel=0.25)
    owners: dict[str, str] = {}
    for plan in each.aligners:
        for name in {*plan.maps} - {"V"}:
            if plan.teacher != "dino/nano":
                assert owners.setdefault(name, plan.teacher) == plan.teacher
    assert {*owners.values()} == {*NANO[1:]}


@pytest.mark.parametrize("others", [("clip",), ("clip", "sam", "detector", "segmenter")])
def test_little_is_trained_beside_a_vit_b(others: tuple[str, ...]):
    made = compose(RunConfig.model_validate({"teachers": ("dino", *others)}))
    assert made.base == "dino/vit-b-14"
    assert made.trainable <= 0.16 * made.total
