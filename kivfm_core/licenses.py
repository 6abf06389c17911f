"""What the student inherits: the strictest terms of its teachers' weights and code. Torch-free.

A table of what well-known licenses allow, and no legal advice. What is not in the table is unknown,
and unknown is said, never assumed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from enum import IntEnum
from functools import cache
from typing import Any, Literal

from license_expression import ExpressionError, get_spdx_licensing

from kivfm_core.spec import Record, TeacherSpec

Use = Literal["yes", "no", "unknown"]


class Kind(IntEnum):
    """What a license asks for, from the laxest to the strictest."""

    PUBLIC_DOMAIN = 0
    PERMISSIVE = 1
    WEAK_COPYLEFT = 2
    COPYLEFT = 3
    NETWORK_COPYLEFT = 4
    USE_RESTRICTED = 5
    UNKNOWN = 6
    NON_COMMERCIAL = 7

    @property
    def condition(self) -> str:
        """What the student's user must heed, in one clause; nothing in the public domain."""
        return _CONDITIONS[self]

    @property
    def commercial_use(self) -> Use:
        """Whether licenses of this kind allow commercial use."""
        if self is Kind.NON_COMMERCIAL:
            return "no"
        return "unknown" if self is Kind.UNKNOWN else "yes"


_CONDITIONS = {
    Kind.PUBLIC_DOMAIN: "",
    Kind.PERMISSIVE: "keep the notices and name the authors",
    Kind.WEAK_COPYLEFT: "pass changes of the licensed files on under the same license",
    Kind.COPYLEFT: "pass derived works on under the same license",
    Kind.NETWORK_COPYLEFT: "pass derived works on under the same license, over a network too",
    Kind.USE_RESTRICTED: "heed the license's list of forbidden uses, and pass it on",
    Kind.UNKNOWN: "find out what the license allows before you use or pass on the student",
    Kind.NON_COMMERCIAL: "no commercial use",
}

# By identifier in lower case, without -only and -or-later; within a kind, the laxer come first.
_KINDS = {
    Kind.PUBLIC_DOMAIN: ("cc0-1.0", "unlicense", "0bsd", "pddl-1.0"),
    Kind.PERMISSIVE: (
        *("mit-0", "bsl-1.0", "zlib", "isc", "mit", "ncsa", "hpnd", "python-2.0", "bsd-2-clause"),
        *("bsd-3-clause", "apache-2.0", "odc-by-1.0", "cc-by-3.0", "cc-by-4.0"),
    ),
    Kind.WEAK_COPYLEFT: ("mpl-2.0", "lgpl-2.1", "lgpl-3.0", "epl-2.0"),
    Kind.COPYLEFT: ("gpl-2.0", "gpl-3.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "odbl-1.0"),
    Kind.NETWORK_COPYLEFT: ("agpl-3.0", "sspl-1.0"),
    # Names without an SPDX identifier, as model hubs write them.
    Kind.USE_RESTRICTED: (
        *("openrail", "openrail++", "openrail-m", "bigscience-openrail-m", "creativeml-openrail-m"),
        *("bigscience-bloom-rail-1.0", "dinov3-license", "sam-license", "gemma", "llama3"),
    ),
    Kind.NON_COMMERCIAL: (
        *("cc-by-nc-3.0", "cc-by-nc-4.0", "cc-by-nc-sa-3.0", "cc-by-nc-sa-4.0", "cc-by-nc-nd-4.0"),
        *("apple-amlr", "apple-ascl", "fair-noncommercial-research-license", "fair-nc", "nvclv1"),
    ),
}
_TABLE = {name: kind for kind, names in _KINDS.items() for name in names}


def kind_of(license: str) -> Kind:
    """What a license asks for; of `A AND B` the stricter counts, of `A OR B` the laxer.

    Args:
        license: An SPDX expression, or a name.
    """
    kind = _lookup(license)
    if kind is Kind.UNKNOWN and is_spdx(license):
        kind = _kind_of_parsed(_spdx().parse(license))
    return kind


def _kind_of_parsed(node: Any) -> Kind:
    parts = [_kind_of_parsed(arg) for arg in getattr(node, "args", ())]
    if parts:
        return min(parts) if type(node).__name__ == "OR" else max(parts)
    # Of `A WITH exception`, A: an exception only ever permits more.
    return _lookup(str(getattr(node, "license_symbol", node).key))


def _lookup(license: str) -> Kind:
    return _TABLE.get(_normalized(license), Kind.UNKNOWN)


def _normalized(license: str) -> str:
    name = license.strip().lower().replace(" ", "-")
    for suffix in ("-only", "-or-later", "+"):
        name = name.removesuffix(suffix) if name not in _TABLE else name
    return name


def _strictness(license: str) -> tuple[Kind, int]:
    name = _normalized(license)
    return kind_of(license), list(_TABLE).index(name) if name in _TABLE else 0


@cache
def _spdx() -> Any:
    return get_spdx_licensing()


def is_spdx(license: str) -> bool:
    """Whether this is a valid SPDX expression of known identifiers."""
    try:
        return bool(license.strip()) and not _spdx().validate(license).errors
    except ExpressionError:
        return False


class Source(Record):
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
    sources: tuple[Source, ...]

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
        strictest=max(known, key=_strictness, default="unknown"),
        commercial_use=_strictest_use(uses),
        conditions=tuple(_conditions(kinds)),
        sources=tuple(sources),
    )


def _sources(spec: TeacherSpec) -> Sequence[Source]:
    declared = spec.weights.commercial_use
    by_license = kind_of(spec.weights.license).commercial_use
    # What the license says is no secret: "unknown" in a spec only means that it does not say.
    both: tuple[Use, ...] = (declared, by_license)
    uses: list[Use] = [use for use in both if use != "unknown"] or [declared]
    weights = Source(
        teacher=spec.name,
        what="weights",
        license=spec.weights.license,
        commercial_use=_strictest_use(uses),
    )
    code = Source(
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
