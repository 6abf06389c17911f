"""The report page in a real browser: what is drawn, what can be switched, who can use it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import kivfm_core
from kivfm_core.config import build_config
from kivfm_core.reporting.figures.encode import encode
from kivfm_core.reporting.gallery import Comparison, Figure, Gallery, Pair, Row
from kivfm_core.reporting.page import write_report
from kivfm_core.run_files import COSTS, ENVIRONMENT, EVALUATION, METRICS
from kivfm_core.runs.run import Run

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
TEACHERS = ("dino/nano", "clip/nano", "detector/nano")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here: apt install chromium"),
    pytest.mark.skipif(
        not all(map(find_spec, ("playwright", "axe_playwright_python"))),
        reason="needs playwright and axe-playwright-python",
    ),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield opened
        opened.close()


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that has only begun."""
    config = build_config(None, {"teachers": ",".join(TEACHERS), "optim.steps": 300})
    path = tmp_path_factory.mktemp("browser") / "a run"
    Run(path).write_plan(config, kivfm_core.compose(config).composition)
    return path


@pytest.fixture(scope="module")
def unfinished(run: Path) -> Path:
    return write_report(run, run.parent / "unfinished.html", follow=60)


@pytest.fixture(scope="module")
def finished(run: Path, unfinished: Path) -> Path:
    """The page of the same run with all of its records, and drawings."""
    lines = [
        {
            "step": step,
            "losses": {name: (i + 1) / step for i, name in enumerate(TEACHERS)},
            "pulls": dict.fromkeys(TEACHERS, 1 / step),
        }
        for step in range(10, 310, 10)
    ]
    (run / METRICS).write_text("\n".join(map(json.dumps, lines)))
    row = {
        **{"teacher": "detector/nano", "task": "detection", "metric": "box AP", "data": "val"},
        **{"teacher_score": 0.9, "student_score": 0.8, "untrained_score": 0.1, "gain": 0.87},
        **{"retention": 0.89, "student_interval": [0.7, 0.9], "chance_score": 0.0, "pictures": 9},
    }
    summary = {f"{kind}_{of}": 0.9 for kind in ("retention", "gain") for of in ("mean", "min")}
    records = {
        EVALUATION: {"rows": [row], "base": [], "summary": summary},
        COSTS: {"took_seconds": 9.0, "costs": [{"name": "learning", "took_seconds": 5.0}]},
        ENVIRONMENT: {"argv": ["kivfm", "distill"], "packages": {"torch": "2"}, "weights": {}},
        "student/student.json": {},
    }
    for name, record in records.items():
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text(json.dumps(record))
    return write_report(run, run.parent / "finished.html", gallery())


def gallery() -> Gallery:
    """Drawings of noise, as many as a run of three teachers has."""
    noise = np.random.default_rng(0).integers(0, 256, (96, 128, 3), np.uint8)

    def figure(alt: str, side: int = 160) -> Figure:
        return Figure(Image.fromarray(noise), alt, side, "0.90 a star; 0.71 a disc")

    pair = Pair("a.jpg", 0.25, figure("What the teacher finds"), figure("What the student finds"))
    scores = {"a.jpg": 0.25, "b.jpg": 0.75}  # equal scores would be one heading
    names = (*TEACHERS, "student")
    row = Row("a.jpg", figure("The image"), {name: (figure(name),) * 4 for name in names})
    made = Gallery(
        **{"data": "photos", "images": 8, "available": 80, "features": [row], "neighbors": [row]},
        compared=[Comparison("clip/nano", "zero-shot", "top-1", 0.5, scores, [pair], [pair])],
        common={"clip/nano": 0.5},
        notes=["sam is left out: its weights are not on this machine."],
    )
    encode([*made.figures()])
    return made


@pytest.fixture(params=["finished", "unfinished"])
def page_file(request: pytest.FixtureRequest) -> Path:
    return request.getfixturevalue(request.param)


@pytest.fixture
def visit(browser: Any) -> Iterator[Any]:
    """Opens a file; a message on the console or a request is a failure."""
    said, urls, contexts = list[str](), list[str](), list[Any]()

    def visit(file: Path, width: int = 1280, scheme: str = "light", **more: Any) -> Any:
        viewport = {"width": width, "height": 900}
        context = browser.new_context(viewport=viewport, color_scheme=scheme, **more)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: urls.append(request.url))
        page.goto(file.as_uri())
        said.extend(url for url in urls if url != file.as_uri() and not url.startswith("data:"))
        urls.clear()
        return page

    yield visit
    for context in contexts:
        context.close()
    assert said == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1280])
def test_a_page_fits_and_everybody_can_use_it(page_file, visit, width, scheme):
    from axe_playwright_python.sync_playwright import Axe

    page = visit(page_file, width, scheme, bypass_csp=True)  # axe is a script, too
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    found = Axe().run(page).response["violations"]
    bad = [(one["id"], [n["html"][:200] for n in one["nodes"]][:3]) for one in found
           if one["impact"] in ("serious", "critical")]  # fmt: skip
    assert not bad


def test_every_chart_has_marks_and_every_image_is_shown(finished, visit):
    page = visit(finished)
    charts = page.locator("figure.curves svg[role=img]")
    assert charts.count() >= 2
    for chart in charts.all():
        boxes = [curve.bounding_box() for curve in chart.locator(".curve").all()]
        assert boxes and all(box["width"] > 50 for box in boxes)
    for bars in page.locator("svg.bars").all():
        assert bars.locator("rect.student").first.bounding_box()["width"] > 5
    widths = page.evaluate("[...document.images].map(image => image.naturalWidth)")
    assert len(widths) == 2 * 2 + 2 * (1 + 4 * 4) and min(widths) > 0


def test_a_name_is_switched_off_by_mouse_and_keyboard(finished, visit):
    page = visit(finished)
    figure = page.locator("figure.curves").first
    box = figure.get_by_role("checkbox", name="clip/nano")
    curve = figure.locator(".curve", has_text="clip/nano")
    assert curve.is_visible()
    box.click()
    assert not curve.is_visible() and figure.locator(".curve:visible").count() >= 1
    box.focus()
    page.keyboard.press("Space")
    assert curve.is_visible()


def test_values_under_the_pointer_are_those_of_the_record(finished, visit):
    page = visit(finished)
    figure = page.locator("figure.curves").first
    plot, said = figure.locator("svg[role=img]"), figure.locator(".readout")
    assert not said.is_visible()
    box = plot.bounding_box()
    plot.hover(position={"x": box["width"] * 100 / 300, "y": box["height"] / 2})
    text = said.inner_text()
    assert text.startswith("Step 100: ") and "clip/nano 0.0200" in text
    figure.get_by_role("checkbox", name="clip/nano").uncheck()
    plot.hover(position={"x": box["width"] * 100 / 300, "y": box["height"] / 2})
    assert "clip/nano" not in said.inner_text()


def test_without_scripts_names_can_still_be_switched_off(finished, visit):
    page = visit(finished, java_script_enabled=False)
    figure = page.locator("figure.curves").first
    figure.get_by_role("checkbox", name="clip/nano").uncheck()
    assert not figure.locator(".curve", has_text="clip/nano").is_visible()


def test_a_page_that_follows_its_run_can_be_stopped(unfinished, finished, visit):
    box = visit(unfinished).get_by_role("checkbox", name="Load this page anew")
    assert box.is_visible() and box.is_checked()
    assert visit(finished).locator("#follow").count() == 0


def test_it_is_printed_on_few_pages(page_file, visit, tmp_path):
    page = visit(page_file)
    file = tmp_path / "page.pdf"
    page.pdf(path=str(file), format="A4")
    content = file.read_bytes()
    assert content.startswith(b"%PDF") and 1 <= content.count(b"/Type /Page\n") <= 12


def test_on_paper_the_student_is_drawn_from_left_to_right(finished, visit):
    page = visit(finished, 700)  # a page of A4 is as narrow
    page.emulate_media(media="print")
    left = [box["x"] for box in (s.bounding_box() for s in page.locator(".flow .stage").all())]
    assert len(left) == 4 and left == sorted(set(left))
