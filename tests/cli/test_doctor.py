"""`kivfm plugins` and `kivfm doctor`: what is installed, and what this machine has."""

import json
import re
import socket
import time

from two_teachers import TWO

from kivfm_core.registry.registry import get_registry


def test_no_plugins(kivfm, install, monkeypatch):
    monkeypatch.setenv("KIVFM_NO_PLUGINS", "0")  # so that it is put back
    install("two", TWO)
    listed = json.loads(kivfm("teachers", "list", "--json", "--no-plugins")[1])
    assert {teacher["distribution"] for teacher in listed["teachers"]} == {"kivfm"}


def test_plugins_and_doctor(kivfm, install, monkeypatch):
    monkeypatch.setenv("KIVFM_OFFLINE", "1")
    install("two", TWO)
    assert "two" in kivfm("plugins", "list")[1]
    install("bad", "raise RuntimeError('no luck')")

    get_registry.cache_clear()
    plugins = {
        p["distribution"]: p for p in json.loads(kivfm("plugins", "list", "--json")[1])["plugins"]
    }
    assert plugins["two"]["names"] == ["base/small", "base/tiny", "other/small"]
    assert plugins["bad"]["problems"][0]["status"] == "broken"
    code, out, _ = kivfm("doctor", "--json")
    checks = {check["what"]: check for check in json.loads(out)["checks"]}
    assert {"python", "torch", "devices", "disk", "cache", "hub", "plugin two"} <= checks.keys()
    assert code == 1 and checks["teacher bad"]["hint"] == "pip install --upgrade bad"
    assert "not contacted" in checks["hub"]["found"]
    assert re.search(r"1.0, loaded in \d+ ms", checks["plugin two"]["found"])


def test_doctor_never_waits_for_the_hub(kivfm, hub, monkeypatch):
    def found() -> str:
        checks = json.loads(kivfm("doctor", "--json")[1])["checks"]
        return next(check["found"] for check in checks if check["what"] == "hub")

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("kivfm_core.weights.hub.TIMEOUT", 1.0)
    monkeypatch.setenv("HF_ENDPOINT", hub.address)
    assert found() == "reachable"
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:1")
    assert found().startswith("out of reach: ")
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{silent.getsockname()[1]}")
        start = time.monotonic()
        assert found().startswith("out of reach: ") and time.monotonic() - start < 20
