"""What is saved in a format is read back equal; 500 sets: `python -m benchmarks.use.labels`."""

from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.use.label_sets import check_round_trip, label_sets
from kivfm_core.data.saving.table import SAVERS


@pytest.mark.parametrize("name", SAVERS)
def test_saved_labels_read_back_equal(name: str):
    @settings(max_examples=15, deadline=None)
    @given(st.data())
    def check(data: st.DataObject):
        with TemporaryDirectory() as folder:
            check_round_trip(name, data.draw(label_sets(name)), Path(folder) / "labels")

    check()
