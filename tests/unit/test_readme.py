# SPDX-License-Identifier: Apache-2.0
"""The README and the pages about metrics and architecture: what they name exists, and their tables are the program's."""

from __future__ import annotations

import argparse
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest

import otel_jb
from otel_jb.catalog import FunctionProfile, load
from otel_jb.catalog.spec import Role
from otel_jb.cli import exitcodes, main
from otel_jb.cli.words import with_command
from otel_jb.config.model import Config
from otel_jb.config.yamlfile import parse
from otel_jb.model.instruments import Kind
from otel_jb.telemetry.instruments import INSTRUMENTS, SELF_INSTRUMENTS

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
METRICS = (ROOT / "docs" / "metrics.md").read_text()
#: The pages that have their names from the code; the others are tested where they belong.
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "docs/README.md",
    "docs/architecture.md",
    "docs/from-the-guide.md",
    "docs/is-it-the-network.md",
    "docs/kubernetes.md",
    "docs/metrics.md",
    "docs/runbooks.md",
    *sorted(str(path.relative_to(ROOT)) for path in (ROOT / "docs" / "adr").glob("*.md")),
)
#: Names in docs/from-the-guide.md and in the README that are the guide's programs, functions and tools, not ours.
METRIC = re.compile(r"\b(?:jitterbuffer|otel_jb|rtp|process)_[a-z_]+\b")


def commands() -> dict[str, argparse.ArgumentParser]:
    parser = main._parser([])
    (subparsers,) = (action for action in parser._actions if isinstance(action, argparse._SubParsersAction))
    return dict(subparsers.choices)


def code_blocks(text: str, *languages: str) -> Iterator[str]:
    for indent, language, block in re.findall(r"^( *)```(\w*)\n(.*?)^ *```$", text, re.MULTILINE | re.DOTALL):
        if language in languages:
            yield re.sub(f"^{indent}", "", block, flags=re.MULTILINE)


def command_lines(text: str) -> Iterator[list[str]]:
    """The words of every otel-jb command in shell blocks and in inline code."""
    lines = [line.removeprefix("$ ") for block in code_blocks(text, "sh", "console") for line in block.splitlines()]
    lines += re.findall(r"`([^`\n]+)`", re.sub(r"^ *```.*?^ *```$", "", text, flags=re.MULTILINE | re.DOTALL))
    for line in lines:
        found = re.match(r"(?:sudo )?(?:scripts/|\.venv/bin/)?otel-jb (.+)", line)
        if found:
            yield shlex.split(found[1], comments=True)


def metric_names() -> set[str]:
    names = set()
    for instrument in (*INSTRUMENTS, *SELF_INSTRUMENTS):
        names.add(instrument.prometheus)
        if instrument.kind is Kind.HISTOGRAM:
            names |= {instrument.prometheus + suffix for suffix in ("_bucket", "_sum", "_count")}
    return names


def table_names(text: str) -> set[tuple[str, str, str]]:
    """(OpenTelemetry's name, Prometheus' name, kind) of each row of the page's metric tables."""
    return set(re.findall(r"^\| `([a-z_.]+)` \| `([a-z_]+)` \| (\w+) \|", text, re.MULTILINE))


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/architecture.md",
        "docs/configuration.md",
        "docs/from-the-guide.md",
        "docs/kubernetes.md",
        "docs/metrics.md",
        "docs/runbooks.md",
        "docs/troubleshooting.md",
        ".github/ISSUE_TEMPLATE/bug.yml",
        ".github/ISSUE_TEMPLATE/server.yml",
    ],
)
def test_commands_parse(page: str) -> None:
    """Every otel-jb command that a page shows has a command and options that exist."""
    known = commands()
    text = (ROOT / page).read_text()
    for words in command_lines(text):
        name, *arguments = words
        if name == "COMMAND":
            continue
        if name.startswith("-"):  # an option in the command's place means run
            name, arguments = with_command(words)[0], words
        assert name in known, words
        options = [word.split("=")[0] for word in arguments if word.startswith("--")]
        offered = {option for action in known[name]._actions for option in action.option_strings}
        assert set(options) <= offered, words


def test_readme_shows_commands() -> None:
    """The README shows every command of the program, and its first block is the three that a newcomer needs."""
    shown = [words[0] for words in command_lines(README)]
    assert shown[:3] == ["demo", "discover", "run"]
    assert set(commands()) <= set(shown)


def test_readme_claims_of_each_server_what_its_profiles_yield() -> None:
    """The table of servers has every shipped profile, and each cell says what those profiles can measure."""
    functions: dict[str, list[FunctionProfile]] = {}
    for function in load().functions():
        functions.setdefault(function.profile, []).append(function)
    del functions["srs-unreleased"]  # names that no server has
    rows = re.findall(r"^\| [^|]+ \| (`[^|]+`) \| (.*) \| [^|]+ \|$", README, re.MULTILINE)
    for profiles, claimed in rows:
        known = [function for name in re.findall(r"`([\w-]+)`", profiles) for function in functions.pop(name)]
        yields = (
            "✓" if any(function.has_packets for function in known) else "–",
            "✓" if any(function.has_bytes for function in known) else "–",
            ", ".join(sorted({reason for function in known for reason in function.drop_reasons})) or "–",
            "✓" if any(function.has_depth for function in known) else "–",
        )
        assert tuple(claimed.split(" | ")) == yields, profiles
    assert not functions


@pytest.mark.parametrize(
    ("english", "chinese"),
    [("README.md", "README.zh-CN.md"), ("docs/from-the-guide.md", "docs/zh/from-the-guide.md")],
)
def test_translations_show_the_same_commands(english: str, chinese: str) -> None:
    """The code blocks of a page and of its translation differ in nothing but comments."""

    def blocks(page: str) -> list[str]:
        text = "".join(code_blocks((ROOT / page).read_text(), "sh", "console", "yaml", "promql"))
        return [re.sub(r"\s+# .*$", "", line) for line in text.splitlines()]

    assert blocks(english)
    assert blocks(chinese) == blocks(english)


@pytest.mark.parametrize("page", PAGES)
def test_options_exist(page: str) -> None:
    """Every option that a page names in inline code belongs to a command or to one of the project's scripts."""
    offered = {o for parser in commands().values() for action in parser._actions for o in action.option_strings}
    scripts = "".join((ROOT / "scripts" / name).read_text() for name in ("test", "test-kernels", "get-observability"))
    text = (ROOT / page).read_text()
    for option in re.findall(r"`(--[a-z][a-z-]*)", text):
        assert option in offered or option in scripts, option


@pytest.mark.parametrize(
    "page",
    ["README.md", "docs/metrics.md", "docs/from-the-guide.md", "docs/is-it-the-network.md", "docs/runbooks.md"],
)
def test_metric_names_exist(page: str) -> None:
    """Every metric name on the page is one of the program's, whole or as a label or file of its own."""
    text = re.sub(r"\]\([^)]*\)", "]", (ROOT / page).read_text())
    not_metrics = {
        *("rtp_parse_packet", "process_cpu", "otel_jb_", "jitterbuffer_stream"),
        "jitterbuffer_severity",  # a recording rule's
        *(name for name in re.findall(METRIC, text) if name.endswith(("_put", "_get", "_role", "_entry"))),
    }
    named = set(re.findall(METRIC, text)) - not_metrics
    assert named <= metric_names(), named - metric_names()
    assert len(named) >= 5


def test_metrics_page_is_complete() -> None:
    """The tables of docs/metrics.md have every instrument of the code, by both names and its kind, and no other."""
    kinds = {kind: kind.value for kind in Kind} | {Kind.UP_DOWN_COUNTER: "sum"}
    expected = {(one.name, one.prometheus, kinds[one.kind]) for one in (*INSTRUMENTS, *SELF_INSTRUMENTS)}
    assert table_names(METRICS) == expected


def test_metrics_page_names_every_role() -> None:
    """The label `jitterbuffer_role` is explained with all of its values."""
    row = next(line for line in METRICS.splitlines() if line.startswith("| `jitterbuffer_role`"))
    assert set(re.findall(r"`([a-z]+)`", row)) == {role.value for role in Role}


@pytest.mark.parametrize("page", PAGES)
def test_named_files_exist(page: str) -> None:
    """Every file of the checkout that a page names in inline code exists."""
    text = (ROOT / page).read_text()
    for name in re.findall(r"`((?:otel_jb|bpf|docs|tests|scripts|deploy|benchmarks)/[\w./-]*)`", text):
        assert (ROOT / name).exists(), name


def test_exit_codes() -> None:
    """The README leads to the page that has the program's own table of exit codes, and does not repeat it."""
    assert exitcodes.markdown() not in README
    (page,) = re.findall(r"\[[^\]]+\]\(([^)]+)\), which also lists the exit codes", README)
    assert exitcodes.markdown() in (ROOT / page).read_text()


def test_configuration_example() -> None:
    """The README's configuration for a Collector is read as one, and changes what it says."""
    (block,) = code_blocks(README, "yaml")
    config = parse(block, "README.md", Config)
    assert config.otlp.endpoint is not None
    assert "http://127.0.0.1:4317" in str(config.otlp.endpoint)


def test_every_page_is_indexed() -> None:
    """docs/README.md leads to every page of docs/, and docs/adr/README.md to every decision."""
    index = (ROOT / "docs" / "README.md").read_text()
    for path in (ROOT / "docs").glob("*"):
        if path.is_file() and path.name != "README.md":
            assert f"({path.name})" in index, f"docs/README.md does not lead to {path.name}"
    decisions = (ROOT / "docs" / "adr" / "README.md").read_text()
    for path in (ROOT / "docs" / "adr").glob("0*.md"):
        assert f"({path.name})" in decisions, f"docs/adr/README.md does not lead to {path.name}"
        title = path.read_text().splitlines()[0].split(". ", 1)[1]
        assert f"| {title} |" in decisions, path.name


def test_architecture_names_every_module() -> None:
    """docs/architecture.md says of every package and module at the top of the program what it is."""
    text = (ROOT / "docs" / "architecture.md").read_text()
    packages = {
        path.stem
        for path in Path(otel_jb.__file__).parent.iterdir()
        if (path.suffix == ".py" or (path / "__init__.py").exists()) and not path.name.startswith("__")
    }
    rows = "\n".join(line for line in text.splitlines() if line.startswith("| `"))
    assert packages <= set(re.findall(r"`(\w+)`", rows)), packages


@pytest.mark.parametrize("form", ["bug.yml", "server.yml"])
def test_issue_forms_are_complete(form: str) -> None:
    """Each question of an issue form has a label, and each form asks for what cannot be answered without it."""
    import yaml

    loaded = yaml.safe_load((ROOT / ".github" / "ISSUE_TEMPLATE" / form).read_text())
    assert {"name", "description", "body"} <= loaded.keys()
    questions = [each for each in loaded["body"] if each["type"] != "markdown"]
    assert all(each["attributes"]["label"] and each["id"] for each in questions)
    assert len({each["id"] for each in questions}) == len(questions)
    assert any(each.get("validations", {}).get("required") for each in questions)
