"""What the student inherits."""

import itertools

import pytest

from kivfm_core.license_kinds import Kind, is_spdx, kind_of
from kivfm_core.licenses import inherited
from kivfm_core.spec import InputContract, Level, TeacherSpec, Weights


def spec(name: str, weights: str, code: str = "MIT", use: str = "unknown") -> TeacherSpec:
    return TeacherSpec.model_validate(
        {
            "name": name,
            "encoder": "m:f",
            "levels": [Level(name="x", kind="global", channels=4)],
            "input": InputContract(policy="stretch", size=32),
            "weights": Weights(source="run:/x", split="m:f", license=weights, commercial_use=use),
            "code_license": code,
            "parameters": 7,
        }
    )


@pytest.mark.parametrize(
    ("license", "kind"),
    [
        ("CC0-1.0", Kind.PUBLIC_DOMAIN),
        ("mit", Kind.PERMISSIVE),
        ("Apache-2.0", Kind.PERMISSIVE),
        ("LGPL-2.1-or-later", Kind.WEAK_COPYLEFT),
        ("GPL-3.0", Kind.COPYLEFT),
        ("GPL-3.0-only", Kind.COPYLEFT),
        ("GPL-2.0-only WITH Classpath-exception-2.0", Kind.COPYLEFT),
        ("AGPL-3.0+", Kind.NETWORK_COPYLEFT),
        ("OpenRAIL", Kind.USE_RESTRICTED),
        ("CC-BY-NC-4.0", Kind.NON_COMMERCIAL),
        ("MIT AND CC-BY-NC-4.0", Kind.NON_COMMERCIAL),
        ("MIT OR CC-BY-NC-4.0", Kind.PERMISSIVE),
        ("(MIT OR GPL-3.0-only) AND (Apache-2.0 OR AGPL-3.0-only)", Kind.PERMISSIVE),
        ("MIT AND Frameworx-1.0", Kind.UNKNOWN),
        ("Our own license", Kind.UNKNOWN),
        ("MIT AND (", Kind.UNKNOWN),
        ("unknown", Kind.UNKNOWN),
        ("", Kind.UNKNOWN),
    ],
)
def test_kinds(license, kind):
    assert kind_of(license) is kind


def test_spdx():
    assert is_spdx("Apache-2.0") and is_spdx("MIT OR BSD-3-Clause")
    assert not is_spdx("Apache 2") and not is_spdx("") and not is_spdx("MIT AND (")


def test_the_strictest_wins_whatever_the_order():
    teachers = [spec("a", "MIT"), spec("b", "AGPL-3.0-only"), spec("c", "CC-BY-NC-4.0", "GPL-3.0")]
    for order in itertools.permutations(teachers):
        terms = inherited(order)
        assert (terms.strictest, terms.commercial_use) == ("CC-BY-NC-4.0", "no")
        assert terms.conditions[0].startswith("no commercial use")
        assert len(terms.sources) == 6 and not terms.unknown


def test_among_equals_the_one_that_asks_for_more():
    assert inherited([spec("a", "MIT"), spec("b", "Apache-2.0")]).strictest == "Apache-2.0"
    assert inherited([spec("a", "Apache-2.0"), spec("b", "MIT")]).strictest == "Apache-2.0"


def test_unknown_is_said_and_never_assumed():
    terms = inherited([spec("a", "MIT"), spec("b", "unknown", "Our own")])
    assert terms.commercial_use == "unknown" and terms.strictest == "MIT"
    assert terms.unknown == ("b weights (unknown)", "b code (Our own)")
    assert "b weights (unknown)" in terms.as_markdown()
    assert inherited([spec("a", "unknown", "unknown")]).strictest == "unknown"


@pytest.mark.parametrize(
    ("license", "declared", "use"),
    [
        ("MIT", "unknown", "yes"),
        ("MIT", "no", "no"),
        ("CC-BY-NC-4.0", "yes", "no"),
        ("Our own", "yes", "yes"),
        ("Our own", "no", "no"),
        ("Our own", "unknown", "unknown"),
    ],
)
def test_the_stricter_of_license_and_declaration(license, declared, use):
    assert inherited([spec("a", license, use=declared)]).commercial_use == use


def test_json_and_markdown():
    terms = inherited([spec("a/b", "CC-BY-4.0")])
    assert terms.as_dict()["commercial_use"] == "yes" and terms.as_dict()["unknown"] == []
    assert "| a/b | weights | CC-BY-4.0 | yes |" in terms.as_markdown()
