"""The documentation as a site: `make docs`.

The source folder is the repository, so that every link between pages works here as it does on a
forge. Nothing is fetched while the site is built.
"""

from __future__ import annotations

import posixpath
import re
import tomllib
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[1]

project = "kivfm"
release = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]

extensions = ["myst_parser", "sphinx_copybutton", "sphinx.ext.mathjax"]
root_doc = "docs/README"
include_patterns = ["[A-Z]*.md", "*/README.md", "docs/**.md", "benchmarks/**.md", "presets/**.md"]
exclude_patterns = [".*", "README.md", "build", "dist", "runs"]
nitpicky = True

myst_enable_extensions = ["dollarmath"]
# As forges do: every heading is an anchor, and a fence of `math` is a formula.
myst_heading_anchors = 6
myst_fence_as_directive = ["math"]

html_theme = "furo"
html_title = f"kivfm {release}"
html_copy_source = False
html_show_copyright = False
html_static_path = ["site/static"]
html_css_files = ["kivfm.css"]
# The page that a server gives first; it leads to the root document.
html_extra_path = ["site/index.html"]
copybutton_exclude = ".linenos, .gp, .go"

MEASURED = """
```{toctree}
:hidden:
:glob:

/benchmarks/**
```
"""


def setup(app: Sphinx) -> None:
    """Sphinx calls this."""
    app.connect("source-read", add_captions)
    app.connect("source-read", add_navigation)


def add_captions(app: Sphinx, page: str, source: list[str]) -> None:
    """A block with a title, the name of its file, shows it."""
    title = r'^```(\w+) title="(.+?)"$'
    source[0] = re.sub(title, r"```{code-block} \1\n:caption: \2\n", source[0], flags=re.M)


def add_navigation(app: Sphinx, page: str, source: list[str]) -> None:
    """The sidebar has what the lists of the root document link, under the same headings."""
    if page == root_doc:
        source[0] += "".join(navigation(source[0]))
    elif page == "docs/results":
        source[0] += MEASURED


def navigation(text: str) -> list[str]:
    """A hidden table of contents for each heading of the root document."""
    parts = re.split(r"^## (.+)$", text, flags=re.M)
    found: list[str] = []
    for heading, section in zip(parts[1::2], parts[2::2], strict=True):
        links = re.findall(r"^- \[[^]]+\]\(([^)]+)\.md\)", section, re.M)
        pages = "\n".join("/" + posixpath.normpath(f"docs/{link}") for link in links)
        found.append(f"\n```{{toctree}}\n:hidden:\n:caption: {heading}\n\n{pages}\n```\n")
    return found
