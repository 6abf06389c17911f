"""A stored plan names only what is there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from kivfm_core.composition.composition import Composition


def _reads_another_map(plan: dict[str, Any]) -> None:
    own = next(aligner for aligner in plan["aligners"] if "P8" in aligner["maps"])
    own["maps"]["P3"] = own["maps"].pop("P8")


CHANGES: dict[str, Callable[[dict[str, Any]], None]] = {
    "reads P3, which the student lacks": _reads_another_map,
    "nothing is no dense level": lambda plan: plan.update(v_level="nothing"),
    "global is no dense level": lambda plan: plan.update(v_level="global"),
    "nothing is no level": lambda plan: plan.update(x_level="nothing"),
    "is no level of a teacher": lambda plan: plan["aligners"][-1].update(teacher="toybase/large"),
    "larger than a canvas": lambda plan: plan.update(trunk_size=1) or _stride(plan, 10_000),
    "its entry, its finest map": lambda plan: plan["adapter"].update(entry=23_176),
    "should have at least 1 item": lambda plan: plan.update(image_size=[]),
    "ud800' is no dense level": lambda plan: plan.update(v_level="\ud800"),
    "ud800:global' is no level": lambda plan: plan["aligners"][0].update(teacher="\ud800"),
    "is none of the teachers": lambda plan: plan.update(base="V"),
    "its strides are not": lambda plan: plan["adapter"]["strides"].__setitem__(2, 23_176),
}


def _stride(plan: dict[str, Any], stride: int) -> None:
    level = next(one for one in plan["trunk"]["levels"] if one["name"] == plan["v_level"])
    level["stride"] = stride


@pytest.mark.parametrize("message", CHANGES)
def test_what_a_plan_names_and_lacks_is_refused(composition: Composition, message: str):
    plan = composition.model_dump(mode="json")
    CHANGES[message](plan)
    with pytest.raises(ValidationError, match=message):
        Composition.model_validate(plan)


def test_a_plan_that_no_head_changed_is_written_as_before(composition: Composition):
    assert "unfrozen" not in composition.model_dump(mode="json")
    tuned = composition.model_copy(update={"unfrozen": "all"})
    assert Composition.model_validate(tuned.model_dump(mode="json")) == tuned
    assert tuned.total == composition.total == tuned.trainable
