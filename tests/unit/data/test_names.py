from __future__ import annotations

import os

from hypothesis import given, settings
from hypothesis import strategies as st

from kivfm_core.data.names import Names


@settings(deadline=None)
@given(st.lists(st.binary().map(os.fsdecode)))
def test_names_come_out_as_they_went_in(names: list[str]):
    packed = Names.pack(names)
    assert [packed[i] for i in range(len(packed))] == names
