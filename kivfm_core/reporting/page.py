"""The page of a run: one file of HTML that needs nothing else, and no network."""

from __future__ import annotations

import json
from base64 import b64encode
from datetime import UTC, datetime
from hashlib import sha256
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kivfm_core.errors import KivfmError, UsageError, escaped, printable
from kivfm_core.files import write_text
from kivfm_core.licenses.terms import inherited
from kivfm_core.reporting.curves import draw_curves
from kivfm_core.reporting.facts import Facts, read_facts
from kivfm_core.reporting.gallery import Gallery
from kivfm_core.reporting.history import History, read_history
from kivfm_core.reporting.scores import BASE_WHOSE, MORE, WHOSE, columns, read_scores
from kivfm_core.run_files import REPORT, REPORT_RECORD, RunFiles
from kivfm_core.text import count, duration, percent, size

if TYPE_CHECKING:
    from jinja2 import Environment

# What a page says of itself, within its first bytes.
GENERATOR, HEAD = '<meta name="generator" content="kivfm ', 2048

# Curves have so many colors; after these, the same ones are dashed.
COLORS = 8


def write_report(
    run: str | Path,
    out: str | Path | None = None,
    gallery: Gallery | None = None,
    follow: int = 0,
) -> Path:
    """Writes the page of a run, finished or not.

    Args:
        run: The run folder.
        out: The file; `report.html` in the run folder by default. One that is there is replaced.
        gallery: Images for the page. Without `out`, what was measured for them is written to
            `report.json` in the run folder.
        follow: A browser loads the page anew after so many seconds; 0: it does not.

    Returns:
        The file.

    Raises:
        UsageError: If the folder is no run, a record is damaged, or `out` is there and no page.
        KivfmError: If Jinja2 is not installed.
    """
    files = RunFiles(Path(run))
    file = files.path / REPORT if out is None else Path(out)
    if out is not None:
        keep_other_files(file)
    write_text(file, render_page(files, gallery, follow))
    if gallery is not None and out is None:
        write_text(files.path / REPORT_RECORD, json.dumps(gallery.as_dict(), indent=1))
    return file


def keep_other_files(file: Path) -> None:
    """Refuses to write over what is no page of kivfm's: an image, say.

    Raises:
        UsageError: If such a file is there.
    """
    if file.is_file():
        with file.open("rb") as there:
            begins = there.read(HEAD)
        if begins and GENERATOR.encode() not in begins:
            raise UsageError(
                f"{printable(file)} is there already, and is no page of kivfm's",
                "give another file",
            )


def render_page(run: RunFiles, gallery: Gallery | None = None, follow: int = 0) -> str:
    """The page of a run, as HTML.

    Args:
        run: The run.
        gallery: As `write_report` takes it.
        follow: As `write_report` takes it.

    Raises:
        UsageError: If the folder is no run, or a record is damaged.
        KivfmError: If Jinja2 is not installed.
    """
    pages = open_templates()
    # An extra: only those who write pages have it.
    from markupsafe import Markup

    # Escaped, it would be another script; its hash is all that the page's policy lets run.
    script = Path(__file__).with_name("page.js").read_text(encoding="utf-8")
    return pages.get_template("page.html").render(
        _content(run),
        gallery=gallery,
        follow=follow,
        script=Markup(script),
        script_hash=b64encode(sha256(script.encode()).digest()).decode(),
    )


def open_templates() -> Environment:
    """The pages' templates, with what they write numbers by.

    Raises:
        KivfmError: If Jinja2 is not installed.
    """
    if find_spec("jinja2") is None:
        raise KivfmError("jinja2 is not installed", "pip install 'kivfm[report]'")
    # An extra: only those who write pages have it.
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    pages = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,  # names come from strangers
        undefined=StrictUndefined,
        finalize=_written_out,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    pages.filters |= {"count": count, "duration": duration, "percent": percent, "size": size}
    pages.filters |= {"score": _score, "ends": _ends, "share": _share}
    return pages


def _content(run: RunFiles) -> dict[str, Any]:
    """What the template takes."""
    facts, history, scores = read_facts(run), read_history(run), read_scores(run)
    step = max(history.step, run.steps)
    return {
        "name": run.path.resolve().name,
        "facts": facts,
        "step": step,
        "state": _state(facts),
        "terms": inherited(facts.plan.origins),
        "scores": scores,
        "whose": columns(scores.rows, WHOSE) if scores else {},
        "more": columns(scores.rows, MORE) if scores else {},
        "base_whose": columns(scores.base, BASE_WHOSE) if scores else {},
        "history": history,
        "charts": _charts(facts, history, step),
        # A curve keeps its color in every drawing.
        "colors": {spec.name: i for i, spec in enumerate(facts.plan.teachers)},
        "color_count": COLORS,
        "now": datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        "version": version("kivfm"),
    }


def _state(facts: Facts) -> str:
    if not facts.is_done:
        return "unfinished"
    return "failed" if facts.costs and facts.costs.failed else "finished"


def _charts(facts: Facts, history: History, last: int) -> list[dict[str, Any]]:
    """The drawings that there are, each with its heading and what its values are."""
    own = [teacher.spec.name for teacher in facts.teachers if teacher.native]
    others = [teacher.spec.name for teacher in facts.teachers if not teacher.native]
    kinds = (
        ("loss", "Losses", "loss", history.losses, others),
        ("gradient", "Gradients", "gradient norm", history.gradients, others),
        ("base", "Loss of the base", "loss", history.losses, own),
    )
    drawn = [
        (key, title, unit, draw_curves({name: of[name] for name in names if name in of}, last))
        for key, title, unit, of, names in kinds
    ]
    tried = {name: head.scores for name, head in facts.heads.items() if head}
    most = max((head.steps for head in facts.heads.values() if head), default=0)
    drawn.append(("head", "Heads", "validation score", draw_curves(tried, most)))
    return [
        {"key": key, "title": title, "unit": unit, "chart": chart}
        for key, title, unit, chart in drawn
        if chart is not None
    ]


def _written_out(value: object) -> object:
    """A text with what is none of a page's characters written out, as it is on a terminal."""
    return escaped(value) if type(value) is str else value


def _score(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"


def _ends(interval: tuple[float, float] | None, show: str = "score") -> str:
    """An interval in words; empty if there is none."""
    if interval is None:
        return ""
    low, high = map(percent if show == "percent" else _score, interval)
    return f"{low} to {high}"


def _share(value: float) -> str:
    """A score's place on a bar, in 0..100."""
    return f"{100 * min(1.0, max(0.0, value)):.4g}"
