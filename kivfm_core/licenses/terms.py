"""What the student inherits: the strictest terms of its teachers' weights and code. Torch-free."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Literal

from kivfm_core.licenses.kinds import Kind, Use, kind_of, strictness
from kivfm_core.spec import Record, TeacherSpec


class LicenseSource(Record):
    """One thing that the student inherits from.

    Attributes:
        teacher: The teacher's name.
        what: Its weights, or its code.
        license: As declared.
        commercial_use: What the license allows, or what the spec says if that is stricter.
    """

    teacher: str
    what: Literal["weights", "code"]
    license: str
    commercial_use: Use


class Terms(Record):
    """What the student inherits.

    Attributes:
        strictest: The license that asks for most, of those that are known.
        commercial_use: `no` if any teacher says no, else `unknown` if any is unknown.
        conditions: What to heed, each with the licenses that ask for it.
        sources: Where all this comes from.
    """

    strictest: str
    commercial_use: Use
    conditions: tuple[str, ...]
    sources: tuple[LicenseSource, ...]

    @property
    def unknown(self) -> tuple[str, ...]:
        """What nobody declared, such as `clip/a weights`."""
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
    """The strictest of all teachers' weights' and code's terms.

    Args:
        specs: Every selected teacher's, the base's too.
    """
    sources = [source for spec in specs for source in _sources(spec)]
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
    # What the license says is no secret: "unknown" in a spec only means that it does not say.
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
