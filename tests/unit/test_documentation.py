# SPDX-License-Identifier: Apache-2.0
"""The documentation as a site, and what its code blocks say: no link leads nowhere, and no block is unchecked."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote

import pytest

from otel_jb.catalog import expression
from otel_jb.catalog.matching import load as load_catalog
from otel_jb.cli import main
from otel_jb.cli.words import with_command
from otel_jb.config import web, yamlfile
from otel_jb.config.model import Config
from otel_jb.model.errors import ConfigError
from tests.blocks import ROOT, SHELL, Block, blocks, commands, pages, script

pytestmark = pytest.mark.unit

BLOCKS = blocks()


class Page(HTMLParser):
    """A page of the site: its anchors, and what it links to or shows."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.anchors: set[str] = set()
        self.links: list[str] = []
        self.feed(path.read_text())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        for name, value in attrs:
            if value and name in {"id", "name"}:
                self.anchors.add(value)
            elif value and (name == "src" or (tag in {"a", "link"} and name == "href")):
                self.links.append(value)


def test_the_site_is_built_without_a_warning_and_no_link_leads_nowhere(tmp_path: Path) -> None:
    """scripts/docs builds a page of every page; each link between them finds its page, section, picture or file."""
    site = tmp_path / "site"
    done = subprocess.run(
        [ROOT / "scripts/docs", site],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OTEL_JB_VENV": sys.prefix},
    )
    assert done.returncode == 0, done.stderr
    built = {path.resolve(): Page(path) for path in site.rglob("*.html")}
    for name in pages():
        assert (site / name).with_suffix(".html").resolve() in built
    checked = 0
    for path, page in built.items():
        for link in page.links:
            target, _, anchor = link.partition("#")
            if re.match(r"[a-z]+:", target):
                assert re.match(r"https?://", target), link
                continue
            to = (path.parent / unquote(target.partition("?")[0])).resolve() if target else path
            assert to.is_file(), f"{path}: {link}"
            if anchor and to in built:
                assert unquote(anchor) in built[to].anchors, f"{path}: {link}"
            checked += 1
    assert checked > 1000


def test_every_block_is_checked() -> None:
    """Every block says what language it is in, and is one of those that the tests here check."""
    unknown = [f"{block}: {block.language!r}" for block in BLOCKS if block.language not in LANGUAGES]
    assert not unknown
    for language in LANGUAGES:
        assert any(block.language == language for block in BLOCKS), f"no {language} block is left to check"


# Text that nobody types: drawings and lists, by their first words, each with the test that compares it with the program, if one can.

TEXT = {
    "/proc            ELF files": "a drawing",
    "agent ──OTLP──> Collector": "a drawing",
    "cli.run.run": "tests/bpf/test_architecture.py",
    "agent.measuring.Measuring.take_slow_calls": "tests/bpf/test_architecture.py",
    "mine.yaml:9: unknown key": "test_the_errors_of_a_profile_are_as_shown",
    "condition  = both": "test_the_grammar_names_every_type",
    "model < arch": "test_the_layers_are_import_linters",
}


def of_language(*languages: str) -> list[Block]:
    return [block for block in BLOCKS if block.language in languages]


def test_text_is_a_drawing_or_tested_elsewhere() -> None:
    """Every block of plain text is known here, and the test that is named for it exists."""
    for block in of_language("text"):
        found = [TEXT[start] for start in TEXT if block.text.strip().startswith(start)]
        assert len(found) == 1, block
        how = found[0]
        assert how == "a drawing" or how in globals() or block.page in (ROOT / how).read_text(), block


def text_of(start: str) -> str:
    (found,) = (block.text for block in of_language("text") if block.text.strip().startswith(start))
    return found


def test_the_layers_are_import_linters() -> None:
    """CONTRIBUTING.md shows the layers that import-linter enforces, lowest first."""
    (layers,) = re.findall(r"^layers = \[\n(.*?)^\]", (ROOT / "pyproject.toml").read_text(), re.MULTILINE | re.DOTALL)
    enforced = [sorted(re.findall(r"\w+", line)) for line in layers.splitlines()]
    shown = [sorted(re.findall(r"\w+", layer)) for layer in text_of("model < arch").split(" < ")]
    assert shown == enforced[::-1]


def test_the_grammar_names_every_type() -> None:
    """The grammar of expressions in docs/profiles.md has every type that the program knows, and no other."""
    (shown,) = re.findall(r"^TYPE +=(.*)", text_of("condition  = both"), re.MULTILINE)
    assert set(shown.replace(",", "").split()) - {"and", "for", "memory"} == set(expression.WIDTHS)


def test_the_errors_of_a_profile_are_as_shown(tmp_path: Path) -> None:
    """The mistakes that docs/profiles.md shows, made in the example on that page, are reported in its words."""
    (example,) = (block.text for block in of_language("yaml") if block.text.startswith("profile: my-server "))
    file = tmp_path / "mine.yaml"
    reported = []
    for right, wrong in (("role: put", "rolle: put"), ("arg2->Packet.size", "arg1->Buffer.size")):
        file.write_text(example.replace(right, wrong, 1))
        with pytest.raises(ConfigError) as caught:
            load_catalog([file])
        reported.append(caught.value.message.removeprefix(f"{tmp_path}/"))
    assert reported == text_of("mine.yaml").splitlines()


# Queries


def test_queries_are_promql(tmp_path: Path) -> None:
    """Every query that a page shows is PromQL, as promtool reads it."""
    lines = [line.strip() for block in of_language("promql") for line in block.text.splitlines()]
    queries = [line for line in lines if line and not line.startswith("#")]
    rules = "".join(f"      - record: query:{n}\n        expr: {query!r}\n" for n, query in enumerate(queries))
    file = tmp_path / "rules.yml"
    file.write_text(f"groups:\n  - name: page\n    rules:\n{rules}")
    checked = subprocess.run(["promtool", "check", "rules", str(file)], capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stdout + checked.stderr
    assert f"{len(queries)} rules found" in checked.stdout


# Files that the agent reads


def as_profile(text: str, directory: Path) -> None:
    """A profile, or a part of one, which gets the rest that a profile must have."""
    if not text.startswith("profile:"):
        text = f"profile: example\ntitle: An example\n{text}"
        if "\nfunctions:" in text:
            text = text.replace("    marks:", "    role: put\n    marks:")
        else:
            text += "functions:\n  - {name: f, role: put}\n"
    file = directory / "example.yaml"
    file.write_text(text)
    load_catalog([file])


def as_web_config(text: str, directory: Path) -> None:
    file = directory / "web.config.yml"
    hashed = "N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy"
    file.write_text(text.replace("$2y$10$…", f"$2y$10${hashed}").replace("9f86d08…", "9f86d08" + "0" * 57))
    web.read(file)


def as_config(text: str, _directory: Path) -> None:
    yamlfile.parse(text, "example", Config)


#: First key -> how such a file is read. What each key of the declarative configuration does, tests/unit/test_declarative.py checks.
YAML: dict[str, Callable[[str, Path], None]] = {
    "targets": as_config,
    "pairs": as_config,
    "page": as_config,
    "otlp": as_config,
    "tls_server_config": as_web_config,
    "profile": as_profile,
    "structs": as_profile,
    "telltale": as_profile,
    "file_format": lambda text, _: None if "file_format" in text else pytest.fail(text),
}


@pytest.mark.parametrize("block", of_language("yaml"), ids=str)
def test_examples_of_files_are_read(block: Block, tmp_path: Path) -> None:
    """Each YAML that a page shows is read by the agent as the file that it is meant for."""
    YAML[block.text.partition(":")[0]](block.text, tmp_path)


def test_units_are_systemds(tmp_path: Path) -> None:
    """systemd understands each unit that a page shows."""
    for block in of_language("ini"):
        unit = tmp_path / "example.service"
        unit.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", block.text, flags=re.MULTILINE))
        done = subprocess.run(["systemd-analyze", "verify", unit], capture_output=True, text=True, check=False)
        assert "example.service" not in done.stderr, done.stderr


# Commands


def of_the_agent(words: list[str]) -> None:
    """The program's own parser takes these words."""
    arguments = with_command(words[1:])
    parser = main._parser(arguments)
    try:
        args, others = parser.parse_known_args(arguments)
    except SystemExit:  # help and version; an error would be a UsageError
        return
    main._take_the_rest(parser, args, others, arguments)


def of_the_checkout(words: list[str]) -> None:
    """The script is there, and so is each option in it."""
    source = (ROOT / words[0]).read_text()
    for python in re.findall(r"scripts/\w+\.py", source):
        source += (ROOT / python).read_text()
    for option in (word for word in words[1:] if word.startswith("--")):
        assert option in source, words


def of_python(words: list[str]) -> None:
    """`-m` names the standard library's `venv`, or a module of the checkout that has these options."""
    assert words[1] == "-m", words
    spec = importlib.util.find_spec(words[2])
    assert spec is not None, words
    assert spec.origin is not None
    for option in (word for word in words[3:] if word.startswith("--")):
        assert f'"{option}"' in Path(spec.origin).read_text(), words


def of_kubernetes(words: list[str]) -> None:
    """What `kubectl exec` runs in the agent's container is a command of the agent."""
    if "exec" in words:
        known = words[words.index("--") + 1 :]
        assert known[0] == "otel-jb"
        of_the_agent(known)


def of_helm(words: list[str]) -> None:
    """tests/e2e/test_deploy_kubernetes.py renders the chart with the options that the page shows."""
    assert (
        "test_the_documented_command_installs_the_chart" in (ROOT / "tests/e2e/test_deploy_kubernetes.py").read_text()
    )
    assert (ROOT / words[3] / "Chart.yaml").is_file()


def of_http(words: list[str]) -> None:
    """The address is the agent's, Prometheus' or Jaeger's."""
    (address,) = (word for word in words if re.match(r"(http://)?(localhost|127\.0\.0\.1):", word))
    assert re.search(
        r":(9310/(metrics|health|ready)|9090/api/v1/query_exemplars|16686/api/traces/TRACE_ID)$", address
    ), words


def of_the_system(_words: list[str]) -> None:
    """A program that is everybody's: that the shell can read the line is all that is checked."""


PROGRAMS: dict[str, Callable[[list[str]], None]] = {
    "otel-jb": of_the_agent,
    "/opt/otel-jb/bin/otel-jb": of_the_agent,
    "scripts/otel-jb": of_the_agent,
    "scripts/test": of_the_checkout,
    "scripts/test-kernels": of_the_checkout,
    "scripts/package": of_the_checkout,
    "scripts/get-observability": of_the_checkout,
    "python3": of_python,
    ".venv/bin/python": of_python,
    "kubectl": of_kubernetes,
    "helm": of_helm,
    "curl": of_http,
    **dict.fromkeys(("apt-get", "cut", "date", "grep", "sha256sum", "ssh-keygen", "systemctl"), of_the_system),
    "/opt/otel-jb/bin/pip": of_the_system,
    "SUBSTITUTED": of_the_system,  # what get-observability prints
}


@pytest.mark.parametrize("block", of_language(*SHELL), ids=str)
def test_commands_are_what_their_programs_take(block: Block) -> None:
    """bash reads each shell block, and every command in it has its program's arguments; a program that is not known here is an error."""
    done = subprocess.run(["bash", "-n"], input=script(block), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    found = commands(script(block))
    assert found
    for words in found:
        while words[0] == "sudo" or re.match(r"[A-Z_]+=", words[0]):
            words = words[1:]
        if words[0] == "otel-jb" and "help" in words:
            words = [words[0], *words[2:], "--help"]
        PROGRAMS[words[0]](words)


#: Language of a block -> the test that has all of them.
LANGUAGES: dict[str, Callable[..., None]] = {
    "console": test_commands_are_what_their_programs_take,
    "ini": test_units_are_systemds,
    "promql": test_queries_are_promql,
    "sh": test_commands_are_what_their_programs_take,
    "text": test_text_is_a_drawing_or_tested_elsewhere,
    "yaml": test_examples_of_files_are_read,
}
