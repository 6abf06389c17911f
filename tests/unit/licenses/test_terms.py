"""What the student inherits."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kivfm_core.licenses.kinds import Kind, canonical, is_spdx, kind_of, strictness
from kivfm_core.licenses.terms import inherited
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
        ("CC-BY-NC-ND-2.0", Kind.NON_COMMERCIAL),
        ("fair-noncommercial-research-license", Kind.NON_COMMERCIAL),
        ("dinov3-license", Kind.USE_RESTRICTED),
        ("DINOv3 License", Kind.USE_RESTRICTED),
        ("LicenseRef-DINOv3", Kind.USE_RESTRICTED),
        ("SAM License", Kind.USE_RESTRICTED),
        ("llama3.2", Kind.USE_RESTRICTED),
        ("Apache-2.0 license", Kind.PERMISSIVE),
        ("LicenseRef-Ours", Kind.UNKNOWN),
        ("apple-ascl", Kind.UNKNOWN),
        ("CC-BY-ND-4.0", Kind.UNKNOWN),
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


def test_names_are_written_as_spdx_writes_them():
    assert canonical("apache-2.0") == "Apache-2.0" and canonical("gpl-3.0") == "GPL-3.0-only"
    assert canonical("dinov3-license") == "dinov3-license" and canonical("") == ""


LICENSES = st.sampled_from(
    ["CC0-1.0", "MIT", "Apache-2.0", "MPL-2.0", "GPL-3.0-only", "AGPL-3.0-only", "dinov3-license",
     "Our own", "unknown", "CC-BY-NC-4.0", "Frameworx-1.0"]
)  # fmt: skip
USES = st.sampled_from(["yes", "no", "unknown"])
TEACHERS = st.lists(
    st.builds(spec, st.sampled_from(["a/b", "c/d", "e/f"]), LICENSES, LICENSES, USES), min_size=1
)
STRICTER = ("yes", "unknown", "no")


@given(TEACHERS, st.randoms())
def test_the_order_of_teachers_does_not_matter(teachers, random):
    terms = inherited(teachers)
    shuffled = random.sample(teachers, len(teachers))
    other = inherited(shuffled)
    assert (terms.strictest, terms.commercial_use) == (other.strictest, other.commercial_use)
    assert sorted(terms.conditions) == sorted(other.conditions)
    assert sorted(terms.unknown) == sorted(other.unknown)


@given(TEACHERS, TEACHERS)
def test_another_teacher_never_frees_from_anything(teachers, more):
    few, many = inherited(teachers), inherited([*teachers, *more])
    assert STRICTER.index(many.commercial_use) >= STRICTER.index(few.commercial_use)
    if few.strictest != "unknown":
        assert strictness(many.strictest) >= strictness(few.strictest)
    assert set(many.unknown) >= set(few.unknown)
    clauses = {text.partition(" (")[0] for text in many.conditions}
    assert clauses >= {text.partition(" (")[0] for text in few.conditions}


@given(TEACHERS)
def test_commercial_use_is_allowed_only_where_each_said_so(teachers):
    terms = inherited(teachers)
    assert len(terms.sources) == 2 * len(teachers)
    if terms.commercial_use == "yes":
        for teacher in teachers:
            assert kind_of(teacher.code_license).commercial_use == "yes"
            said = (teacher.weights.commercial_use, kind_of(teacher.weights.license).commercial_use)
            assert "yes" in said and "no" not in said


@given(LICENSES.filter(is_spdx), LICENSES.filter(is_spdx))
def test_and_asks_for_both_or_for_one(one, other):
    both = (kind_of(one), kind_of(other))
    assert kind_of(f"{one} AND {other}") == kind_of(f"{other} AND {one}") == max(both)
    assert kind_of(f"{one} OR {other}") == kind_of(f"{other} OR {one}") == min(both)


@given(st.one_of(st.text(max_size=20), st.text("()'ANDORWITHmit-+ .0", max_size=12)))
def test_what_nobody_knows_is_unknown(name):
    if kind_of(name) is Kind.UNKNOWN:
        terms = inherited([spec("a/b", name)])
        assert terms.commercial_use == "unknown" and terms.unknown == (f"a/b weights ({name})",)


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
