from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from types import FunctionType

import pytest

import kivfm_core


@pytest.mark.parametrize("name", kivfm_core.__all__)
def test_public_names_stay_functions_whatever_was_imported(name: str):
    home = kivfm_core._HOME[name]
    code = (
        f"import kivfm_core; first = kivfm_core.{name}; import {home};"
        f"assert callable(first) and callable(kivfm_core.{name})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    assert isinstance(getattr(kivfm_core, name), FunctionType)


def test_no_function_shares_its_name_with_a_module():
    top = Path(kivfm_core.__file__).parent
    assert not {path.stem for path in top.iterdir()} & set(kivfm_core.__all__)


def test_the_public_names_are_shown():
    assert set(kivfm_core.__all__) <= set(dir(kivfm_core))


def test_an_unknown_name_is_an_attribute_error():
    with pytest.raises(AttributeError, match="'kivfm_core' has no attribute 'distil'"):
        kivfm_core.distil  # noqa: B018


def test_importing_the_package_is_light():
    code = "import sys, kivfm_core; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
