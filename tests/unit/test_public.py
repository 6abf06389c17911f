from __future__ import annotations

import subprocess
import sys

import pytest

import kivfm_core


@pytest.mark.parametrize("name", kivfm_core.__all__)
def test_public_names_stay_callable_whatever_was_imported(name: str):
    home = kivfm_core._HOME[name]
    code = (
        f"import kivfm_core; first = kivfm_core.{name}; import {home};"
        f"assert callable(first) and callable(kivfm_core.{name})"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_modules_stay_modules():
    import kivfm_core.distill.module as module

    assert module.Distillation


def test_importing_the_package_is_light():
    code = "import sys, kivfm_core; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
