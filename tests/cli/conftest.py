"""What tests of commands share."""

import pytest

from kivfm_cli import app


@pytest.fixture
def kivfm(capsys, monkeypatch, tmp_path):
    """Runs a command line in an empty folder; gives (exit code, stdout, stderr)."""
    monkeypatch.chdir(tmp_path)

    def run(*words: str) -> tuple[int, str, str]:
        code = app.main(words)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return run
