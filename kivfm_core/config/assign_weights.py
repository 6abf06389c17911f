"""Which of the files given with `--weights` are whose weights. Torch-free."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from kivfm_core.errors import UsageError
from kivfm_core.spec import TeacherSpec


def assign_weights(weights: Mapping[str, str], teachers: Sequence[TeacherSpec]) -> dict[str, str]:
    """The files given with `--weights`, by the teachers' full names.

    Args:
        weights: Files by any name of a teacher; a family's if one teacher of it is selected.
        teachers: The selected.

    Raises:
        UsageError: If a name is no selected teacher's, or two files are given for one.
    """
    assigned: dict[str, str] = {}
    for given, file in weights.items():
        # `distribution::name` pins a distribution; among the selected teachers the name is enough.
        name = given.rpartition("::")[2]
        exact = [s for s in teachers if name in (s.name, *s.aliases)]
        found = exact or [s for s in teachers if s.family == name]
        # A library's model may be selected without the tag of its weights, which its full name has:
        # `timm/resnet18` is `timm/resnet18.a1_in1k`.
        found = found or [s for s in teachers if s.name.startswith((f"{name}.", f"{name}/"))]
        if len(found) != 1:
            chosen = ", ".join(spec.name for spec in teachers)
            raise UsageError(
                f"--weights {given}=...: {len(found)} of the selected teachers have this name",
                f"one of: {chosen}",
            )
        if found[0].name in assigned:
            raise UsageError(f"two weights files are given for {found[0].name}", "give one")
        assigned[found[0].name] = file
    return assigned
