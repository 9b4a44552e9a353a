# SPDX-License-Identifier: Apache-2.0
"""The Chinese pages lead to the same files and name the same figures as the English ones; test_readme compares the commands."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAIRS = [("README.md", "README.zh-CN.md"), ("docs/from-the-guide.md", "docs/zh/from-the-guide.md")]
pair = pytest.mark.parametrize(("english", "chinese"), PAIRS)


def links(page: str) -> set[Path]:
    """The files to which a page links, translations and originals aside."""
    targets = re.findall(r"\]\(([^)\s#]+)", (ROOT / page).read_text())
    files = {(ROOT / page).parent.joinpath(target).resolve() for target in targets}
    return files - {ROOT / page for both in PAIRS for page in both}


@pair
def test_a_translation_has_the_links_of_the_original(english: str, chinese: str) -> None:
    """A translation links to the same files as the original, all of which exist, and the two link to each other."""
    assert links(chinese) == links(english)
    assert all(path.exists() for path in links(chinese))
    for page, other in ((english, chinese), (chinese, english)):
        targets = re.findall(r"\]\(([^)\s#]+)", (ROOT / page).read_text())
        assert any((ROOT / page).parent.joinpath(target).resolve() == ROOT / other for target in targets)


@pair
def test_a_translation_has_the_figures_of_the_original(english: str, chinese: str) -> None:
    """A translation has the same sections and as many rows in each table, and names the same figures with units."""
    figure = re.compile(r"\d[\d.]* ?(?:µs|ms|MB|%)")
    texts = [(ROOT / page).read_text() for page in (english, chinese)]
    first, second = (
        (text.count("\n## "), text.count("\n| "), sorted(figure.findall(text.replace(" %", "%")))) for text in texts
    )
    assert first == second
