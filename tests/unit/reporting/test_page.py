"""The page of a run, read as a browser reads it."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from pathlib import Path

import pytest

from kivfm_core.errors import KivfmError, UsageError
from kivfm_core.reporting import page
from kivfm_core.reporting.page import render_page, write_report
from kivfm_core.run_files import COMPOSITION, ENVIRONMENT, EVALUATION, METRICS

BASE, PURPOSE = "toybase/small", "toypurpose/small"
VOID = {"meta", "input", "br", "link", "img", "hr"}


class Reader(HTMLParser):
    """Text, tags and attributes of a page; every element is closed in its place."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()
        assert not self.open

    def handle_starttag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("style", "script"):
            self.text += data

    def of(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]


def check_script(html):
    """There is one script, kivfm's own, and the page's policy lets no other run."""
    scripts = re.findall("<script(.*?)>(.*?)</script>", html, re.DOTALL)
    own = Path(page.__file__).with_name("page.js").read_text(encoding="utf-8")
    assert scripts == [("", own)] and len(re.findall("<script", html, re.IGNORECASE)) == 1
    digest = b64encode(sha256(own.encode()).digest()).decode()
    policy = next(a["content"] for a in Reader(html).of("meta") if "default-src" in str(a))
    assert policy.split("; ")[-1] == f"script-src 'sha256-{digest}'"


def test_every_row_is_there_with_its_numbers(finished):
    text = Reader(render_page(finished)).text
    for number in (
        *("0.912", "0.401", "0.833", "0.333", "91.3 %", "84.5 %", "123", "119 objects"),
        *("0.654", "0.321", "49.1 %", "77", "0.777", "0.766", "70.2 %"),
        *("0.881 to 0.937", "0.792 to 0.871", "87.1 % to 95.6 %"),
    ):
        assert number in text, number
    assert "4 images of val cannot be decoded" in text
    assert "Not measured: toybase/small, knn: no data for it" in text


def test_the_student_is_drawn_with_its_parts_and_their_shapes(finished):
    html = render_page(finished)
    drawing = re.search('<figure class="flow".*?</figure>', html, re.DOTALL)
    assert drawing
    text = " ".join(Reader(drawing[0]).text.split())
    plan = finished.read_composition()
    for name in (BASE, PURPOSE, "adapter: side", "the base, frozen", "x:", "V:", "P8:"):
        assert name in text, name
    side = plan["image_size"][0]
    assert f"3 x {side} x {side}" in text and f" x {side // 8} x {side // 8}" in text


def test_scores_are_bars_with_intervals_and_chance(finished):
    bars = [a for a in Reader(render_page(finished)).of("rect") if a.get("class") == "student"]
    assert {"83.3", "32.1", "76.6"} <= {a["width"] for a in bars}
    html = render_page(finished)
    assert 'class="ends" d="M79.2 25H87.1"' in html and 'class="chance" d="M33.3 0V30"' in html


def test_rows_of_earlier_versions_without_intervals_are_shown(finished, write):
    record = json.loads(finished.evaluation_file.read_text())
    record["rows"] = [
        {k: v for k, v in row.items() if not k.endswith("_interval") and k != "chance_score"}
        for row in record["rows"]
    ]
    write(EVALUATION, record)
    html = render_page(finished)
    assert "0.833" in html and "95 % interval" not in html and 'class="chance"' not in html


def test_every_teacher_has_its_curve(finished):
    curves = re.findall(r'class="curve[^>]* d="([^"]+)"><title>([^<]+)<', render_page(finished))
    named = [name for _, name in curves]
    assert set(named) == {BASE, PURPOSE}
    losses = next(path for path, name in curves if name == PURPOSE)
    assert losses.count("L") == 3  # the untrained student, and three lines
    assert "Gradients" in Reader(render_page(finished)).text


def test_what_the_student_is_where_time_went_and_how_to_redo_it(finished, composition):
    text = " ".join(Reader(render_page(finished)).text.split())
    assert "toy-run" in text and "The run is finished: 30 steps" in text
    for spec in composition.teachers:
        assert spec.name in text
    assert "fine: 24 x 24 x 24" in text  # a canvas of 96 pixels, a stride of 4
    assert "1.5 min" not in text and "90 s" in text and "a tin can" in text
    assert "50.0 %" in text and "321" in text and "15 s" in text  # the rest
    assert "CC-BY-NC-4.0" in text and "no commercial use" in text
    assert "kivfm distill --out 'my run'" in text and "/somewhere" not in text
    assert "batch_size = 4" in text and "torch 9.8.7" in text and "ab" * 32 in text


def test_an_unfinished_run_says_so(unfinished, write):
    text = " ".join(Reader(render_page(unfinished)).text.split())
    assert "The run is unfinished: 0 of 6 steps" in text
    assert "There is no evaluation" in text and "No steps are recorded yet" in text
    write(METRICS, [{"step": 4, "untrained": {PURPOSE: 2.0}, "losses": {PURPOSE: 1.0}}])
    with (unfinished.path / METRICS).open("a") as file:
        file.write('\n{"step": 5, "loss')  # a kill
    text = " ".join(Reader(render_page(unfinished)).text.split())
    assert "4 of 6 steps" in text and "Losses" in text


def test_a_failed_run_says_why(finished, write):
    write("costs.json", {"took_seconds": 3.0, "failed": "it diverged"})
    text = Reader(render_page(finished)).text
    assert "The run failed." in text and "it diverged" in text


HOSTILE = "<script>alert(1)</script>\"'><img src=//evil onerror=x>\x1b[31m"


def test_names_from_strangers_are_text(finished, write):
    plan = json.loads((finished.path / COMPOSITION).read_text().replace(PURPOSE, "evil/name"))
    plan["teachers"][1]["weights"]["license"] = HOSTILE
    plan["teachers"][1]["code_license"] = HOSTILE
    write(COMPOSITION, plan)
    record = json.loads(finished.evaluation_file.read_text())
    record["skipped"] = [HOSTILE]
    for row in record["rows"]:
        row |= {"teacher": HOSTILE, "task": HOSTILE, "data": HOSTILE, "metric": HOSTILE}
    write(EVALUATION, record)
    write(METRICS, [{"step": 1, "losses": {HOSTILE: 1.0}, "untrained": {HOSTILE: 2.0}}])
    write(ENVIRONMENT, {"argv": [HOSTILE, HOSTILE], "packages": {HOSTILE: HOSTILE}})
    html = render_page(finished)
    read = Reader(html)
    check_script(html)
    assert not read.of("img")
    assert not [a for _, a in read.elements if any(name.startswith("on") for name in a)]
    assert "alert(1)" in read.text and "\x1b" not in html


def test_nothing_is_loaded(finished):
    html = render_page(finished)
    read = Reader(html)
    for tag, attributes in read.elements:
        assert not {"src", "href", "srcset", "xlink:href", "action"} & set(attributes), tag
    assert not re.search(r"https?:|url\(|@import|<link|fetch|XMLHttp|import\(", html)
    assert any("default-src 'none'" in (a.get("content") or "") for a in read.of("meta"))
    check_script(html)


def test_the_page_can_be_read_by_a_screen_reader(finished):
    read = Reader(render_page(finished))
    assert len(read.of("table")) == len(read.of("caption")) and len(read.of("h1")) == 1
    images = [a for a in read.of("svg") if a.get("role") == "img"]
    assert images and all(a.get("aria-label") or a.get("aria-labelledby") for a in images)
    assert all(a.get("role") == "img" or a.get("aria-hidden") for a in read.of("svg"))
    identifiers = [a["id"] for _, a in read.elements if "id" in a]
    assert len(identifiers) == len(set(identifiers))


def test_a_long_run_is_a_small_page(finished, write):
    steps = range(10, 200_010, 10)
    write(METRICS, [{"step": s, "losses": {BASE: 1 / s, PURPOSE: 2 / s}} for s in steps])
    html = render_page(finished)
    assert len(html) < 100_000 and "A point is the mean of up to 40 lines" in html


def test_many_notes_are_cut_and_counted(finished, write):
    write(EVALUATION, {**json.loads(finished.evaluation_file.read_text()), "notes": ["n"] * 70})
    html = render_page(finished)
    assert html.count("<li>n</li>") == 50 and "20 more, in evaluation.json" in html


def test_a_link_in_place_of_a_record_is_not_followed(finished, tmp_path):
    other = (finished.path / METRICS).rename(tmp_path / "elsewhere")
    (finished.path / METRICS).symlink_to(other)
    assert "No steps are recorded yet" in render_page(finished)


@pytest.mark.parametrize(
    ("name", "key", "value"),
    [
        (EVALUATION, "skipped", [1]),
        (EVALUATION, "rows", [{"teacher_score": "high"}]),
        (COMPOSITION, "image_size", "large"),
        (ENVIRONMENT, "packages", ["torch"]),
    ],
)
def test_a_damaged_record_is_named(finished, write, name, key, value):
    write(name, {**json.loads((finished.path / name).read_text()), key: value})
    with pytest.raises(UsageError, match=rf"{name} is damaged"):
        render_page(finished)


def test_the_page_is_written_whole_and_replaced(finished, tmp_path):
    file = write_report(finished.path)
    assert file == finished.path / "report.html"
    file.write_text("old")
    assert write_report(finished.path).read_text(encoding="utf-8").endswith("</html>\n")
    other = write_report(finished.path, tmp_path / "other.html")
    assert other.read_text(encoding="utf-8").startswith("<!doctype html>")


def test_no_run_and_no_jinja2_have_hints(finished, tmp_path, monkeypatch):
    with pytest.raises(UsageError, match="no run folder"):
        write_report(tmp_path)
    monkeypatch.setattr(page, "find_spec", lambda name: None)
    with pytest.raises(KivfmError, match="jinja2") as error:
        write_report(finished.path)
    assert error.value.hint == "pip install 'kivfm[report]'"


def test_data_have_short_names_and_their_paths_once(finished, write):
    record = json.loads(finished.evaluation_file.read_text())
    for row in (*record["rows"], *record["base"]):
        row["data"] = "coco:/a/path/that/is/far/too/long/for/a/column/photos/val"
    write(EVALUATION, record)
    html = render_page(finished)
    assert html.count("<small>on val</small>") == len(record["rows"] + record["base"])
    assert html.count("Data: val is coco:/a/path/") == 1


def test_averages_have_their_intervals(finished, write):
    record = json.loads(finished.evaluation_file.read_text())
    record["summary"]["retention_mean_interval"] = [0.61, 0.79]
    write(EVALUATION, record)
    text = " ".join(Reader(render_page(finished)).text.split())
    assert "on average (95 % interval: 61.0 % to 79.0 %), " in text


def test_a_page_replaces_pages_alone(finished, tmp_path):
    image, own = tmp_path / "a.jpg", tmp_path / "a.html"
    image.write_bytes(b"no page")
    with pytest.raises(UsageError, match="is there already, and is no page of kivfm's"):
        write_report(finished.path, image)
    assert image.read_bytes() == b"no page"
    write_report(finished.path, own)
    own.write_text(own.read_text(encoding="utf-8") + "<!-- old -->", encoding="utf-8")
    write_report(finished.path, own)
    assert "<!-- old -->" not in own.read_text(encoding="utf-8")
