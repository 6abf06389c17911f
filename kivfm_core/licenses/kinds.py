"""What well-known licenses allow: a table, not legal advice. Torch-free.

A license that is not in the table is reported as unknown; nothing is assumed about it.
"""

from __future__ import annotations

from enum import IntEnum
from functools import cache
from typing import Any, Literal

from license_expression import get_spdx_licensing

Use = Literal["yes", "no", "unknown"]


class Kind(IntEnum):
    """What a license requires, from the laxest to the strictest."""

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
        """What users of the student must observe, in one clause; empty in the public domain."""
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

# By identifier in lower case, without -only, -or-later and -license. The order matters: within a
# kind, laxer licenses come first. Licenses without an SPDX identifier have the names that model
# hubs use.
_KINDS = {
    Kind.PUBLIC_DOMAIN: ("cc0-1.0", "unlicense", "0bsd", "pddl-1.0"),
    Kind.PERMISSIVE: (
        *("mit-0", "bsl-1.0", "zlib", "isc", "mit", "ncsa", "hpnd", "python-2.0", "bsd-2-clause"),
        *("bsd-3-clause", "afl-3.0", "apache-2.0", "cdla-permissive-2.0", "odc-by-1.0"),
        *("cc-by-2.0", "cc-by-2.5", "cc-by-3.0", "cc-by-4.0"),
    ),
    Kind.WEAK_COPYLEFT: ("mpl-2.0", "lgpl-2.1", "lgpl-3.0", "epl-2.0"),
    Kind.COPYLEFT: ("gpl-2.0", "gpl-3.0", "cc-by-sa-3.0", "cc-by-sa-4.0", "odbl-1.0"),
    Kind.NETWORK_COPYLEFT: ("agpl-3.0", "sspl-1.0"),
    Kind.USE_RESTRICTED: (
        *("openrail", "openrail++", "openrail-m", "bigscience-openrail-m", "bigcode-openrail-m"),
        *("creativeml-openrail-m", "bigscience-bloom-rail-1.0", "nvidia-open-model", "gemma"),
        *("llama2", "llama3", "llama3.1", "llama3.2", "llama3.3", "llama4", "dinov3", "sam"),
    ),
    Kind.NON_COMMERCIAL: (
        *(
            f"cc-by-nc{more}-{n}"
            for more in ("", "-sa", "-nd")
            for n in ("2.0", "2.5", "3.0", "4.0")
        ),
        *("apple-amlr", "fair-noncommercial-research", "fair-nc", "nvclv1"),
    ),
}
_TABLE = {name: kind for kind, names in _KINDS.items() for name in names}


def kind_of(license: str) -> Kind:
    """What a license requires; of `A AND B` the stricter counts, of `A OR B` the laxer.

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
    # Of `A WITH exception`, A counts: an exception only permits more.
    return _lookup(str(getattr(node, "license_symbol", node).key))


def _lookup(license: str) -> Kind:
    return _TABLE.get(_normalized(license), Kind.UNKNOWN)


def _normalized(license: str) -> str:
    name = license.strip().lower().replace(" ", "-").removeprefix("licenseref-")
    for suffix in ("-license", "-only", "-or-later", "+"):
        name = name.removesuffix(suffix) if name not in _TABLE else name
    return name


def strictness(license: str) -> tuple[Kind, int]:
    """The sort key of licenses, from the laxest to the strictest."""
    name = _normalized(license)
    return kind_of(license), list(_TABLE).index(name) if name in _TABLE else 0


@cache
def _spdx() -> Any:
    return get_spdx_licensing()


def is_spdx(license: str) -> bool:
    """Whether this is a valid SPDX expression of known identifiers."""
    try:
        return _spdx().parse(license, validate=True) is not None
    except Exception:  # The parser raises its own error, and on `()` another.
        return False


def canonical(license: str) -> str:
    """An SPDX expression in SPDX's spelling; any other name unchanged."""
    return str(_spdx().parse(license)) if is_spdx(license) else license
