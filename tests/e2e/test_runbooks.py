# SPDX-License-Identifier: Apache-2.0
"""The commands of docs/runbooks.md, as they are printed, on a server that has something to say to each.

1234 becomes the server's number. The commands run in a network namespace of their own, so that port 9310 is theirs.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from otel_jb.telemetry.instruments import INSTRUMENTS, SELF_INSTRUMENTS
from tests.blocks import ROOT
from tests.e2e.agent_process import until
from tests.e2e.documented import documented_server, started

pytestmark = pytest.mark.e2e

PAGE = (ROOT / "docs" / "runbooks.md").read_text()
#: What each command must print for its step to make sense.
PRINTS = {
    "otel-jb why 1234": r"\(process {pid}\): \w.*\n(.*\n)*  not known: no RTP headers",
    "otel-jb discover --json 1234": r'"JitterBuffer::put"',
    "otel-jb doctor 1234": r"jitter-buffer functions: JitterBuffer::put",
    "otel-jb doctor --otlp-endpoint URL": r"OTLP endpoint: .*127\.0\.0\.1:9310",
    "cat /proc/1234/cgroup": r"^\d+:.*:/",
    "ps -eo pid,ni,pcpu,comm --sort=-pcpu": r"PID +NI %CPU COMMAND\n *\d+ ",
    "ss -uanm": r"^State +Recv-Q",
    "eu-stack -p 1234": r"TID {pid}:\n#0 ",
    "curl http://127.0.0.1:9310/ready": r'"ready": true',
    "curl http://127.0.0.1:9310/health": r'"status": "ok"',
}
#: What other tests run.
ELSEWHERE = {
    "otel-jb discover 1234": "tests/e2e/test_commands.py",
    "otel-jb plan 1234 --rate CALLS_PER_SECOND": "tests/e2e/test_commands.py",
    "otel-jb doctor": "tests/e2e/test_bare_machine.py",
}
#: They need a machine of another kind: one with a systemd that runs, a cluster, packets from outside.
NOT_HERE = {"systemctl status otel-jb", "kubectl get pods", "tcpdump -i any -c 10 -n udp port PORT"}


def inline() -> list[str]:
    """The texts in code that stand in the page's sentences."""
    return [
        part.content
        for token in MarkdownIt("commonmark").parse(PAGE)
        for part in token.children or ()
        if part.type == "code_inline"
    ]


def test_every_command_is_run_here() -> None:
    """The page's commands are those that are run here or in other tests, and those that need a machine of another kind."""
    programs = {command.split()[0] for command in (*PRINTS, *ELSEWHERE, *NOT_HERE)}
    bare = {text.removeprefix("sudo ") for text in inline()}
    assert {text for text in bare if text.split()[0] in programs and " " in text} == {*PRINTS, *ELSEWHERE, *NOT_HERE}
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())


def test_every_name_is_one_that_there_is() -> None:
    """Metrics that the page's sentences name are exported, and the dashboard that it sends people to has that title."""
    names = {each.prometheus for each in (*INSTRUMENTS, *SELF_INSTRUMENTS)}
    named = {text for text in inline() if re.fullmatch(r"(jitterbuffer|otel_jb|process|rtp)_\w+", text)}
    assert "otel_jb_spans_dropped_total" in named
    assert named - {"jitterbuffer_role"} <= names
    titles = {json.loads(file.read_text())["title"] for file in (ROOT / "deploy/grafana/dashboards").glob("*.json")}
    (title,) = re.findall(r"dashboard \*([^*]+)\*", PAGE)
    assert title in titles


def test_commands_print_what_their_steps_need(tmp_path: Path) -> None:
    """Each command ends with 0 beside a running agent, and prints what its step speaks of: functions, costs, the culprit's measures, readiness."""
    with (
        documented_server(tmp_path) as server,
        started(server.shell("otel-jb run --pid 1234"), tmp_path, "serving"),
    ):
        until(lambda: server.ask("curl --fail -s http://127.0.0.1:9310/ready").returncode == 0, "the agent is ready")
        for command, wanted in PRINTS.items():
            # A minute of looking is the default, and no more a test of the page than three seconds.
            line = command.replace("why 1234", "why 1234 --for 3s").replace("URL", "http://127.0.0.1:9310")
            done = server.ask(line)
            assert done.returncode == 0, (command, done)
            assert re.search(wanted.replace("{pid}", str(server.pid)), done.stdout), (command, done)
