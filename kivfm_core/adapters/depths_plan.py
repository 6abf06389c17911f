"""The base's maps at several depths: which they are, without torch."""

from __future__ import annotations

from typing import Any, ClassVar, Literal, Self

from pydantic import model_validator

from kivfm_core.adapters.plan import AdapterPlan, AdapterRequest, MapPlan, Source, spread

# Depths of the base, V's included.
DEPTHS = 4
# Maps of finer strides than this, in pixels, take more memory than they are worth.
FINEST = 4


class DepthsPlan(AdapterPlan):
    """The base's maps at three depths before V, and its dense levels beside V, all as they are.

    Nothing is trained: a student of this kind shows what its base knows by itself.

    Attributes:
        levels: The base's dense levels beside V.
        rounding: How the size of the maps at attachment points follows from the canvas: as V's.
    """

    module: ClassVar[str] = "kivfm_core.adapters.depths:DepthsAdapter"

    kind: str = "depths"
    levels: tuple[MapPlan, ...] = ()
    rounding: Literal["ceil", "floor"] = "ceil"

    @model_validator(mode="after")
    def _names_differ(self) -> Self:
        names = ["x", "V", *(plan.name for plan in self.maps)]
        if len(set(names)) < len(names):
            raise ValueError(f"two of the maps {', '.join(names)} have one name")
        return self

    @classmethod
    def plan(cls, request: AdapterRequest) -> Self:
        """Plans the maps of a base; it has no width."""
        fine_enough = [place for place in request.attachments if place.stride >= FINEST]
        return cls(
            taps=spread(fine_enough, DEPTHS)[:-1],  # the deepest is V
            levels=request.levels,
            rounding=request.v.rounding,
        )

    @property
    def reads(self) -> tuple[Source, ...]:
        """Attachment points, shallow to deep, then levels."""
        return (*self.attachments, *self.levels)

    @property
    def maps(self) -> tuple[MapPlan, ...]:
        """The maps that it offers beside V, in the order of `reads`."""
        depths = (
            MapPlan(name=f"D{number}", channels=place.channels, stride=place.stride,
                    rounding=self.rounding)
            for number, place in enumerate(self.attachments, 1)
        )  # fmt: skip
        return (*depths, *self.levels)

    @property
    def outline(self) -> dict[str, Any]:
        """The attachments and the levels that it reads."""
        taps = [place.module for place in self.attachments]
        return {"taps": taps, "levels": [plan.name for plan in self.levels]}
