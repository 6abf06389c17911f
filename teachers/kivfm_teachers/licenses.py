"""License names as hubs write them, as SPDX identifiers."""

from __future__ import annotations

from typing import Any

SPDX = {
    "apache-2.0": "Apache-2.0",
    "mit": "MIT",
    "bsd-2-clause": "BSD-2-Clause",
    "bsd-3-clause": "BSD-3-Clause",
    "cc-by-4.0": "CC-BY-4.0",
    "cc-by-nc-4.0": "CC-BY-NC-4.0",
    "cc-by-nc-sa-4.0": "CC-BY-NC-SA-4.0",
    "cc0-1.0": "CC0-1.0",
}


def weights_license(name: str | None) -> dict[str, Any]:
    """The license fields of `Weights` for a hub's license name."""
    if not name:
        return {"license": "unknown", "commercial_use": "unknown"}
    spdx = SPDX.get(name.lower())
    if spdx is None:
        return {"license": name, "commercial_use": "unknown"}
    return {"license": spdx, "commercial_use": "no" if "-NC-" in spdx else "yes"}
