"""Each check of the kit catches a teacher that is broken in just its way."""

from __future__ import annotations

from pathlib import Path

import broken
import pytest
import torch
import toy

from kivfm_core.spec import Attachment, TeacherSpec
from kivfm_core.testing.checks import CHECKS, Result, meaning_of, name_of, run_checks
from kivfm_core.testing.outcome import Finding
from kivfm_core.testing.shapes import BATCH, attachment_fits
from kivfm_core.testing.subject import Subject

PAGE = Path(__file__).parents[3] / "docs/reference/conformance.md"
NO_ORIGINAL = {"original": None}


def encoder(name: str) -> dict:
    return {"encoder": f"broken:{name}", **NO_ORIGINAL}


def classifier(name: str) -> dict:
    first, *others = broken.GOOD.tasks
    task = first.model_copy(update={"decoder": f"broken:{name}"})
    return {"tasks": (task, *others), **NO_ORIGINAL}


def coarse(**fields) -> dict:
    fine, level, pooled = broken.GOOD.levels
    return {"levels": (fine, level.model_copy(update=fields), pooled)}


def weights(**fields) -> dict:
    return {"weights": broken.GOOD.weights.model_copy(update=fields)}


# What is changed in a good spec, which check finds it, and what that says.
BROKEN = {
    "config is not JSON": ({"config": {"depths": (1, 2)}}, "schema", "config changes"),
    "config cannot be stored": ({"config": {"a": object()}}, "schema", "not valid"),
    "requirement is missing": ({"requirements": ("no-such>1",)}, "schema", "needs no-such>1"),
    "nothing under a reference": (weights(fetch="broken:no_such"), "references", "no_such"),
    "unknown task": (
        {"tasks": (broken.GOOD.tasks[0].model_copy(update={"task": "cooking"}),), **NO_ORIGINAL},
        "references",
        "unknown task 'cooking'",
    ),
    "reference to a constant": (weights(fetch="broken:MEAN"), "references", "cannot be called"),
    "encoder cannot be built": (encoder("failing"), "builds", "RuntimeError: no luck"),
    "builder reads a pickle": (encoder("pickling"), "safe-loading", "a pickle is executed"),
    "builder reads it the first time": (encoder("pickling_once"), "safe-loading", "a pickle"),
    "miscounted": ({"parameters": 7}, "parameters", "the spec says 7"),
    "other channels": (coarse(channels=41), "levels", "'coarse' is (2, 40, 6, 6)"),
    "other stride": (coarse(stride=8), "levels", "instead of (2, 40, 12, 12)"),
    "other name": (coarse(name="better"), "levels", "returns ['coarse', 'fine', 'global']"),
    "other grid": (encoder("Padding"), "levels", "instead of"),
    "high for wide": (
        {
            **encoder("Turned"),
            "input": broken.GOOD.input.model_copy(update={"multiple": 1}),
            "original": None,
        },
        "levels",
        "instead of (2, 24, 24, 28)",
    ),
    "half precision": (encoder("Half"), "levels", "torch.float16"),
    "random numbers": (encoder("Noisy"), "deterministic", "the second time"),
    "a buffer that counts": (encoder("Counting"), "frozen", "'encoder.passes' changes"),
    "weights left out of the package": (
        weights(source="package:broken_away/weights.safetensors"),
        "packaged",
        "is not in the installed package",
    ),
    "the same for every image": (
        {
            "tasks": (broken.GOOD.tasks[0].model_copy(update={"decoder": "planted:Same"}),),
            **NO_ORIGINAL,
        },
        "responds",
        "classification is the same for two images",
    ),
    "training mode": (encoder("Waking"), "frozen", "'encoder.fine' is in training mode"),
    "trainable": (encoder("Thawing"), "frozen", "requires a gradient"),
    "looks at its neighbors": (encoder("Crowded"), "batch", "off that in a batch"),
    "decoder in training mode": (
        classifier("Restless"),
        "frozen",
        "'decoders.parts.classes.head' is in training mode",
    ),
    "decoder that counts": (classifier("Learning"), "frozen", "'decoders.parts.classes.passes'"),
    "decoder looks at neighbors": (
        classifier("Comparing"),
        "batch",
        "classification of an image alone is",
    ),
    "cancellation": (encoder("Coarse"), "bfloat16", "off under bfloat16"),
    "inference mode": (encoder("Inferring"), "gradients", "inference mode"),
    "a gradient": (encoder("Carrying"), "gradients", "carries a gradient"),
    "normalizes again": (encoder("Normalizing"), "contract", "mean and std"),
    "scales again": (encoder("Scaling"), "contract", "scale"),
    "resizes again": (encoder("Resizing"), "contract", "resizing"),
    "pads again": (encoder("Letterboxing"), "contract", "padding"),
    "swaps channels again": (
        {**encoder("Swapping"), "original": None},
        "contract",
        "channel order",
    ),
    "indexes channels again": (
        {**encoder("Reordering"), "original": None},
        "contract",
        "channel order",
    ),
    "too many classes": (classifier("Wide"), "decoders", "than the 3 of its label space"),
    "another prediction": (classifier("Mistaken"), "decoders", "2 of SemanticLogits"),
    "reads what is not declared": (classifier("Greedy"), "decoders", "KeyError: 'fine'"),
    "readout without gradient": (classifier("Numb"), "readouts", "no gradient reaches"),
    "readout of another kind": (classifier("Plain"), "readouts", "is not a list of"),
    "readout of infinite weight": (classifier("Heavy"), "readouts", "is not finite"),
    "not the original": ({"original": "broken:OtherOriginal"}, "original", "off what the original"),
}
# And with its weights.
BROKEN_FILE = {
    "another file": (weights(sha256="0" * 64), "checksum", "not the file"),
    "another size": (weights(sha256="0" * 64, bytes=3), "checksum", "not the file"),
    "a split that forgets": (
        {**weights(split="broken:forgetful"), "original": None},
        "weights-fit",
        "do not fit",
    ),
    "another mean": (weights(golden={"coarse": (1e6, 1.0)}), "golden", "golden says"),
    "statistics of nothing": (weights(golden={"x": (0.0, 1.0)}), "golden", "no level"),
}


def changed(spec: TeacherSpec, fields: dict) -> TeacherSpec:
    # Unchecked on purpose: a spec may be wrong.
    return spec.model_copy(update=fields)


def findings(subject: Subject) -> dict[str, Result]:
    return {r.name: r for r in run_checks(subject) if r.status == "finding"}


@pytest.fixture
def file(tmp_path) -> Path:
    toy.save(broken.GOOD, tmp_path / "good.safetensors")
    return tmp_path / "good.safetensors"


def test_a_good_teacher_passes_what_can_be_checked():
    results = {r.name: r for r in run_checks(Subject(broken.GOOD))}
    left = {name for name, result in results.items() if result.status != "ok"}
    assert left == {
        *("discovery", "weights-fit", "attachments", "preprocess", "checksum", "golden")
    }
    assert all(results[name].status == "not checked" and results[name].message for name in left)
    assert "--weights FILE" in results["checksum"].fix
    assert list(results) == [name_of(check) for check in CHECKS]


def test_what_the_kit_proposes_is_then_confirmed(file):
    proposed = {r.name: r.fix for r in run_checks(Subject(broken.GOOD, file))}
    known = eval(proposed["checksum"], {"Weights": dict})
    known |= eval(proposed["golden"], {"Weights": dict})
    results = {r.name: r for r in run_checks(Subject(changed(broken.GOOD, weights(**known)), file))}
    assert results["checksum"].status == results["golden"].status == "ok"


@pytest.mark.parametrize(("fields", "name", "says"), BROKEN.values(), ids=BROKEN.keys())
def test_a_broken_teacher_is_found(fields, name, says):
    found = findings(Subject(changed(broken.GOOD, fields)))
    assert list(found) == [name], found
    assert says in found[name].message and found[name].fix


def test_branches_and_padded_convolutions_are_no_geometry():
    assert not findings(Subject(changed(broken.GOOD, encoder("Branching"))))


def test_a_map_may_lack_cells_at_the_border():
    point = Attachment(module="fine", channels=24, layout="NCHW", stride=4)
    for stride, found in ((4, set()), (3, {"attachments"}), (5, {"attachments"})):
        points = (point.model_copy(update={"stride": stride}),)
        assert set(findings(Subject(changed(broken.GOOD, {"attachments": points})))) == found
    attachment_fits(point, (BATCH, 24, 22, 24), (96, 96))
    with pytest.raises(Finding):
        attachment_fits(point, (BATCH, 24, 21, 24), (96, 96))


def test_what_says_nothing_is_not_checked():
    first, *others = broken.GOOD.tasks
    blind = first.model_copy(update={"task": "detection", "decoder": "broken:Blind"})
    cases = {
        "readouts": classifier("Silent"),
        "original": {"tasks": (blind, *others), "original": "broken:BlindOriginal"},
    }
    for name, fields in cases.items():
        results = {r.name: r for r in run_checks(Subject(changed(broken.GOOD, fields)))}
        assert results[name].status == "not checked", results[name]
        assert not [r for r in results.values() if r.status == "finding"]


def test_decoders_without_their_tokenizer_are_not_checked():
    first, *others = broken.GOOD.tasks
    wordless = {"tasks": (first.model_copy(update={"tokenizer": "run:/no-such"}), *others)}
    results = run_checks(Subject(changed(broken.GOOD, wordless)))
    left = {r.name for r in results if "classification has no tokenizer" in r.message}
    assert left == {"frozen", "batch", "responds", "decoders", "readouts", "original"}
    for name, check in (("Counting", "frozen"), ("Crowded", "batch")):
        assert list(findings(Subject(changed(broken.GOOD, encoder(name) | wordless)))) == [check]


def test_random_weights_are_the_same_every_time():
    fields, name, _ = BROKEN["not the original"]
    found = []
    for seed in (1, 2):
        torch.manual_seed(seed)
        found.append(findings(Subject(changed(broken.GOOD, fields)))[name].message)
        assert torch.initial_seed() == seed
    assert found[0] == found[1]


@pytest.mark.parametrize(("fields", "name", "says"), BROKEN_FILE.values(), ids=BROKEN_FILE.keys())
def test_wrong_weights_are_found(fields, name, says, file):
    found = findings(Subject(changed(broken.GOOD, fields), file))
    assert list(found) == [name], found
    assert says in found[name].message and found[name].fix


def test_weights_that_do_not_fit_are_found(tmp_path):
    toy.save(toy.BASE, tmp_path / "base.safetensors")
    found = findings(Subject(broken.GOOD, tmp_path / "base.safetensors"))
    assert "do not fit" in found["weights-fit"].message


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"module": "blocks.9"}, "no module 'blocks.9'"),
        ({"channels": 47}, "instead of (2, 65, 47)"),
        ({"prefix_tokens": 0}, "instead of (2, 64, 48)"),
        ({"layout": "NCHW"}, "instead of (2, 48, 8, 8)"),
        ({"layout": "NHWC"}, "instead of (2, 8, 8, 48)"),
    ],
)
def test_wrong_attachments_are_found(fields, says):
    first, *others = toy.BASE.attachments
    points = (first.model_copy(update=fields), *others)
    assert not findings(Subject(toy.BASE))
    found = findings(Subject(changed(toy.BASE, {"attachments": points})))
    assert list(found) == ["attachments"] and says in found["attachments"].message


def test_a_canvas_that_a_short_side_makes_may_not_be_refused():
    contract = broken.GOOD.input.model_copy(update={"policy": "short-side"})
    found = findings(Subject(changed(broken.GOOD, {**encoder("Picky"), "input": contract})))
    assert "refuses a declared canvas of 96 x 112" in found["levels"].message
    assert not findings(Subject(changed(broken.GOOD, encoder("Picky"))))


DISCOVERED = """
import json
from kivfm_core.spec import TeacherSpec
@hookimpl
def kivfm_register_teachers(): return [TeacherSpec.model_validate_json({spec!r})]
"""


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("", None),
        ("import open_clip", "discovery imports open_clip"),
        ("import time; time.sleep(0.1)", "ms, the limit is 50"),
    ],
)
def test_slow_discovery_is_found(install, plugins, line, says):
    (plugins / "open_clip.py").write_text("")  # heavy by name only
    install("good", f"{line}\n" + DISCOVERED.format(spec=broken.GOOD.model_dump_json()))
    found = findings(Subject(broken.GOOD))
    assert list(found) == (["discovery"] if says else [])
    assert says is None or says in found["discovery"].message


def test_every_check_is_seen_to_find_something():
    seen = {name for _, name, _ in (*BROKEN.values(), *BROKEN_FILE.values())}
    # The others are in tests below, and in test_planted.py.
    assert seen | {"discovery", "attachments", "preprocess"} == {name_of(check) for check in CHECKS}


def test_every_check_is_described():
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    assert [row.split(" | ")[:2] for row in rows if row.count("|") == 4] == [
        [f"| `{name_of(check)}`", meaning_of(check)] for check in CHECKS
    ]
