"""The spec of a student that teaches: its features, stand-ins' levels, decoders. Torch-free.

All follows from the student's own plan, which the spec carries: whoever learned from it needs
neither its run nor its folder any more, except to compute its levels.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, lcm
from pathlib import Path

from kivfm_core.composition.composition import Composition, stored_composition
from kivfm_core.licenses.terms import inherited
from kivfm_core.registry.students import DECODER, ENCODER, SPLIT, find_bundle, student_name
from kivfm_core.run_files import DECODERS, STUDENT_CARD, STUDENT_STATE, read_record, slug
from kivfm_core.spec import InputContract, Level, TaskSpec, TeacherSpec, Weights

# A canvas is at most so many times as long as its short side: a panorama takes no more memory.
LONGEST = 2


@dataclass(frozen=True)
class Part:
    """A decoder of one of the student's own teachers.

    Attributes:
        teacher: The teacher, its tasks those of this decoder alone.
        part: Its name among that teacher's decoders.
        levels: What the student calls the teacher's levels, by the teacher's names.
    """

    teacher: TeacherSpec
    part: str
    levels: dict[str, str]


def resolve(folder: str) -> TeacherSpec:
    """The spec of the student in a run's folder, or in a bundle's.

    Raises:
        LookupError: If there is none.
        UsageError: If its card is damaged.
        PluginError: If a teacher's plugin is missing, or the card names code that is not its own.
    """
    bundle = find_bundle(folder)
    if bundle is None:
        raise LookupError(f"{folder} is no folder with a student")
    card, state = bundle / STUDENT_CARD, bundle / STUDENT_STATE
    plan = stored_composition(read_record(card).get("composition"), card)
    spec, made = student_teacher(plan, student_name(bundle)), parts(plan)
    # Tokenizers that the bundle brings are as good as the hub's, and need no network.
    tasks = tuple(
        _with_tokenizer(task, bundle / DECODERS / slug(made[task.part].teacher.name))
        for task in spec.tasks
    )
    size = state.stat().st_size if state.is_file() else None
    weights = spec.weights.model_copy(update={"bytes": size or None})
    return spec.model_copy(update={"tasks": tasks, "weights": weights})


def student_teacher(composition: Composition, name: str) -> TeacherSpec:
    """The spec of a student that teaches.

    Where several of its teachers solve a task, the first one's decoder comes along.

    Args:
        composition: The student's plan.
        name: What it is called.
    """
    terms, tasks = inherited(composition.origins), dict[str, TaskSpec]()
    for name_of, part in parts(composition).items():
        for task in part.teacher.tasks:
            own = {
                "levels": tuple(part.levels[level] for level in task.levels),
                "decoder": DECODER,
                "part": name_of,
            }
            tasks.setdefault(task.task, task.model_copy(update=own))
    every = {need for spec in composition.teachers for need in spec.requirements}
    return TeacherSpec(
        name=name,
        summary=f"a student of {', '.join(spec.name for spec in composition.distilled)}",
        encoder=ENCODER,
        config={"composition": composition.model_dump(mode="json")},
        levels=_levels(composition),
        input=_finest(composition),
        tasks=tuple(tasks.values()),
        weights=Weights(
            source=f"run:{name}",
            split=SPLIT,
            license=terms.strictest,
            commercial_use=terms.commercial_use,
        ),
        code_license=terms.strictest,
        requirements=tuple(sorted(every)),
        parameters=composition.total,
    )


def own_composition(spec: TeacherSpec) -> Composition:
    """The plan of a student that teaches, which its spec carries."""
    return Composition.model_validate(spec.config["composition"])


def level_names(composition: Composition, teacher: str) -> dict[str, str]:
    """What a student calls the levels of one of its teachers.

    Its base's own levels are its features x and V, and a head's are its features of these names:
    they are not taught twice.
    """
    return {
        plan.level.name: plan.feature or f"{teacher}/{plan.level.name}"
        for plan in composition.of(teacher)
    }


def parts(composition: Composition) -> dict[str, Part]:
    """All decoders of a student, by their names as a teacher's."""
    found: dict[str, Part] = {}
    for spec in composition.teachers:
        levels = level_names(composition, spec.name)
        for part in dict.fromkeys(task.part for task in spec.tasks):
            tasks = tuple(task for task in spec.tasks if task.part == part)
            # Names of modules have no dots.
            name = f"{spec.name}:{part}".replace(".", "_")
            found[name] = Part(spec.model_copy(update={"tasks": tasks}), part, levels)
    return found


def _levels(composition: Composition) -> tuple[Level, ...]:
    taught = {
        name: plan.level.model_copy(update={"name": name})
        for plan in composition.aligners
        if not plan.native
        for name in [level_names(composition, plan.teacher)[plan.level.name]]
    }
    maps = (Level(kind="dense", **plan.model_dump()) for plan in composition.maps)
    x = Level(name="x", kind="global", channels=composition.x_channels)
    return (x, *maps, *taught.values())


def _finest(composition: Composition) -> InputContract:
    """Canvases of the image's shape, as fine as the finest of its stand-ins' own.

    So none of its tasks sees less than in its own teacher's role. It teaches on the canvases that
    it was trained on.
    """
    trained = whole_images(composition)
    sides = [spec.input.resize or spec.input.size for spec in composition.teachers]
    size = ceil(max(sides) / trained.multiple) * trained.multiple
    shape = {"policy": "short-side", "size": size, "max_size": LONGEST * size}
    return trained.model_copy(update=shape)


def whole_images(composition: Composition) -> InputContract:
    """Whole images on canvases of the size that the student was trained on.

    A crop would do for a base's features, but not for the tasks of all teachers.
    """
    multiple = lcm(*(spec.input.multiple for spec in composition.teachers))
    # The stand-in of a teacher whose canvases were larger in training takes them smaller.
    largest = max(composition.image_size) / min([1.0, *composition.scales.values()])
    size = ceil(largest / multiple) * multiple
    smaller = {side for side in composition.image_size if side % multiple == 0} - {size}
    return composition.trunk.input.model_copy(
        update={
            "policy": "letterbox",
            "size": size,
            "max_size": None,
            "resize": None,
            "multiple": multiple,
            "train_sizes": (size, *sorted(smaller, reverse=True)),
        }
    )


def _with_tokenizer(task: TaskSpec, folder: Path) -> TaskSpec:
    kept = folder.absolute() / task.task
    return task.model_copy(update={"tokenizer": f"run:{kept}"}) if kept.is_dir() else task
