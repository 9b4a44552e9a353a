# SPDX-License-Identifier: Apache-2.0
"""Alerts and their runbooks, docs/runbooks.md."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "runbooks.md").read_text()
RULES = yaml.safe_load((ROOT / "deploy" / "prometheus" / "rules" / "alerts.yml").read_text())
ALERTS = {rule["alert"]: rule for group in RULES["groups"] for rule in group["rules"]}


def anchors(text: str) -> set[str]:
    """The anchors that GitHub gives to a page's headings."""
    headings = re.findall(r"^#+ (.+)$", text, re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("name", ALERTS)
def test_every_alert_links_to_its_runbook(name: str) -> None:
    """Every alert's runbook_url is an existing section of docs/runbooks.md in the project's repository."""
    (project,) = re.findall(
        r"^Documentation=(\S+)$", (ROOT / "deploy/systemd/otel-jb.service").read_text(), re.MULTILINE
    )
    url, _, anchor = ALERTS[name]["annotations"]["runbook_url"].partition("#")
    assert url == f"{project}/blob/main/docs/runbooks.md"
    assert anchor == name.lower()
    assert anchor in anchors(PAGE)


def test_every_runbook_belongs_to_an_alert() -> None:
    """docs/runbooks.md has a section for each alert, in the order of the rules, and no other section."""
    assert re.findall(r"^## (.+)$", PAGE, re.MULTILINE) == list(ALERTS)


def test_runbooks_say_what_the_alert_means_and_what_to_do() -> None:
    """Each section says what the alert means and whom it affects, and has at least two numbered steps."""
    for section in PAGE.split("\n## ")[1:]:
        name = section.split("\n", 1)[0]
        assert "**Means:**" in section, name
        assert "**Impact:**" in section, name
        assert len(re.findall(r"^\d\. ", section, re.MULTILINE)) >= 2, name
