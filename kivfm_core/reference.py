"""Code named by reference, `"package.module:function"`, imported when it is used."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from kivfm_core.errors import PluginError


def resolve_reference(reference: str) -> Any:
    """Imports what a reference names.

    Raises:
        PluginError: If the module or the name in it does not exist, or its import fails.
    """
    module, _, name = reference.partition(":")
    try:
        return getattr(import_module(module), name)
    except Exception as error:  # whatever a plugin's import may raise
        missing = getattr(error, "name", None)
        hint = (
            f"pip install {missing.split('.')[0]}"
            if isinstance(error, ModuleNotFoundError) and missing
            else ""
        )
        raise PluginError(f"cannot import {reference!r}: {error}", hint) from error
