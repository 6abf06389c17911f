"""`kivfm play` in a real browser: images, clicks, labels, thresholds, odd files, two users."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from kivfm_cli.app import main

sync = pytest.importorskip("playwright.sync_api")
Axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine"),
]
PATIENCE = 120_000  # milliseconds: the machine may be busy


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of a few steps, with its images beside it."""
    folder = tmp_path_factory.mktemp("play")
    assert main(["scenes", str(folder / "data"), "--train", "16", "--val", "4", "--seed", "0"]) == 0
    words = ["distill", "--teachers", "dino/nano,clip/nano,sam/nano,detector/nano", "--steps", "8"]
    words += ["--data", str(folder / "data/train/images"), "--out", str(folder / "run")]
    words += ["--batch-size", "4", "--image-size", "96", "--set", "data.views=1"]
    assert main([*words, "--set", "student.width=192"]) == 0
    return folder


@pytest.fixture(scope="module")
def server(folder: Path) -> Iterator[tuple[str, Any]]:
    words = [sys.executable, "-m", "kivfm_cli.app", "play", str(folder / "run"), "--no-browser"]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://127\.0\.0\.1:\d+", line)
    assert found, line + process.stdout.read()
    yield found[0], process
    if process.poll() is None:
        process.kill()
        process.wait()
    process.stdout.close()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(browser: Any, server: tuple[str, Any]) -> Iterator[Callable[..., Any]]:
    """Opens the page as another user each time; nothing may be said in the console but refusals."""
    contexts, said = [], []

    def opened(**more: Any) -> Any:
        context = browser.new_context(**more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda message: said.append(message.text))
        page.on("pageerror", lambda error: said.append(str(error)))
        page.on("request", lambda request: said.append(request.url) if far(request.url) else None)
        page.goto(server[0])
        page.locator("#samples button").first.wait_for()
        return page

    def far(url: str) -> bool:
        return not url.startswith((server[0], "data:", "blob:"))

    yield opened
    for context in contexts:
        context.close()
    assert [text for text in said if "the server responded with a status of 400" not in text] == []


def cell(page: Any, task: str, whose: str = "model") -> Any:
    return page.locator(f"[data-task={task}] figure[data-who={whose}]")


def drawn(page: Any, task: str, whose: str = "model") -> str:
    """Waits for a drawing, and gives the text of what was found."""
    own = cell(page, task, whose)
    own.locator("img").wait_for()
    page.locator("#status", has_text="Took").wait_for()
    assert own.locator("img").evaluate("image => image.naturalWidth") > 0
    return own.locator("pre").text_content()


def click(page: Any, x: float, y: float) -> None:
    box = page.locator("#stage").bounding_box()
    page.locator("#stage").click(position={"x": x * box["width"], "y": y * box["height"]})


def findings(page: Any) -> list[str]:
    found = Axe().run(page).response["violations"]
    return [f"{one['id']}: {one['nodes'][0]['html'][:200]}" for one in found]


def test_an_upload_a_click_a_label_and_a_threshold(opened: Callable[..., Any], folder: Path):
    page = opened(viewport={"width": 1280, "height": 900})
    assert findings(page) == []
    page.set_input_files("#file", folder / "data/val/images/000001.jpg")
    drawn(page, "detection")
    drawn(page, "detection", "teacher")
    assert "Click on the image" in cell(page, "promptable-segmentation").text_content()
    # A click, then one on what is not meant.
    click(page, 0.5, 0.5)
    first = drawn(page, "promptable-segmentation")
    assert first.startswith("click at") and "area" in first
    assert "area" in drawn(page, "promptable-segmentation", "teacher")
    assert page.locator("#over").is_visible()
    page.check("input[name=tool][value='0']")
    click(page, 0.2, 0.2)
    cell(page, "promptable-segmentation").locator("pre", has_text="not").wait_for(state="attached")
    page.click("#clear")
    cell(page, "promptable-segmentation").locator(".hint").wait_for()
    # A box, by dragging.
    page.check("input[name=tool][value=box]")
    box = page.locator("#stage").bounding_box()
    page.mouse.move(box["x"] + 20, box["y"] + 20)
    page.mouse.down()
    page.mouse.move(box["x"] + 150, box["y"] + 160)
    page.mouse.up()
    assert drawn(page, "promptable-segmentation").startswith("in ")
    # Class names.
    page.fill("#labels", "star, disc, star")
    assert set(re.findall("star|disc", drawn(page, "zero-shot"))) == {"star", "disc"}
    # A threshold that nothing reaches.
    page.locator("#threshold").fill("1")
    text = "nothing found"
    cell(page, "detection").locator("pre", has_text=text).wait_for(state="attached")
    cell(page, "detection", "teacher").locator("pre", has_text=text).wait_for(state="attached")
    page.uncheck("#compare")
    assert not cell(page, "detection", "teacher").is_visible()
    page.check("#features")
    page.locator("[data-task=features] img").nth(6).wait_for(state="attached")
    cell(page, "detection").locator("button").click()
    assert page.locator("#large-drawing").is_visible()
    page.keyboard.press("Escape")
    assert findings(page) == []


def test_broken_and_huge_files_are_sentences_and_the_page_goes_on(
    opened: Callable[..., Any], folder: Path
):
    page = opened()
    files = {name: folder / name for name in ("broken.jpg", "text.png", "huge.png", "wide.png")}
    files["broken.jpg"].write_bytes((folder / "data/val/images/000001.jpg").read_bytes()[:500])
    files["text.png"].write_text("no image")
    files["huge.png"].write_bytes(bytes(33 * 2**20))
    Image.new("1", (10_000, 5_000)).save(files["wide.png"])
    for name, word in (
        ("broken.jpg", "cannot be read as an image"),
        ("text.png", "cannot be read as an image"),
        ("huge.png", "at most 32 MiB"),
        ("wide.png", "10000 x 5000 pixels: at most 40 million"),
    ):
        page.set_input_files("#file", files[name])
        page.locator("#error", has_text=word).wait_for()
    page.locator("#samples button").first.click()
    drawn(page, "detection")
    assert not page.locator("#error").is_visible()


def test_two_users_at_once(opened: Callable[..., Any]):
    pages = [opened(), opened()]
    for place, page in enumerate(pages):
        page.locator("#samples button").nth(place).click()
    found = [drawn(page, "detection", "teacher") for page in pages]
    alone = opened()
    alone.locator("#samples button").nth(1).click()
    assert drawn(alone, "detection", "teacher") == found[1]
    click(pages[0], 0.5, 0.5)
    drawn(pages[0], "promptable-segmentation")
    assert "Click" in cell(pages[1], "promptable-segmentation").text_content()


def test_a_phone_in_the_dark(opened: Callable[..., Any]):
    page = opened(
        viewport={"width": 360, "height": 740}, color_scheme="dark", has_touch=True, is_mobile=True
    )
    page.locator("#samples button").nth(2).tap()
    drawn(page, "detection", "teacher")
    box = page.locator("#stage").bounding_box()
    page.locator("#stage").tap(position={"x": box["width"] / 2, "y": box["height"] / 2})
    assert drawn(page, "promptable-segmentation").startswith("click at")
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
    assert findings(page) == []


def test_by_keyboard_alone(opened: Callable[..., Any]):
    page = opened()

    def tab_to(wanted: str) -> None:
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.locator(f"{wanted}:focus").count():
                return
        raise AssertionError(f"Tab does not lead to {wanted}")

    tab_to("#file")
    tab_to("#samples button:nth-child(2)")
    page.keyboard.press("Enter")
    drawn(page, "detection")
    tab_to("#stage")
    for key in ("ArrowRight", "Shift+ArrowUp", "Enter"):
        page.keyboard.press(key)
    assert drawn(page, "promptable-segmentation").startswith("click at")
    page.keyboard.press("Backspace")
    cell(page, "promptable-segmentation").locator(".hint").wait_for()
    tab_to("input[name=tool]")
    page.keyboard.press("ArrowLeft")  # from the first to the last: a box
    page.keyboard.press("Shift+Tab")
    assert page.locator("#stage:focus").count()
    for key in ("Enter", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown", "Enter"):
        page.keyboard.press(key)
    assert drawn(page, "promptable-segmentation").startswith("in ")
    tab_to("#labels")
    page.keyboard.type("disc, star")
    drawn(page, "zero-shot")
    tab_to("#threshold")
    page.keyboard.press("End")
    cell(page, "detection").locator("pre", has_text="nothing").wait_for(state="attached")


def test_ctrl_c_ends_it_at_once_without_a_word(server: tuple[str, Any], folder: Path):
    """The last test of this file: the server is gone then."""
    _, process = server
    began = time.monotonic()
    process.send_signal(signal.SIGINT)
    assert process.wait(30) == 0
    assert time.monotonic() - began < 10
    assert process.stdout.read() == ""
