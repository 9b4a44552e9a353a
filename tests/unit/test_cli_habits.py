# SPDX-License-Identifier: Apache-2.0
"""What people type: other tools' words, options in front, mistakes; each ends in one message with the right command in it."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from types import SimpleNamespace

import pytest

from otel_jb.cli import corrections, host, target, words
from otel_jb.cli.main import _accepted, _command, _parser, main
from otel_jb.cli.progress import Progress
from otel_jb.cli.target import Target
from otel_jb.model.errors import ExitCode, PermissionDeniedError, TargetError, UsageError
from otel_jb.planner.servers import Unmeasured

pytestmark = pytest.mark.unit

ROOT = Path(__file__).parents[2]
SPEEX = "/usr/lib/x86_64-linux-gnu/libspeexdsp.so.1"
NOBODY = "4194303"  #: no process has it: PID_MAX_LIMIT is above every default

#: What is typed, the exit code, and what the message must contain.
MISTAKES = [
    ("discver", ExitCode.USAGE, "did you mean 'discover'?"),
    ("docter", ExitCode.USAGE, "did you mean 'doctor'?"),
    ("RUN", ExitCode.USAGE, "did you mean 'run'?"),
    ("attach 1", ExitCode.USAGE, "did you mean 'run'?"),
    ("monitor", ExitCode.USAGE, "did you mean 'top'?"),
    ("list", ExitCode.USAGE, "did you mean 'discover'?"),
    ("status", ExitCode.USAGE, "did you mean 'doctor'?"),
    ("config", ExitCode.USAGE, "run --print-config"),
    ("xyzzy", ExitCode.USAGE, "otel-jb --help lists the commands"),
    ("4220", ExitCode.USAGE, "otel-jb run 4220 "),
    ("/usr/bin/ffmpeg", ExitCode.USAGE, "otel-jb discover /usr/bin/ffmpeg "),
    ("help rnu", ExitCode.USAGE, "did you mean 'run'?"),
    ("run --pids 1", ExitCode.USAGE, "did you mean --pid?"),
    ("run --pids 1", ExitCode.USAGE, "otel-jb run --pid 1\n"),
    ("run --funtion x", ExitCode.USAGE, "otel-jb run --function x\n"),
    ("run --bin=/usr/bin/ffmpeg", ExitCode.USAGE, "otel-jb run --binary=/usr/bin/ffmpeg\n"),
    ("record f --pids 1", ExitCode.USAGE, "otel-jb record f --pid 1\n"),
    ("demo --secs 3", ExitCode.USAGE, "otel-jb demo --seconds 3\n"),
    ("demo 3", ExitCode.USAGE, "otel-jb demo\n"),
    ("discover --rate 3", ExitCode.USAGE, "otel-jb discover --help"),
    ("run -p 1234", ExitCode.USAGE, "otel-jb run --pid 1234\n"),
    ("demo -p 9000", ExitCode.USAGE, "otel-jb demo --port 9000\n"),
    ("run -v", ExitCode.USAGE, "otel-jb run --log-level=debug\n"),
    ("run --web.listen-address=:9310", ExitCode.USAGE, "otel-jb run --listen=:9310\n"),
    ("run --dry-run", ExitCode.USAGE, "otel-jb run --print-config\n"),
    ("run --version", ExitCode.USAGE, "otel-jb version"),
    ("run --pid ffmpeg", ExitCode.USAGE, "otel-jb run --name ffmpeg\n"),
    ("run --pid", ExitCode.USAGE, "otel-jb run --pid 1234\n"),
    ("run --pid --port 9310", ExitCode.USAGE, "otel-jb run --pid 1234 --port 9310\n"),
    ("run --pid '' --port 9310", ExitCode.USAGE, "otel-jb run --pid 1234 --port 9310\n"),
    ("run --pid '12 13'", ExitCode.USAGE, "otel-jb run --pid 12 --pid 13\n"),
    ("run --pid=12,13", ExitCode.USAGE, "otel-jb run --pid 12 --pid 13\n"),
    ("run --pid 0", ExitCode.USAGE, "expected a process id, got '0'"),
    ("run --port http", ExitCode.USAGE, "otel-jb run --port 9310\n"),
    ("run --port 9310:9310", ExitCode.USAGE, "otel-jb run --port 9310\n"),
    ("run --port 99999", ExitCode.USAGE, "expected a port from 0 to 65535"),
    ("run --listen 9311", ExitCode.USAGE, "otel-jb run --listen 127.0.0.1:9311\n"),
    ("run --listen :9311", ExitCode.USAGE, "otel-jb run --listen 0.0.0.0:9311\n"),
    ("run --listen http://media3:9311/metrics", ExitCode.USAGE, "otel-jb run --listen media3:9311\n"),
    ("run --slow-threshold 10", ExitCode.USAGE, "otel-jb run --slow-threshold 10ms\n"),
    ("run --interval '5 sec'", ExitCode.USAGE, "otel-jb run --interval 5s\n"),
    ("run --overhead-budget 5", ExitCode.USAGE, "otel-jb run --overhead-budget 5%\n"),
    ("run --log-level WARN", ExitCode.USAGE, "otel-jb run --log-level warning\n"),
    ("run --otlp-protocol http", ExitCode.USAGE, "otel-jb run --otlp-protocol http/protobuf\n"),
    ("run --otlp-endpoint 'a b'", ExitCode.USAGE, "otel-jb run --otlp-endpoint http://127.0.0.1:4317\n"),
    ("run --max-probes 0", ExitCode.USAGE, "otel-jb run --max-probes 256\n"),
    ("run --traces=true --wait=yes", ExitCode.USAGE, "otel-jb run --traces=true --wait\n"),
    ("record", ExitCode.USAGE, "otel-jb record incident.jsonl.gz 1234"),
    ("layout", ExitCode.USAGE, "layout needs a TARGET"),
    ("profile", ExitCode.USAGE, "otel-jb profile"),
    ("replay f --speed 2 --no-wait", ExitCode.USAGE, "otel-jb replay f --speed 2\n"),
    ("why --for 9000", ExitCode.USAGE, "otel-jb why --for 60s\n"),
    ("why --for 5", ExitCode.USAGE, "otel-jb why --for 5s\n"),
    ("why xqzwvkj", ExitCode.NO_TARGET, "no process called xqzwvkj"),
    ("discover /usr/bin/readelff", ExitCode.NO_TARGET, "otel-jb discover /usr/bin/readelf "),
    ("plan /sbin/readelf", ExitCode.NO_TARGET, "otel-jb discover /usr/bin/readelf "),
    ("run --config /nonexistent.yaml", ExitCode.USAGE, "otel-jb run --print-config"),
    ("run --service-name x", ExitCode.USAGE, "TARGET"),
    ("--port 9999 doctor", ExitCode.USAGE, "otel-jb doctor --port 9999"),
    ("--config x.yaml discover 1", ExitCode.USAGE, "otel-jb discover --config x.yaml 1"),
    (f"--pid {NOBODY}", ExitCode.NO_TARGET, "`otel-jb discover` lists"),
    ("--pids 1", ExitCode.USAGE, "did you mean --pid?"),
    ("discover xqzwvkj", ExitCode.NO_TARGET, "`otel-jb discover` lists"),
    ("discover readelf", ExitCode.NO_TARGET, "/usr/bin/readelf?"),
    ("discover 1 2", ExitCode.USAGE, "'2'"),
    ("plan", ExitCode.USAGE, "plan needs a TARGET"),
    ("top --connect media3", ExitCode.USAGE, "otel-jb top --connect http://127.0.0.1:9310"),
    ("top --seconds nan", ExitCode.USAGE, "a number of seconds"),
    ("top --replay README.md", ExitCode.USAGE, "README.md"),
    ("plan /bin/true", ExitCode.NO_FUNCTION, "otel-jb discover /bin/true"),
    (f"plan {SPEEX} --function jiter_buffer_put", ExitCode.NO_FUNCTION, "Did you mean jitter_buffer_put"),
    (f"plan {SPEEX} --rate fast", ExitCode.USAGE, "calls per second"),
    (f"discover {SPEEX} --function nosuch", ExitCode.NO_FUNCTION, "It has: jitter_buffer_"),
    ("replay", ExitCode.USAGE, "otel-jb replay incident.jsonl.gz"),
    ("replay /nonexistent", ExitCode.USAGE, "otel-jb record FILE TARGET"),
    ("replay /etc/passwd", ExitCode.USAGE, "otel-jb record FILE"),
]


@pytest.mark.parametrize(("typed", "code", "message"), MISTAKES, ids=[typed for typed, *_ in MISTAKES])
def test_a_mistake_ends_in_one_message_with_the_right_command(
    typed: str, code: ExitCode, message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """One error, no traceback, nothing on standard output, and in it what should have been typed."""
    import shlex

    assert main(shlex.split(typed)) == code
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.startswith("otel-jb: error: ")
    assert printed.err.count("error: ") == 1
    assert "internal" not in printed.err
    assert message in printed.err
    assert len(printed.err) < 1000


def test_every_corrected_command_is_accepted() -> None:
    """Each example value, and each repaired one, passes the parser that refused the typed one."""
    import shlex

    for command in ("run", "demo", "replay f", "plan x", "why", "top"):
        words_ = command.split()
        parser = _parser(words_)
        options = {name: each for each in _command(parser, words_[0])._actions for name in each.option_strings}
        for option in [each for each in corrections.EXAMPLES if each in options]:
            parser.parse_args([*words_, option, corrections.EXAMPLES[option]])
            for typed in ("", "5", "5 sec", "9310", ":9310", "0.0.0.0", "true", "ffmpeg", "12 13", "INFO", "p"):
                try:
                    parser.parse_args([*words_, option, typed])
                except UsageError as error:
                    right = _accepted(parser, [*words_, option, typed], error.message)
                    assert right is not None
                    parser.parse_args(shlex.split(right)[1:])
    for meant in corrections.OF_OTHERS.values():
        for option in meant:
            known, equals, value = option.partition("=")
            assert known in corrections.EXAMPLES or known in {"--json", "--print-config"}
            if equals:
                _parser(["run"]).parse_args(["run", known, value])


def test_a_binary_that_is_not_there_is_one_message() -> None:
    """The guide's `--binary` with a wrong path: in a process of its own, since `run` gives up privileges before it looks."""
    done = otel_jb_process("OTEL_JB --binary /nonexistent --listen off")
    assert done.returncode == ExitCode.NO_TARGET
    assert done.stdout == ""
    assert "otel-jb: error: /nonexistent: no such file" in done.stderr
    assert "Traceback" not in done.stderr


def test_an_option_in_the_commands_place_means_run() -> None:
    """The guide's `--pid` and `--binary` work without a command; the program's own options keep their meaning."""
    assert words.with_command(["--pid", "4220"]) == ["run", "--pid", "4220"]
    assert words.with_command(["--binary", "/usr/bin/ffmpeg", "--port", "9310"])[:2] == ["run", "--binary"]
    assert words.with_command(["--debug", "--pid", "1"]) == ["--debug", "run", "--pid", "1"]
    for unchanged in (["--help"], ["-h"], ["--version"], ["doctor", "--json"], ["--debug", "doctor"], []):
        assert words.with_command(unchanged) == unchanged


def test_the_guides_options_make_the_configuration_that_run_makes(capsys: pytest.CaptureFixture[str]) -> None:
    """`otel-jb --binary F --port P --print-config` prints what `otel-jb run` with the same options prints."""
    options = ["--binary", "/usr/bin/ffmpeg", "--port", "9311", "--print-config"]
    assert main(options) == 0
    printed = capsys.readouterr().out
    assert main(["run", *options]) == 0
    assert printed == capsys.readouterr().out
    assert "binary: /usr/bin/ffmpeg" in printed


def test_targets_may_stand_before_and_behind_options(capsys: pytest.CaptureFixture[str]) -> None:
    """`run 12 --port 0 srs ./x` names a process, a name and a file, in that order."""
    assert main(["run", "12", "--port", "0", "srs*", "./x", "--print-config"]) == 0
    targets = re.search(r"^targets:\n((?:[ -].*\n)+)", capsys.readouterr().out, re.MULTILINE)
    assert targets is not None
    assert targets[1] == "- pid: 12\n- name: srs*\n- binary: ./x\n"


def test_help_and_version_are_commands_too(capsys: pytest.CaptureFixture[str]) -> None:
    """`help`, `help run` and `version` print what the options of that name print."""
    for command, option in ((["help"], ["--help"]), (["help", "run"], ["run", "--help"]), (["version"], ["--version"])):
        assert main(command) == 0
        printed = capsys.readouterr().out
        assert main(option) == 0
        assert printed == capsys.readouterr().out


def test_a_target_means_the_same_everywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits are a PID, a slash or a file that is here is a file, everything else is a name."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").touch()
    (tmp_path / "1234").touch()
    assert target.parse("1234") == Target(pid=1234)
    assert target.parse("./1234") == Target(file="./1234")
    assert target.parse("/usr/bin/ffmpeg") == Target(file="/usr/bin/ffmpeg")
    assert target.parse("here") == Target(file="here")
    assert target.parse("srs*") == Target(name="srs*")
    with pytest.raises(TargetError, match="is not a PID"):
        target.parse("99999999")
    with pytest.raises(UsageError, match="empty"):
        target.parse("")


def test_every_command_with_a_target_uses_the_one_rule(capsys: pytest.CaptureFixture[str]) -> None:
    """discover, plan and doctor answer a number that is no PID, a missing file and an unknown name alike."""
    for word, message in (
        ("99999999", "is not a PID"),
        ("./none", "no such file"),
        ("nosuchserver", "no process called"),
    ):
        said = []
        for command in ("discover", "plan"):
            assert main([command, word]) == ExitCode.NO_TARGET
            said.append(capsys.readouterr().err.splitlines()[0])
        assert len(set(said)) == 1
        assert message in said[0]
        assert main(["doctor", word, "--listen", "127.0.0.1:0"]) != 0
        printed = capsys.readouterr()
        assert message in printed.out + printed.err


@contextmanager
def sleeper(directory: Path, name: str) -> Iterator[int]:
    """A process whose executable has this name."""
    program = directory / name
    if not program.exists():
        shutil.copy(shutil.which("sleep") or "/bin/sleep", program)
    child = subprocess.Popen([program, "100"])
    try:
        yield child.pid
    finally:
        child.kill()
        child.wait()


def test_a_name_means_every_process_of_that_name(tmp_path: Path) -> None:
    """Two processes of one executable are both meant; a command that takes one says which there are."""
    with sleeper(tmp_path, "jb_habits") as one, sleeper(tmp_path, "jb_habits") as other:
        assert [each.pid for each in target.processes(Target(name="jb_habit*"))] == sorted([one, other])
        with pytest.raises(UsageError, match="2 processes are called jb_habits") as caught:
            target.process(Target(name="jb_habits"))
        assert str(one) in caught.value.help
        assert str(other) in caught.value.help
        with pytest.raises(TargetError) as close:
            target.processes(Target(name="jb_habist"))
        assert "Did you mean jb_habits, which is running?" in close.value.help


def test_a_remedy_names_the_command_that_was_typed() -> None:
    """The command is told again with its own options, without those that are to change."""
    assert words.again(["demo", "--port", "9310", "--loss", "5"], "--port") == "otel-jb demo --loss 5"
    assert words.again(["run", "--pid", "1", "--listen=:1"], "--port", "--listen") == "otel-jb run --pid 1"
    assert words.again(["run", "--name", "srs*"]) == "otel-jb run --name 'srs*'"


def test_a_remedy_can_be_typed_from_where_the_program_was_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From a checkout a remedy says scripts/otel-jb, since otel-jb is on nobody's path."""
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    (tmp_path / "scripts").mkdir()
    (tmp_path / "scripts" / "otel-jb").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(tmp_path / ".venv" / "bin" / "otel-jb"), "demo"])
    assert (
        words.named_as_typed("run it as root:\n  sudo otel-jb demo") == "run it as root:\n  sudo scripts/otel-jb demo"
    )
    assert words.named_as_typed("ExecStart=/opt/bin/otel-jb run") == "ExecStart=/opt/bin/otel-jb run"


def otel_jb_process(shell: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """A shell's command line, with OTEL_JB for the program."""
    return subprocess.run(
        ["bash", "-c", shell.replace("OTEL_JB", f"'{sys.executable}' -m otel_jb")],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        cwd=ROOT,
        env={**os.environ, **environ},
    )


def test_a_terminal_without_unicode_gets_ascii() -> None:
    """With an ASCII encoding the marks of `doctor` are words, and nothing fails."""
    done = otel_jb_process("OTEL_JB doctor --listen 127.0.0.1:0", PYTHONIOENCODING="ascii")
    assert done.returncode in (0, ExitCode.CHECK_FAILED)
    assert "ok architecture: " in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("command", [f"discover {SPEEX}", "run --help", "version", "run --print-config"])
def test_output_that_cannot_be_written_is_an_error(command: str) -> None:
    """A full device is one message and its exit code, not a defect."""
    done = otel_jb_process(f"OTEL_JB {command} >/dev/full")
    assert done.returncode == ExitCode.RESOURCES
    assert done.stderr.startswith("otel-jb: error: ")
    assert "cannot be written: no space left on" in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.parametrize("limit", [8, 12, 20, 40])
@pytest.mark.parametrize("command", [f"discover {SPEEX}", f"run --pid {NOBODY} --listen off"])
def test_too_few_descriptors_are_named_as_what_is_missing(limit: int, command: str) -> None:
    """With so few descriptors the command works, or says that it needs more; it never calls that a defect."""
    done = otel_jb_process(f"ulimit -n {limit}; OTEL_JB {command}")
    assert "internal" not in done.stderr
    assert "Traceback" not in done.stderr
    if done.returncode == ExitCode.RESOURCES:
        assert "too many open files" in done.stderr
        assert "ulimit -n" in done.stderr


def test_a_recording_nested_too_deeply_is_damaged(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A hundred thousand brackets are a recording that cannot be read, not a defect."""
    deep = tmp_path / "deep.jsonl"
    deep.write_text('{"format":' + "[" * 100_000 + "\n")
    assert main(["replay", "--print", str(deep)]) == ExitCode.USAGE
    assert "not a recording of otel-jb" in capsys.readouterr().err


def test_a_path_through_anothers_root_without_rights_is_said_to_be_denied() -> None:
    """Without privileges /proc/1/root leads nowhere: permission denied, and who may."""
    program = (
        "import os, sys\n"
        "from otel_jb.cli import discover, plan\nfrom otel_jb.cli.main import main\n"
        "from otel_jb.cli.target import real_path\n"
        "os.setgroups([]); os.setgid(65534); os.setuid(65534)\n"
        "try:\n    real_path('/proc/1/root/usr/bin/ffmpeg')\n"
        "except Exception as error:\n    print(type(error).__name__, error.message, '|', error.help)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, cwd=ROOT)
    assert done.stdout.startswith(f"{PermissionDeniedError.__name__} /proc/1/root: permission denied | Run as root"), (
        done
    )


# -- the list of a whole host ----------------------------------------------------------------------------------


def a_host() -> host.Host:
    ffmpegs = [host.Measured(pid, "ffmpeg", 4, ("ff_rtp_parse_packet",)) for pid in range(100, 300)]
    srs = host.Measured(77, "srs", 51, ("SrsRtcRecvTrack::on_nack", "a", "b", "c"))
    return host.Host(
        looked_at=900,
        measured=[srs, *ffmpegs],
        by_name=[(5, "myserver")],
        unmeasured=[
            Unmeasured(4312, "ffmpeg", "/usr/bin/ffmpeg", "no jitter-buffer function in process 4312 (ffmpeg)")
        ],
        not_permitted=[1, 2],
    )


def test_a_hosts_list_begins_with_what_will_be_measured() -> None:
    """Two hundred FFmpegs are a line, what cannot be measured is named, and the rest is a number."""
    text = "\n".join(host.lines(a_host(), 100, root=False))
    assert text.startswith("`otel-jb run` measures 201 processes here:\n")
    rows = [line for line in text.splitlines() if "ff_rtp_parse_packet" in line]
    assert len(rows) == 1
    assert "200: 100, 101, 102, 103, …" in rows[0]
    assert "SrsRtcRecvTrack::on_nack, a, b and 1 more" in text
    assert "ffmpeg (4312). `otel-jb doctor 4312` says what helps." in text
    assert "myserver (5). `otel-jb run 5` measures them." in text
    assert "697 other processes have no jitter-buffer function" in text
    assert len(text.splitlines()) < 15
    assert max(map(len, text.splitlines())) <= 100


def test_root_is_not_told_to_become_root() -> None:
    """If root may not look, the message names a security module; it advises other users to use sudo."""
    assert "sudo" in "\n".join(host.lines(a_host(), 100, root=False))
    as_root = "\n".join(host.lines(a_host(), 100, root=True))
    assert "sudo" not in as_root
    assert "even by root" in as_root


def test_a_host_without_such_functions_says_so() -> None:
    """An empty list is a sentence."""
    assert list(host.lines(host.Host(looked_at=12), 100, root=True)) == [
        "None of the 12 processes here has a jitter-buffer function that a profile knows."
    ]


def test_this_host_is_listed_with_what_run_would_measure(capsys: pytest.CaptureFixture[str]) -> None:
    """A process that maps libspeexdsp is in the list, with its number of functions."""
    code = f"import ctypes, time; ctypes.CDLL('{SPEEX}'); print('x', flush=True); time.sleep(99)"
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        child.stdout.readline()
        try:
            assert main(["discover"]) == 0
        finally:
            child.kill()
    text = capsys.readouterr().out
    assert re.search(rf"^  python\S* +(\d+: )?[\d, ]*\b{child.pid}\b.* \d+  .*jitter_buffer_put", text, re.MULTILINE), (
        text
    )


def test_progress_is_shown_only_after_a_second_and_taken_away(capsys: pytest.CaptureFixture[str]) -> None:
    """Nothing for what is quick; then a line that is redrawn at most five times a second, and is gone at the end."""
    clock = [0.0]
    progress = Progress(lambda: clock[0], shown=True)
    progress("too early")
    assert capsys.readouterr().err == ""
    clock[0] = 1.1
    progress("looked at 3 of 9")
    clock[0] = 1.2
    progress("too soon")
    assert capsys.readouterr().err == "\r\x1b[Klooked at 3 of 9\r"
    progress.clear()
    assert capsys.readouterr().err == "\r\x1b[K"
    clock[0] = 9.0
    Progress(lambda: clock[0], shown=False)("never")
    assert capsys.readouterr().err == ""


def test_a_step_that_cannot_say_how_far_it_is_shows_the_seconds(capsys: pytest.CaptureFixture[str]) -> None:
    """A step of a second and more moves a line, also while the program is busy; afterwards the line is gone, also after an error.

    What is told to show at once does so.
    """
    clock = itertools.count()
    progress, shown = Progress(lambda: float(next(clock)), shown=True), ""

    def step() -> None:
        nonlocal shown
        with progress.during("reading srs"):
            while shown.count("reading srs") < 2:
                shown += capsys.readouterr().err
            raise KeyError

    with pytest.raises(KeyError):
        step()
    assert re.search(r"\r\x1b\[Kreading srs [|/\\-] \d+ s\r", shown)
    with Progress(lambda: 5.0, shown=True, after_s=0.0).during("starting"):
        waited = time.monotonic() + 20
        while "starting" not in capsys.readouterr().err:
            assert time.monotonic() < waited
    assert capsys.readouterr().err.endswith("\r\x1b[K")
    with Progress(shown=False).during("nothing"):
        pass
    assert capsys.readouterr().err == ""


def test_an_interrupt_while_top_starts_ends_it_once_it_has_started(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SIGINT in the middle of the start raises nothing there, where it could leave a lock held: top ends what it started, then itself."""
    from otel_jb.cli import showing, top
    from otel_jb.views.opened import Opened
    from otel_jb.views.rows import Picture

    ended = []

    @contextmanager
    def source(_: object) -> Iterator[tuple[showing.Source, str]]:
        os.kill(os.getpid(), signal.SIGINT)
        yield showing.Source(Picture, lambda _: Opened()), ""
        ended.append(True)

    monkeypatch.setattr(top, "_source", source)
    assert main(["top"]) == ExitCode.OK
    assert ended == [True]


@pytest.mark.parametrize("form", ["text", "json"])
def test_run_shows_that_it_starts(
    form: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """While files are read and probes attached, a line moves on a terminal, after a second; never between JSON records."""
    from otel_jb.agent import service
    from otel_jb.cli import progress, run
    from otel_jb.doctor import preflight
    from otel_jb.model.errors import AttachError

    clock = itertools.count()
    ticks = threading.Event()

    def progresses(*, shown: bool | None) -> Progress:
        return Progress(lambda: float(next(clock)), shown=True if shown is None else shown)

    class Slow:
        def __init__(self, *_: object, **__: object) -> None:
            self.agent = SimpleNamespace(stop=lambda: None)
            self.reload = None

        def __enter__(self) -> object:
            return self

        def __exit__(self, *_: object) -> None:
            capsys.readouterr()

        def start(self) -> None:
            shown = ""
            while form == "text" and shown.count(progress.STARTING) < 2:
                shown += capsys.readouterr().err
                ticks.wait(0.01)
            ticks.wait(0.5 if form == "json" else 0)
            assert (progress.STARTING in shown + capsys.readouterr().err) == (form == "text")
            raise AttachError("that is all")

    monkeypatch.setattr(run, "Progress", progresses)
    monkeypatch.setattr(preflight, "preflight", lambda *_: None)
    monkeypatch.setattr(run, "early_children", lambda _: nullcontext())
    for name in ("keep_only", "limit_reader", "return_large_blocks", "Signals"):
        monkeypatch.setattr(service, name, lambda *_: None)
    monkeypatch.setattr(service, "Service", Slow)
    assert main(["run", "--log-format", form]) == ExitCode.ATTACH
    assert "that is all" in capsys.readouterr().err


def test_why_shows_how_long_it_still_looks(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """On a terminal, the minute that `why` measures is a line that moves, and is gone before the verdict."""
    from otel_jb.agent import service
    from otel_jb.cli import progress, run, why
    from otel_jb.doctor import preflight
    from otel_jb.model.stream import AgentCost

    clock = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: clock[0])
    monkeypatch.setattr(why, "Progress", lambda: progress.Progress(lambda: clock[0], shown=True))
    monkeypatch.setattr(preflight, "preflight", lambda *_: None)
    monkeypatch.setattr(run, "early_children", lambda _: nullcontext())

    def measure(_config: object, sinks: list[Callable[[object], None]], *, seconds: float, **_: object) -> int:
        for at in (100.0, 105.0, 130.0):
            clock[0] = at
            sinks[0](AgentCost())
        assert seconds == 60
        return 0

    monkeypatch.setattr(service, "run", measure)
    assert main(["why"]) == ExitCode.NO_TARGET  # nothing was measured
    shown = capsys.readouterr().err
    assert "\r\x1b[Klooking: 5 of 60 s\r" in shown
    assert "\r\x1b[Klooking: 30 of 60 s\r\r\x1b[Kotel-jb: error: nothing was measured" in shown
