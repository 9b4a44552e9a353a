# SPDX-License-Identifier: Apache-2.0
"""The commands in the blocks of every page, as they are printed, against a program that has what they name.

1234 becomes the process's number, /usr/bin/ffmpeg its file. The commands run in a network namespace of their own, so that port 9310 is theirs.
"""

from __future__ import annotations

import re
import shlex
import signal
from pathlib import Path

import pytest

from tests.blocks import SHELL, blocks, script
from tests.e2e.agent_process import ROOT, until
from tests.e2e.collector import program
from tests.e2e.documented import DocumentedServer, documented_server, started

pytestmark = pytest.mark.e2e

METRICS = "curl --fail -s http://localhost:9310/metrics | grep -q jitterbuffer_calls_total"
#: They print and end.
END = (
    "otel-jb version",
    "otel-jb help run",
    "otel-jb doctor",
    "otel-jb doctor 1234",
    "otel-jb doctor /usr/bin/ffmpeg",
    "otel-jb discover 1234",
    "otel-jb discover /usr/bin/ffmpeg",
    "otel-jb plan 1234 --rate 1000",
    "otel-jb profile draft ./my-server 'JitterBuffer::*' > mine.yaml",
    "otel-jb profile draft ./my-server 'Jitter*' > mine.yaml",
    "otel-jb profile check mine.yaml ./my-server",
)
#: They serve until Ctrl-C. The recording comes before its replay, the profile from above before it is used.
SERVE = (
    "otel-jb record incident.jsonl.gz --pid 1234",
    "otel-jb replay incident.jsonl.gz",
    "otel-jb run --profile mine.yaml my-server",
    "otel-jb run --binary /usr/bin/ffmpeg",
    "otel-jb run --binary /usr/bin/ffmpeg --port 9310",
    "otel-jb run --pid 1234 --port 9310",
    "otel-jb run --pid 1234",
)
#: What the last of them is asked.
ASK = (
    "curl http://localhost:9310/metrics | grep jitterbuffer",
    "curl http://localhost:9310/health",
    "curl http://localhost:9310/ready",
    "curl -s http://127.0.0.1:9310/metrics | grep jitterbuffer",
)
COLLECTOR = "$(scripts/get-observability collector | cut -d' ' -f2) --config collector-config.yaml"
#: What other tests run, with targets, servers or machines of their own.
ELSEWHERE = {
    "otel-jb demo": "tests/e2e/test_demo.py",
    "otel-jb discover": "tests/unit/test_cli_habits.py",
    "otel-jb run 'srs*' --function 'SrsRtc*'": "tests/bpf/test_any_function.py",
    "otel-jb top srs": "tests/bpf/test_top.py",
    "otel-jb layout ./objs/srs > srs.yaml": "tests/unit/test_layout_command.py",
    "otel-jb why srs": "tests/diagnosis/test_host.py",
    "python3 -m venv /opt/otel-jb": "tests/e2e/test_install.py",
    "/opt/otel-jb/bin/pip install otel_jb-0.1.0-py3-none-any.whl": "tests/e2e/test_install.py",
    "/opt/otel-jb/bin/otel-jb doctor": "tests/e2e/test_install.py",
    "ssh-keygen -Y verify -f allowed_signers -I SIGNER -n otel-jb -s SHA256SUMS.sig <SHA256SUMS": "tests/e2e/test_install.py",
    "sha256sum --check SHA256SUMS": "tests/e2e/test_install.py",
    "helm install media deploy/kubernetes/otel-jb": "tests/e2e/test_deploy_kubernetes.py",
    "curl -G http://127.0.0.1:9090/api/v1/query_exemplars": "tests/e2e/test_traces_exemplars.py",
    "curl -s localhost:9090/api/v1/query_exemplars": "tests/e2e/test_traces_exemplars.py",
    "curl http://127.0.0.1:16686/api/traces/TRACE_ID": "tests/e2e/test_traces_exemplars.py",
    "curl -s localhost:16686/api/traces/TRACE_ID": "tests/e2e/test_traces_exemplars.py",
}
#: Why no test runs them, and how each begins; tests/unit/test_documentation.py compares them with what their programs take.
NOT_HERE = {
    "a machine whose service manager runs and which may be changed: scripts/try-package has one": (
        "package --deb",
        "apt-get install ./dist/otel-jb_0.1.0_py3.11_amd64.deb",
        "systemctl enable --now otel-jb",
    ),
    "a cluster": ("kubectl ",),
    "it would measure other people's servers on this machine": ("otel-jb run",),
    "the tests themselves": ("test", "test tests/bpf/hazards", "OTEL_JB_LONG=1 scripts/test "),
    "minutes to an hour: they renew the tables of the documentation": (
        "test-kernels ",
        ".venv/bin/python -m benchmarks.",
        ".venv/bin/python -m tests.bpf.hazards.table ",
    ),
}


def shown() -> set[str]:
    """The lines of all shell blocks; of those that lie on several lines, or take many options, the whole."""
    text = "\n".join(script(block) for block in blocks() if block.language in SHELL)
    lines = [re.sub(r"\s+# .*", "", line).strip() for line in re.sub(r"\\\n\s*", " ", text).splitlines()]
    return {re.sub(r"^(sudo )?(scripts/)?", "", line) for line in lines if line}


def test_every_command_is_run_here_or_elsewhere() -> None:
    """Each command in a block of any page is in one of the lists here, and the lists have no other."""
    listed = {*END, *SERVE, *ASK, COLLECTOR, *ELSEWHERE}
    prefixes = [each for each in ELSEWHERE if each.startswith(("helm", "curl"))]
    prefixes += [each for each in sum(NOT_HERE.values(), ()) if each.endswith((" ", "."))]
    listed |= {each for group in NOT_HERE.values() for each in group}
    lines = shown()
    unknown = {line for line in lines - listed if not line.startswith(tuple(prefixes))}
    assert not unknown
    assert not {each for each in listed if not any(line == each or line.startswith(each) for line in lines)}
    assert all((ROOT / test).is_file() for test in ELSEWHERE.values())


def serves(server: DocumentedServer, line: str, answers: str, directory: Path, questions: tuple[str, ...] = ()) -> None:
    """The line serves, answers these questions, and ends with 0 after Ctrl-C."""
    log = directory / "serving.log"
    with started(server.shell(line), directory, "serving") as serving:

        def answering() -> bool:
            assert serving.poll() is None, log.read_text()
            return server.ask(answers).returncode == 0

        until(answering, line, every=0.2)
        for question in questions:
            assert server.ask(question).returncode == 0, question
        serving.send_signal(signal.SIGINT)
        assert serving.wait(60) == 0, (line, log.read_text())


def test_commands_run_as_printed(tmp_path: Path) -> None:
    """Each ends with 0, by itself or after Ctrl-C; what serves answers the questions of the documentation."""
    program("collector")  # built where the network is
    with documented_server(tmp_path) as server:
        for line in END:
            done = server.ask(line)
            assert done.returncode == 0, (line, done)
        for line in SERVE:
            serves(server, line, METRICS, tmp_path, ASK if line == SERVE[-1] else ())
        in_checkout = f"env --chdir={ROOT} sh -c {shlex.quote(f'exec {COLLECTOR}')}"
        serves(server, in_checkout, "curl --fail -s http://127.0.0.1:13133/", tmp_path)
    assert (tmp_path / "incident.jsonl.gz").stat().st_size > 100
