"""What finds words in an image: a student's shared coordinates, read as a teacher of words' level.

A teacher with a text tower knows words by its vector for a whole image. Where that vector is a part
of what all teachers share, every place of a student's has such a vector, too. So the student solves
a task that none of its teachers solves. It stands among its teachers as `words/NAME`, like a head
that nobody trained: nothing is stored for it. Torch-free.
"""

from __future__ import annotations

from collections.abc import Iterator

from kivfm_core.aligners.joint_plan import PLACES, JointIdentityPlan, JointPlan
from kivfm_core.composition.composition import Composition
from kivfm_core.composition.head import own_spec
from kivfm_core.heads.table import ENCODER
from kivfm_core.registry.heads import is_head
from kivfm_core.run_files import slug
from kivfm_core.spec import TaskSpec, TeacherSpec
from kivfm_core.tasks.open_vocabulary import OPEN_VOCABULARY
from kivfm_core.tasks.promptable_segmentation import PROMPTABLE_SEGMENTATION
from kivfm_core.tasks.text_segmentation import TEXT_SEGMENTATION
from kivfm_core.tasks.zero_shot import ZERO_SHOT

PREFIX = "words/"


def all_specs(plan: Composition) -> tuple[TeacherSpec, ...]:
    """A student's teachers, heads among them, and what finds words and the masks of words."""
    words = word_specs(plan)
    return (*plan.teachers, *words, *(m for one in words for m in _mask_specs(plan, one)))


def word_specs(plan: Composition) -> tuple[TeacherSpec, ...]:
    """What finds words in a student's shared coordinates: one for each teacher of words."""
    if plan.shared_head is None:
        return ()
    levels = {spec.name: _word_level(plan, spec) for spec in plan.teachers}
    return tuple(_spec(plan, name, level) for name, level in levels.items() if level)


def is_words(spec: TeacherSpec) -> bool:
    """Whether a spec is of what finds words, or their masks."""
    return spec.name.startswith(PREFIX) and spec.encoder == ENCODER


def word_source(spec: TeacherSpec) -> tuple[str, str]:
    """The teacher whose words are found, and the level of it that they are compared with."""
    return spec.config["teacher"], spec.config["level"]


def clicked_teacher(spec: TeacherSpec) -> str | None:
    """The teacher whose decoder gives masks where words are found, if a spec has one."""
    return spec.config.get("clicked") if is_words(spec) else None


def canvas_teacher(spec: TeacherSpec) -> str:
    """The teacher whose canvases a stand-in of this spec takes."""
    return clicked_teacher(spec) or spec.name


def _mask_specs(plan: Composition, words: TeacherSpec) -> Iterator[TeacherSpec]:
    """Masks of words, by each teacher that takes clicks: its canvases, its levels, and places."""
    for teacher in plan.teachers:
        for task in teacher.tasks:
            if task.task == PROMPTABLE_SEGMENTATION.name and not is_head(teacher):
                levels = (*words.levels, *(teacher.level(name) for name in task.levels))
                name = f"{words.name}+{slug(teacher.name)}"
                solved = TaskSpec(
                    task=TEXT_SEGMENTATION.name,
                    levels=tuple(level.name for level in levels),
                    decoder="kivfm_core.student.text_masks:TextMaskDecoders",
                    labels="open",
                )
                yield words.model_copy(
                    update={
                        "name": name,
                        "summary": f"{words.summary} And the masks of {teacher.name} there.",
                        "config": {**words.config, "clicked": teacher.name},
                        "levels": levels,
                        "input": teacher.input,
                        "tasks": (solved,),
                    }
                )


def _word_level(plan: Composition, spec: TeacherSpec) -> str | None:
    """The level that a teacher compares with words, if it is a part of what all share."""
    reads = next((task.levels for task in spec.tasks if task.task == ZERO_SHOT.name), ())
    shared = {
        aligner.level.name
        for aligner in plan.of(spec.name)
        if isinstance(aligner, JointPlan | JointIdentityPlan) and aligner.level.kind == "global"
    }
    return reads[0] if len(reads) == 1 and reads[0] in shared else None


def _spec(plan: Composition, teacher: str, level: str) -> TeacherSpec:
    assert plan.shared_head is not None
    task = TaskSpec(
        task=OPEN_VOCABULARY.name,
        levels=(PLACES,),
        decoder="kivfm_core.student.words:WordDecoders",
        labels="open",
    )
    spec = own_spec(
        plan,
        f"{PREFIX}{slug(teacher)}",
        f"The words of {teacher}, at every place.",
        (plan.shared_head.places.level,),
        task,
    )
    return spec.model_copy(update={"config": {"teacher": teacher, "level": level}})
