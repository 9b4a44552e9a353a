# SPDX-License-Identifier: Apache-2.0
"""What SIGHUP changes of the measuring itself: which processes, which functions, what they mean; and what it leaves alone."""

from __future__ import annotations

import json
import signal
from pathlib import Path

import pytest

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, agent, until
from tests.e2e.test_life import reloads

pytestmark = pytest.mark.e2e

PUT, GET = "jitter_buffer_put", "jitter_buffer_get"
#: The same function, but what it does is called parsing.
OTHERWISE = """\
profile: mine
title: Another reading of libspeexdsp
functions:
  - name: jitter_buffer_get
    role: parse
    primary: true
    returns: i32
    stream: arg1
"""


def calls(running: AgentProcess, pid: int, function: str) -> float | None:
    return running.scrape().value("jitterbuffer_calls_total", pid=pid, function=function, outcome="returned")


def test_selection_and_profiles_change_while_the_agent_runs(tmp_path: Path) -> None:
    """After SIGHUP the processes and functions that the file names are measured; probes that stay count on without a gap."""
    path, mine = tmp_path / "otel-jb.yaml", tmp_path / "mine.yaml"
    done = dict.fromkeys(("applied", "refused"), 0.0)
    with (
        Conversation("/usr/bin/python3", TARGETS / "speex_driver.py") as first,
        Conversation("/usr/bin/python3", TARGETS / "speex_driver.py") as second,
    ):

        def write(targets: list[Conversation], functions: list[str], **more: object) -> None:
            config = {"targets": [{"pid": each.pid} for each in targets], "functions": {"include": functions}, **more}
            path.write_text(json.dumps({**config, "interval": "500ms", "retain": "1s"}))

        def hang_up(result: str) -> None:
            done[result] += 1
            running.process.send_signal(signal.SIGHUP)
            until(lambda: reloads(running).get(result) == done[result], f"a reload that is {result}:\n{running.log()}")

        write([first], [PUT])
        with agent(tmp_path, "--config", str(path)) as running:
            puts = first.ask("run 200")["put"]["calls"]
            until(lambda: calls(running, first.pid, PUT) == puts, "the puts")

            # A function and a process more. The put of the first one is not touched: its count goes on.
            write([first, second], [PUT, GET])
            hang_up("applied")
            until(lambda: calls(running, second.pid, GET) is not None, "the second process is measured")
            until(lambda: calls(running, first.pid, GET) is not None, "the second function is measured")
            did = first.ask("run 200")
            puts += did["put"]["calls"]
            until(lambda: calls(running, first.pid, PUT) == puts, "puts of before and after")
            until(lambda: calls(running, first.pid, GET) == did["get"]["calls"], "gets since then")

            # A file that cannot be used, and a profile that cannot, change nothing.
            for broken in ("functions: {include: [1, }\n", json.dumps({"profiles": [str(mine)]})):
                path.write_text(broken)
                mine.write_text("profile: mine\nfunctions: [{name: f, rolle: put}]\n")
                hang_up("refused")
            assert "mine.yaml:2" in running.log()
            puts += first.ask("run 100")["put"]["calls"]
            until(lambda: calls(running, first.pid, PUT) == puts, "the first goes on after a refused file")

            # A process less: its series end. A function less: it counts no more, and what it counted stays.
            write([second], [GET])
            hang_up("applied")
            until(lambda: calls(running, first.pid, PUT) is None, "the first process is let go")
            before = calls(running, second.pid, PUT)
            shed = running.scrape().find("otel_jb_probes", state="shed")
            assert [(each["reason"], count) for each, count in shed] == [
                ("the configuration does not ask for it any more", 1)
            ]
            gets = second.ask("run 200")["get"]["calls"]
            until(lambda: calls(running, second.pid, GET) == gets, "the second one's gets")
            assert calls(running, second.pid, PUT) == before

            # The function back, and another meaning for the other: that one is measured anew, under one series.
            mine.write_text(OTHERWISE)
            write([second], [PUT, GET], profiles=[str(mine)])
            hang_up("applied")
            until(
                lambda: running.scrape().find("jitterbuffer_calls_total", pid=second.pid, jitterbuffer_role="parse"),
                "the other meaning",
            )
            did = second.ask("run 200")
            until(lambda: calls(running, second.pid, PUT) == did["put"]["calls"], "puts of the process measured anew")
            until(lambda: calls(running, second.pid, GET) == did["get"]["calls"], "gets of the process measured anew")
