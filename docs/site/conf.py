# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site: every page of the checkout, in the order in which docs/README.md leads to them.

`scripts/docs` builds it. A page that nothing leads to, a link to a page, section or file that does not exist, and a block
that cannot be highlighted are errors there.
"""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

ROOT = Path(__file__).parents[2]
(REPOSITORY,) = re.findall(
    r"^Documentation=(\S+)$", (ROOT / "deploy/systemd/otel-jb.service").read_text(), re.MULTILINE
)
LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")

project = "otel_jb"
html_title = "otel_jb"
root_doc = "README"
include_patterns = ["*.md", "docs/**.md", "deploy/**.md"]
exclude_patterns = [".*", "build", "dist", "tests"]

extensions = ["myst_parser"]
source_suffix = {".md": "markdown"}
myst_heading_anchors = 4  # as GitHub names them: tests/unit/test_runbooks.py
myst_enable_extensions: list[str] = []
suppress_warnings = [
    "misc.highlighting_failure",  # its PromQL has no colon in names; promtool reads the queries (tests/unit/test_documentation.py)
]

html_theme = "furo"
html_theme_options = {"source_repository": REPOSITORY, "source_branch": "main", "source_directory": ""}
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_extra_path = ["index.html"]


def pages_linked_from(page: str) -> list[str]:
    """The pages to which a page of the checkout links, in its order."""
    path = ROOT / f"{page}.md"
    found = [(path.parent / target).resolve() for target, _ in LINK.findall(path.read_text())]
    pages = [str(one.relative_to(ROOT).with_suffix("")) for one in found if one.suffix == ".md"]
    return list(dict.fromkeys(pages))


def contents(page: str) -> list[str]:
    """What stands below a page in the table of contents."""
    decisions = "docs/adr/README"
    if page == decisions:
        return pages_linked_from(page)
    if page != root_doc:
        return []
    below = ["docs/README", *pages_linked_from("docs/README"), *pages_linked_from("docs/kubernetes"), "CHANGELOG"]
    return [one for one in dict.fromkeys(below) if one not in {root_doc, *pages_linked_from(decisions)}]


def prepare(_app: Sphinx, page: str, source: list[str]) -> None:
    """Add the table of contents, and lead what is in the checkout but no page of the site to the repository."""
    here = (ROOT / page).parent

    def to_repository(link: re.Match[str]) -> str:
        path = (here / link[1]).resolve()
        if path.suffix in {".md", ".png"} or not path.exists() or not path.is_relative_to(ROOT):
            return link[0]  # a page, a picture, or an error that the build reports
        return f"]({REPOSITORY}/blob/main/{path.relative_to(ROOT)}{link[2] or ''})"

    source[0] = LINK.sub(to_repository, source[0])
    if below := contents(page):
        lines = "\n".join(f"/{one}" for one in below)
        source[0] += f"\n\n```{{toctree}}\n:hidden:\n:maxdepth: 1\n\n{lines}\n```\n"


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("source-read", prepare)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
