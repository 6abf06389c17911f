"""Names of sources on a page."""

from __future__ import annotations

import pytest

from kivfm_core.reporting.scores import short_names


@pytest.mark.parametrize(
    ("sources", "names"),
    [
        ((), ()),
        (("/far/away/val",), ("val",)),
        (("/far/away/val/",), ("val",)),
        (("coco:/a/val.json", "/b/pets"), ("val.json", "pets")),
        (("/far/a/val", "/far/b/val"), ("a/val", "b/val")),
        (("coco:/a/val", "/a/val"), ("coco:/a/val", "/a/val")),
        (("a/val", "a/val/"), ("a/val", "a/val/")),
        (("/",), ("/",)),
    ],
)
def test_names_are_as_short_as_tells_them_apart(sources: tuple[str, ...], names: tuple[str, ...]):
    assert short_names(sources) == dict(zip(sources, names, strict=True))
