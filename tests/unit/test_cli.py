# SPDX-License-Identifier: Apache-2.0
"""The command line: what is printed where, and with which exit code it ends."""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest

import otel_jb
from otel_jb.cli import exitcodes, main, words
from otel_jb.model import errors
from otel_jb.model.errors import ExitCode

pytestmark = pytest.mark.unit
ROOT = Path(__file__).parents[2]


def otel_jb_process(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otel_jb", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environ},
    )


@pytest.fixture
def command(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], int]], None]:
    """Makes `otel-jb doctor` do something else, to see what main() makes of it."""

    def install(action: Callable[[], int]) -> None:
        module = SimpleNamespace(
            add_parser=lambda commands: commands.add_parser("doctor"), run=lambda _: action(), __name__="fake"
        )
        monkeypatch.setitem(sys.modules, "otel_jb.cli.doctor", module)

    return install


def raising(error: BaseException) -> Callable[[], int]:
    def action() -> int:
        raise error

    return action


ERRORS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, errors.AgentError)]


@pytest.mark.parametrize("kind", ERRORS, ids=lambda kind: kind.__name__)
def test_an_agent_error_is_its_message_its_help_and_its_exit_code(
    kind: type[errors.AgentError],
    command: Callable[[Callable[[], int]], None],
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Each error of the tree is shown without a traceback, its help indented below it."""
    command(raising(kind("it is broken", "do this\nthen that")))
    assert main.main(["doctor"]) == kind.exit_code
    captured = capsys.readouterr()
    assert captured.err == "otel-jb: error: it is broken\n    do this\n    then that\n"
    assert captured.out == ""


def test_a_defect_is_one_line(command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]) -> None:
    """What nobody expected is one line and exit code 1; --debug adds the traceback."""
    command(raising(ZeroDivisionError("division\nby zero")))
    assert main.main(["doctor"]) == ExitCode.INTERNAL
    text = capsys.readouterr().err
    assert text.startswith("otel-jb: internal error: ZeroDivisionError: division by zero\n")
    assert "Traceback" not in text
    assert main.main(["doctor", "--debug"]) == ExitCode.INTERNAL
    assert "Traceback" in capsys.readouterr().err


def test_debug_shows_where_an_agent_error_came_from(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """--debug works before the command too."""
    command(raising(errors.TargetError("gone")))
    assert main.main(["--debug", "doctor"]) == ExitCode.NO_TARGET
    assert "Traceback" in capsys.readouterr().err


def test_an_interrupted_command_ends_quietly(
    command: Callable[[Callable[[], int]], None], capsys: pytest.CaptureFixture[str]
) -> None:
    """Ctrl-C in a command that was not measuring is exit code 130 and no traceback."""
    command(raising(KeyboardInterrupt()))
    assert main.main(["doctor"]) == 130
    assert capsys.readouterr().err == ""


def test_a_reader_that_has_seen_enough_is_no_error() -> None:
    """`otel-jb run --print-config | head -1` ends with 0 and prints nothing about a broken pipe."""
    script = f"set -o pipefail; '{sys.executable}' -m otel_jb run --print-config | true"
    for _ in range(3):
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
        assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--pidd", "1"], "run has no option --pidd; did you mean --pid?"),
        (["run", "--pid", "one"], "expected a process id, got 'one'"),
        (["run", "--pid", "-1"], "expected a process id, got '-1'"),
        (["run", "--port", "65536"], "expected a port from 0 to 65535"),
        (["run", "--interval", "5"], "the unit is missing"),
        (["run", "--end-strategy", "ret-site"], "did you mean 'ret-sites'?"),
        (["run", "--otlp-header", "novalue"], "expected KEY=VALUE"),
        (["run", "--otlp-endpoint", "::"], "expected a URL"),
        (["replay", "x", "--speed", "0"], "expected a number from 0.001"),
        (["replay"], "replay needs a FILE"),
        (["record"], "record needs a FILE"),
    ],
)
def test_a_wrong_option_is_one_message(arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Wrong usage is exit code 2, what was expected, the right command, and where to read on."""
    assert main.main(arguments) == ExitCode.USAGE
    text = capsys.readouterr().err
    assert text.startswith("otel-jb: error: ")
    assert message in text
    assert len(text.splitlines()) <= 3


def test_a_configuration_error_names_file_and_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A wrong key in the file is exit code 2 with file, line and the key that was meant."""
    file = tmp_path / "c.yaml"
    file.write_text("interval: 5s\nlissten: 127.0.0.1:1\n")
    assert main.main(["run", "--config", str(file)]) == ExitCode.USAGE
    assert f"{file}:2: unknown key 'lissten'; did you mean 'listen'?" in capsys.readouterr().err
    assert main.main(["run", "--config", str(tmp_path / "none.yaml")]) == ExitCode.USAGE
    assert "cannot be read: No such file" in capsys.readouterr().err


def test_the_version_is_the_packages() -> None:
    """--version prints name and version on stdout."""
    done = otel_jb_process("--version")
    assert (done.returncode, done.stdout) == (0, f"otel-jb {otel_jb.__version__}\n")


def test_help_names_every_command_and_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    """--help lists the commands and the exit codes."""
    assert main.main(["--help"]) == 0
    text = capsys.readouterr().out
    for name in words.COMMANDS:
        assert f"    {name} " in text
    assert exitcodes.plain() in text


@pytest.mark.parametrize("name", words.COMMANDS)
def test_every_command_explains_itself_with_examples(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """COMMAND --help is enough to work from: it has examples."""
    assert main.main([name, "--help"]) == 0
    text = capsys.readouterr().out
    assert f"otel-jb {name}" in text
    assert "xample" in text


def test_nothing_given_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    """`otel-jb` alone is the help, not an error."""
    assert main.main([]) == 0
    assert "commands:" in capsys.readouterr().out


def test_an_option_of_a_command_never_hides_which_command_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    """`run` runs whether or not `--command`, which selects by command line, is given."""
    for given in ([], ["--command", "*cam7*"]):
        assert main.main(["run", "--print-config", "srs", *given]) == 0
        assert "name: srs" in capsys.readouterr().out


def test_every_exit_code_has_one_meaning() -> None:
    """The table covers ExitCode, and adds only 130."""
    assert set(exitcodes.MEANINGS) == set(ExitCode)
    assert [code for code, _ in exitcodes.rows()] == [*sorted(ExitCode), 130]


def test_the_documented_exit_codes_are_the_real_ones() -> None:
    """The table in docs/troubleshooting.md is the program's own."""
    assert exitcodes.markdown() in (ROOT / "docs" / "troubleshooting.md").read_text()


def test_help_is_quick_and_loads_nothing_heavy() -> None:
    """--help of a command loads none of what takes time to load, and --help of all needs less than a second of CPU."""
    heavy = "('opentelemetry', 'grpc', 'rich', 'capstone', 'elftools', 'prometheus_client', 'bcc')"
    script = (
        "import sys; from otel_jb.cli.main import main; main(['--help']); main(['run', '--help']);"
        f"sys.exit(','.join(m for m in {heavy} if m in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False, cwd=ROOT)
    assert (done.returncode, done.stderr) == (0, "")
    # CPU time, so that what else runs on the machine does not count.
    best = min(_seconds("--help") - _seconds(None) for _ in range(3))
    assert best < 1.0  # any of the heavy modules takes longer by itself


def _seconds(argument: str | None) -> float:
    command = [sys.executable, "-m", "otel_jb", argument] if argument else [sys.executable, "-c", "pass"]
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def test_parsers_do_not_accept_abbreviations() -> None:
    """An option that is added later cannot change what a script's shortened one means."""
    parser = main._parser(["run"])
    assert isinstance(parser, argparse.ArgumentParser)
    with pytest.raises(errors.UsageError, match="unrecognized arguments: --print"):
        parser.parse_args(["run", "--print"])  # and not --print-config
