"""The model card of a bundle: what a student is, for people and for model hubs. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from kivfm_core.composition.composition import Composition, stored_composition
from kivfm_core.errors import UsageError, one_line, printable
from kivfm_core.files import write_text
from kivfm_core.licenses.terms import Terms, inherited
from kivfm_core.registry.heads import is_head
from kivfm_core.registry.registry import get_tasks
from kivfm_core.registry.students import original_teachers
from kivfm_core.run_files import STUDENT_CARD, read_record
from kivfm_core.spec import TeacherSpec
from kivfm_core.tasks.table import FIDELITY
from kivfm_core.text import percent
from kivfm_core.weights.locate import HubPath

# In a bundle.
MODEL_CARD = "README.md"

# Licenses that hubs know by these names; others are described in words.
_ON_HUBS = {
    *("apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "isc", "unlicense", "cc0-1.0"),
    *("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
    *("mpl-2.0", "lgpl-3.0", "gpl-3.0", "agpl-3.0"),
}

_TEXT = """# A kivfm student of {teachers}

{about}

{trainable:,} trained parameters of {total:,}; base: {base}.

## What it was made from

| teacher | solves | weights | license of the weights |
|---|---|---|---|
{sources}

{data}

## How to use it

```sh
pip install {packages}
```

```python
from kivfm_core import load

student = load("{name}")
features = student.features("photo.jpg")
{predict}```

{command}
## Scores

{scores}

{samples}## What it cannot do

- It solves the tasks above and no others, with the classes that its teachers know, or, zero-shot,
  with those that it is given.
- It imitates its teachers: what they get wrong, it gets wrong, and it is rarely better than they
  are. On images unlike those that it was distilled on, it differs more from them than scores say.
- Nobody has examined whom its errors affect. Where an error harms someone, measure it there first,
  with `kivfm evaluate`.

## License

{terms}
[LICENSES.md](LICENSES.md) has the terms of every teacher.
"""


# What a head's training changed beside the head.
_UNFROZEN = {
    "none": "",
    "adapter": " The adapter was trained on these labels, too: stand-ins differ from what they"
    " were when they were distilled.",
    "all": " The whole encoder was trained on these labels, too: its weights are not those that"
    " the makers of its base published, and no stand-in equals its teacher.",
}


class TrainedOn(BaseModel):
    """The images that a student was distilled on, as its bundle tells others.

    Attributes:
        folder: The folder's name, without its path.
        images: How many it held.
    """

    model_config = ConfigDict(strict=True, frozen=True)

    folder: str
    images: int = Field(ge=0)


def write_card(
    bundle: Path, evaluation: Mapping[str, Any] | None, name: str, samples: str = ""
) -> None:
    """Writes a bundle's model card.

    Args:
        bundle: Its folder.
        evaluation: Its scores, as `evaluation.json` holds them; None if there are none.
        name: What others load it by.
        samples: A section with predictions that it shows.

    Raises:
        UsageError: If the bundle is damaged.
        PluginError: If the plugin of one of its teachers is missing.
    """
    file = bundle / STUDENT_CARD
    record = read_record(file)
    plan = stored_composition(record.get("composition"), file)
    write_text(bundle / MODEL_CARD, model_card(plan, record, evaluation or {}, name, samples))


def trained_on(record: Mapping[str, Any]) -> TrainedOn | None:
    """The images that a bundle's record names; None if it is older, and names none.

    Raises:
        UsageError: If it is damaged.
    """
    try:
        return TrainedOn.model_validate(record["data"]) if record.get("data") else None
    except ValidationError as error:
        raise UsageError(f"{STUDENT_CARD} is damaged: {printable(one_line(error))}") from error


def model_card(
    plan: Composition,
    record: Mapping[str, Any],
    evaluation: Mapping[str, Any],
    name: str,
    samples: str = "",
) -> str:
    """A model card: metadata as hubs read it, then the text.

    Args:
        plan: The student's.
        record: Its bundle's: packages and data.
        evaluation: As `evaluation.json` holds it; empty if there is none.
        name: What the student is loaded by.
        samples: A section with predictions that it shows.
    """
    terms, data = inherited(plan.origins), trained_on(record)
    easy = _without_prompt(plan.teachers)
    text = _TEXT.format(
        teachers=", ".join(spec.name for spec in plan.distilled),
        about=_what_it_is(plan), trainable=plan.trainable, total=plan.total,
        base=plan.base or "none",
        sources="\n".join(_row(*_about(spec, plan)) for spec in plan.origins),
        data=f"Distilled on {data.images:,} images of `{printable(data.folder)}`." if data else "",
        packages=" ".join(map(printable, sorted({"kivfm", *record.get("distributions", {})}))),
        name=name, samples=samples,
        predict=f'found = student.predict("photo.jpg", "{easy}")\n' if easy else "",
        command=f"```sh\nkivfm predict {name} photo.jpg --task {easy}\n```\n" if easy else "",
        scores="\n".join(_scores(evaluation)), terms="\n".join(_terms(terms)),
    )  # fmt: skip
    return f"---\n{_metadata(plan, terms, evaluation)}\n---\n\n{text}"


def _what_it_is(plan: Composition) -> str:
    """Where the encoder and the heads come from, for the card's first lines."""
    heads = [spec.name for spec in plan.teachers if is_head(spec)]
    if plan.is_teacher_alone and not plan.trains_trunk:
        text = "A frozen vision encoder as its makers published it; nothing was distilled."
    elif plan.is_teacher_alone:
        text = "A published vision encoder; nothing was distilled."
    else:
        text = (
            f"One vision encoder that was distilled with kivfm from {len(plan.distilled)} frozen"
            " teachers, without labels. It stands in for each of them, with its decoders."
        )
    if heads:
        text += f" Trained on labels: {', '.join(heads)}."
    return text + _UNFROZEN[plan.unfrozen]


def _metadata(plan: Composition, terms: Terms, evaluation: Mapping[str, Any]) -> str:
    # The hub's library takes a while to import, and lists and plans need no card.
    from huggingface_hub import EvalResult, ModelCardData

    solved = dict.fromkeys(_on_hub(task.task) for spec in plan.teachers for task in spec.tasks)
    ids = map(_hub_id, original_teachers(plan.origins))
    sources = list(dict.fromkeys(found for found in ids if found))
    license = terms.strictest.lower()
    known = license in _ON_HUBS and not terms.unknown
    results = [
        EvalResult(
            task_type=_on_hub(row["task"]), dataset_type=_last(row["data"]),
            dataset_name=_last(row["data"]), metric_type=row["metric"],
            metric_value=row["student_score"],
            metric_name=f"{row['metric']}, {row['task']}, in place of {row['teacher']}",
            metric_args=_sure(row.get("student_interval")),
        )
        for row in evaluation.get("rows", ()) if row["task"] != FIDELITY
    ]  # fmt: skip
    data = ModelCardData(
        library_name="kivfm",
        pipeline_tag="image-feature-extraction",
        tags=["kivfm", "distillation", *solved],
        base_model=sources or None,
        license=license if known else "other",
        license_name=None if known else "see-licenses-md",
        license_link=None if known else "LICENSES.md",
        eval_results=results or None,
        model_name="kivfm student" if results else None,
    )
    return data.to_yaml()


def _on_hub(task: str) -> str:
    record = get_tasks().get(task)
    return record.hub if record and record.hub else task


def _hub_id(spec: TeacherSpec) -> str | None:
    source = spec.weights.source
    return HubPath.of(source).repository if source.startswith("hf:") else None


def _about(spec: TeacherSpec, plan: Composition) -> tuple[str, ...]:
    solves = ", ".join(task.task for task in spec.tasks) or "features only"
    if spec not in plan.teachers:
        solves = "what the trunk started from"
    return spec.name, solves, _hub_id(spec) or spec.weights.source, spec.weights.license


def _without_prompt(specs: Iterable[TeacherSpec]) -> str | None:
    """A task that takes nothing but an image; None if there is none."""
    tasks = get_tasks()
    names = (task.task for spec in specs for task in spec.tasks)
    return next((n for n in names if n in tasks and tasks[n].prompt is None), None)


def _scores(evaluation: Mapping[str, Any]) -> list[str]:
    if not evaluation:
        return ["It was not measured yet."]
    lines = [
        "Its scores beside its teachers', by one code, on the same images.", "",
        "| in place of | task | metric | data | images | the teacher | the student | retention |",
        "|---|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    for row in evaluation["rows"]:
        about = (row["teacher"], row["task"], row["metric"], _last(row["data"]))
        scores = (_score(row, "teacher"), _score(row, "student"))
        lines.append(_row(*about, _images(row), *scores, percent(row["retention"])))
    if evaluation["base"]:
        lines += [
            "",
            "| features | data | images | the base | the student |",
            "|---|---|---|---|---|",
        ]
    for row in evaluation["base"]:
        scores = (_score(row, "base"), _score(row, "student"))
        lines.append(_row(row["metric"], _last(row["data"]), _images(row), *scores))
    if evaluation.get("draws"):
        lines += ["", "±: half of the 95 % interval, from drawing the images anew."]
    return lines


def _terms(terms: Terms) -> list[str]:
    return [
        f"- strictest license that it inherits: {terms.strictest}",
        f"- commercial use: {terms.commercial_use}",
        *(f"- {condition}" for condition in terms.conditions),
        *(f"- unknown: {what}" for what in terms.unknown),
        "",
    ]


def _row(*cells: str) -> str:
    return f"| {' | '.join(printable(cell).replace('|', '/') for cell in cells)} |"


def _images(row: Mapping[str, Any]) -> str:
    number = row.get("pictures")
    return "-" if number is None else f"{number:,}" + (" (a part)" if row.get("limit") else "")


def _score(row: Mapping[str, Any], whose: str) -> str:
    """A score, with half of its interval where that is known; `-` if there is none."""
    score, ends = row[f"{whose}_score"], row.get(f"{whose}_interval")
    half = f" ± {(ends[1] - ends[0]) / 2:.3f}" if ends else ""
    return "-" if score is None else f"{score:.3f}{half}"


def _sure(ends: Sequence[float] | None) -> dict[str, Any] | None:
    """A score's interval, where hubs keep what a metric was computed with."""
    return {"interval": list(ends), "confidence": 0.95} if ends else None


def _last(path: str) -> str:
    """The last name of a path: where data lie on one's own disk is nobody's business."""
    parts: Sequence[str] = path.rstrip("/").split("/")
    return parts[-1]
