"""The license terms that a student inherits from its teachers' weights and code. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from kivfm_core.licenses.kinds import Kind, Use, kind_of, strictness
from kivfm_core.registry.students import original_teachers
from kivfm_core.spec import Record, TeacherSpec


class LicenseSource(Record):
    """One license that the student inherits.

    Attributes:
        teacher: The teacher's name.
        what: Whether the license is that of the weights or of the code.
        license: The license, as declared.
        commercial_use: What the license allows, or what the spec declares if that is stricter.
    """

    teacher: str
    what: Literal["weights", "code"]
    license: str
    commercial_use: Use


class Terms(Record):
    """All terms that a student inherits.

    Attributes:
        strictest: The strictest of the known licenses.
        commercial_use: `no` if it is `no` for any teacher; otherwise `unknown` if it is unknown for
            any.
        conditions: What to observe, each with the licenses that require it.
        sources: The licenses that all this follows from.
    """

    strictest: str
    commercial_use: Use
    conditions: tuple[str, ...]
    sources: tuple[LicenseSource, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """Licenses that are unknown, such as `clip/a weights (unknown)`."""
        return tuple(
            f"{source.teacher} {source.what} ({source.license})"
            for source in self.sources
            if kind_of(source.license) is Kind.UNKNOWN
        )

    def as_dict(self) -> dict[str, Any]:
        """JSON-able data."""
        return {**self.model_dump(mode="json"), "unknown": list(self.unknown)}

    def as_markdown(self) -> str:
        """The page that goes into a student's bundle."""
        lines = [
            "# Licenses",
            "",
            "This student was distilled from the teachers below and inherits their terms. "
            "What follows is collected from what they declare; it is no legal advice.",
            "",
            f"- strictest license: **{self.strictest}**",
            f"- commercial use: **{self.commercial_use}**",
            *(f"- {condition}" for condition in self.conditions),
            *(f"- unknown: {what}" for what in self.unknown),
            "",
            "| teacher | what | license | commercial use |",
            "|---|---|---|---|",
            *(
                f"| {s.teacher} | {s.what} | {s.license} | {s.commercial_use} |"
                for s in self.sources
            ),
        ]
        return "\n".join(lines) + "\n"


def inherited(specs: Iterable[TeacherSpec]) -> Terms:
    """The strictest terms among the licenses of all teachers' weights and code.

    Args:
        specs: The specs of all selected teachers, the base included.
    """
    # A student that taught inherited its own teachers' terms, and passes them on.
    sources = [source for spec in original_teachers(specs) for source in _sources(spec)]
    kinds = {source.license: kind_of(source.license) for source in sources}
    known = [name for name, kind in kinds.items() if kind is not Kind.UNKNOWN]
    uses: list[Use] = [source.commercial_use for source in sources]
    return Terms(
        strictest=max(known, key=strictness, default="unknown"),
        commercial_use=_strictest_use(uses),
        conditions=tuple(_conditions(kinds)),
        sources=tuple(sources),
    )


def _sources(spec: TeacherSpec) -> Sequence[LicenseSource]:
    declared = spec.weights.commercial_use
    by_license = kind_of(spec.weights.license).commercial_use
    # "unknown" in a spec only means that the spec is silent; then the license itself decides.
    both: tuple[Use, ...] = (declared, by_license)
    uses: list[Use] = [use for use in both if use != "unknown"] or [declared]
    weights = LicenseSource(
        teacher=spec.name,
        what="weights",
        license=spec.weights.license,
        commercial_use=_strictest_use(uses),
    )
    code = LicenseSource(
        teacher=spec.name,
        what="code",
        license=spec.code_license,
        commercial_use=kind_of(spec.code_license).commercial_use,
    )
    return weights, code


def _strictest_use(uses: Sequence[Use]) -> Use:
    if "no" in uses:
        return "no"
    return "unknown" if "unknown" in uses else "yes"


def _conditions(kinds: dict[str, Kind]) -> Iterable[str]:
    for kind in sorted(set(kinds.values()), reverse=True):
        if kind.condition:
            names = sorted(name for name, found in kinds.items() if found is kind)
            yield f"{kind.condition} ({', '.join(names)})"
