"""License names as hubs write them, as the fields of `Weights`."""

from __future__ import annotations

from typing import Any

from kivfm_core.licenses.kinds import canonical, kind_of


def weights_license(name: str | None) -> dict[str, Any]:
    """The license fields of `Weights` for a hub's license name."""
    license = canonical(name or "unknown")
    return {"license": license, "commercial_use": kind_of(license).commercial_use}
