"""Writes the README's images of a finished run: teachers beside their student, and its report.

kivfm demo --out /tmp/demo
kivfm report /tmp/demo --data /tmp/demo-data/val/images --labels star,ring,heart,gear,arrow
python scripts/readme_figures.py /tmp/demo /tmp/demo-data/val/images/000003.jpg --click 59,90
"""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path
from typing import Any

from PIL import Image, ImageDraw, ImageFont

from kivfm_core.data.canvas import make_canvases
from kivfm_core.models.open import open_model
from kivfm_core.models.student_model import StudentModel
from kivfm_core.prediction.feature_colors import components, paint, turned
from kivfm_core.prediction.predict import predict, read_image
from kivfm_core.predictions import maps_to_original
from kivfm_core.teacher import Encoder

FIGURES = Path(__file__).parents[1] / "docs/figures"
TASKS = {
    "detection": "boxes",
    "instance-segmentation": "masks",
    "semantic-segmentation": "segments",
    "promptable-segmentation": "clicks",
}
# Pixels: an image's width, and the room around images and for a line of text.
WIDTH, GAP, LINE = 300, 10, 34
INK, SOFT = "#1c1f24", "#5b6270"


def main() -> None:
    """Reads the command line, and writes the three files."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("image", type=Path)
    parser.add_argument("--click", default="59,90")
    given = parser.parse_args()
    x, y = map(float, given.click.split(","))
    draw_side_by_side(given.run, given.image, (x, y)).save(
        FIGURES / "teachers-and-student.webp", quality=85, method=6
    )
    take_screenshots(given.run / "report.html")
    for file in sorted(FIGURES.glob("*.webp")):
        print(f"written: {file} ({file.stat().st_size // 1024} KiB)")


def draw_side_by_side(run: Path, image: Path, click: tuple[float, float]) -> Image.Image:
    """The teachers above, one student below; a column a task, the last one of dense features."""
    model = open_model(run)
    assert isinstance(model, StudentModel) and model.base is not None
    columns: list[tuple[str, str, list[Image.Image]]] = []
    for task, words in TASKS.items():
        spec = next(s for s in model.specs if task in {t.task for t in s.tasks})
        more: dict[str, Any] = {"points": [click]} if "prompt" in task else {}
        rivals = (model.teacher(spec.name), model.solver(spec.name))
        found = [predict(rival, image, task, **more) for rival in rivals if rival]
        columns.append((words, spec.name, [_plain(p.draw(), (p.height, p.width)) for p in found]))
    colors = _features(model, image)
    columns.append(("features", model.base, colors))
    return _composed(columns)


def _plain(drawing: Image.Image, size: tuple[int, int]) -> Image.Image:
    """A drawing without the legend below it."""
    return drawing.crop((0, 0, drawing.width, drawing.width * size[0] // size[1]))


def _features(model: StudentModel, file: Path) -> list[Image.Image]:
    pixels = read_image(file)

    def seen(encoder: Encoder, level: str) -> Any:
        canvases, frames = make_canvases([pixels], encoder.spec.input)
        (scores,) = components([encoder.encode(canvases, frames)[level][0]])
        return maps_to_original(scores, frames[0])

    base = model.teacher(model.base or "")
    assert base is not None
    own = seen(model.encoder, "V")
    first = seen(base, model.composition.v_level or "V")
    return [Image.fromarray(c) for c in paint([first, *turned([own], [first])])]


def _composed(columns: list[tuple[str, str, list[Image.Image]]]) -> Image.Image:
    """One image of all columns, with their headings and the names of both rows."""
    height = WIDTH * columns[0][2][0].height // columns[0][2][0].width
    size = (GAP + len(columns) * (WIDTH + GAP), 4 * LINE + 2 * height + GAP)
    whole = Image.new("RGB", size, "white")
    brush = ImageDraw.Draw(whole)
    big, small = ImageFont.load_default(22), ImageFont.load_default(17)
    rows = (f"{len({name for _, name, _ in columns})} teachers, a network each", "one student")
    tops = (2 * LINE, 3 * LINE + height + GAP // 2)
    for words, top in zip(rows, tops, strict=True):
        brush.text((GAP, top - LINE + 2), words, fill=INK, font=big)
    for place, (words, name, images) in enumerate(columns):
        x = GAP + place * (WIDTH + GAP)
        brush.text((x, 6), words, fill=SOFT, font=small)
        for image, top in zip(images, tops, strict=True):
            whole.paste(image.resize((WIDTH, height), Image.Resampling.LANCZOS), (x, top))
        brush.text((x, tops[1] + height + 4), f"in the place of {name}", fill=SOFT, font=small)
    return whole


def take_screenshots(page: Path) -> None:
    """The scores of a report in light colors, and what its networks see in dark ones."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        for name, scheme, section in (
            ("report-scores", "light", "#scores"),
            ("report-networks", "dark", "h3:has-text('detection')"),
        ):
            opened = browser.new_page(viewport={"width": 1100, "height": 760}, color_scheme=scheme)
            opened.goto(page.resolve().as_uri())
            opened.locator(section).first.evaluate("e => e.scrollIntoView()")
            shot = FIGURES / f"{name}.png"
            opened.screenshot(path=shot)
            Image.open(shot).save(shot.with_suffix(".webp"), quality=80, method=6)
            shot.unlink()
        browser.close()


if __name__ == "__main__":
    main()
