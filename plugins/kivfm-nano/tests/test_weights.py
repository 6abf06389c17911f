"""The weights are small enough to come with the package."""

from pathlib import Path

import pytest

import kivfm_nano

FILES = sorted((Path(kivfm_nano.__file__).parent / "weights").iterdir())


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.name)
def test_no_file_is_over_two_and_a_half_megabytes(file):
    assert 0 < file.stat().st_size <= 2.5e6


def test_there_is_one_for_each_teacher():
    names = {f"{name}.safetensors" for name in ("clip", "detector", "dino", "sam", "segmenter")}
    assert {file.name for file in FILES} == names
