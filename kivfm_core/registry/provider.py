"""Specs that providers resolve, cached so that the next use imports no library. Torch-free."""

from __future__ import annotations

import hashlib
import os
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote

import platformdirs
from pydantic import ValidationError

from kivfm_core.errors import KivfmError, PluginError, UsageError, one_line
from kivfm_core.files import keep
from kivfm_core.reference import resolve_reference
from kivfm_core.registry.entry import Entry, read_entry
from kivfm_core.spec import API_VERSION, TeacherProvider, TeacherSpec


def resolve_provided(entry: Entry, provider: TeacherProvider, name: str) -> TeacherSpec:
    """The spec of a name under a provider's prefix, from the cache or from its resolver.

    Its short names are among its aliases.

    Raises:
        UsageError: If the library knows no such model.
        PluginError: If the resolver fails.
    """
    spec = _resolved(entry, provider, name)
    short = (one for one in provider.names if provider.whole(one) == spec.name)
    aliases = tuple(dict.fromkeys((*spec.aliases, *short)))
    return spec if aliases == spec.aliases else spec.model_copy(update={"aliases": aliases})


def _resolved(entry: Entry, provider: TeacherProvider, name: str) -> TeacherSpec:
    if not provider.cached:
        return _run_resolver(entry, provider, name)
    file = _cache_file(entry, provider, name)
    try:
        return TeacherSpec.model_validate_json(file.read_bytes())
    except (OSError, ValidationError):
        spec = _run_resolver(entry, provider, name)
    keep(file, spec.model_dump_json().encode())
    return spec


def _run_resolver(entry: Entry, provider: TeacherProvider, name: str) -> TeacherSpec:
    try:
        record = read_entry(resolve_reference(provider.resolve)(name), entry)
    except KivfmError:
        raise
    except Exception as error:
        # A resolver reports an unknown name by a plain LookupError. Its subclasses KeyError and
        # IndexError are bugs of the resolver.
        if type(error) is LookupError:
            raise UsageError(
                str(error) or f"no teacher is named {name!r}",
                f"{provider.prefix}NAME takes any model of {provider.distribution}",
            ) from error
        raise PluginError(
            f"{entry.distribution} cannot describe {name}: {one_line(error)}",
            f"pip install --upgrade {provider.distribution}",
        ) from error
    if record.spec is None:
        raise PluginError(f"{entry.distribution} describes {name} wrongly: {record.cause}")
    return record.spec


def _cache_file(entry: Entry, provider: TeacherProvider, name: str) -> Path:
    """The cache file of a name.

    Its folder is a hash of all that the spec depends on: the versions of plugin, library and api,
    and the file that the resolver is in.
    """
    try:
        library = version(provider.distribution)
    except PackageNotFoundError:
        library = ""
    key = f"{entry.distribution} {entry.version} {provider.distribution} {library} {API_VERSION}"
    try:
        found = find_spec(provider.resolve.partition(":")[0])
        status = os.stat(found.origin) if found and found.origin else None
    except (ImportError, OSError):
        status = None
    key += f" {status.st_mtime_ns} {status.st_size}" if status else ""
    folder = platformdirs.user_cache_path("kivfm") / "specs"
    digest = hashlib.sha256(key.encode()).hexdigest()[:16]
    return folder / digest / f"{quote(name, safe='')}.json"
