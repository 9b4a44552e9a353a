# SPDX-License-Identifier: Apache-2.0
"""The right command for a mistyped one: what was typed, with the one wrong word put right.

An option's value is repaired where its meaning is plain (`--interval 5` → `5s`); otherwise an example of a valid value takes its place.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

from otel_jb.cli.words import again, meant

#: A valid value of each option.
EXAMPLES = {
    "--binary": "/usr/bin/ffmpeg",
    "--budget": "10%",
    "--cgroup": "*/srs.service",
    "--clock-rate": "111=48000",
    "--command": "*rtsp://cam7/*",
    "--config": "otel-jb.yaml",
    "--connect": "http://127.0.0.1:9310",
    "--container": "srs*",
    "--delayed": "5",
    "--detail": "all",
    "--duplicated": "2",
    "--end-strategy": "ret-sites",
    "--exclude": "*::get_time",
    "--for": "60s",
    "--function": "*rtp_parse_packet",
    "--usdt": "libc:memory_arena_new",
    "--histogram": "exponential",
    "--inherit-attributes": "on",
    "--interval": "10s",
    "--label": "app=srs",
    "--link": "perf",
    "--listen": "127.0.0.1:9310",
    "--log-format": "json",
    "--log-level": "debug",
    "--loss": "5",
    "--max-probes": "256",
    "--max-series": "4096",
    "--name": "ffmpeg*",
    "--namespace": "media",
    "--otlp-endpoint": "http://127.0.0.1:4317",
    "--otlp-header": "x-tenant=media",
    "--otlp-protocol": "grpc",
    "--overhead-budget": "10%",
    "--pid": "1234",
    "--pod": "srs-*",
    "--port": "9310",
    "--profile": "my-server.yaml",
    "--rate": "1000",
    "--recording": "incident.jsonl.gz",
    "--replay": "incident.jsonl.gz",
    "--retain": "1m",
    "--seconds": "10",
    "--seed": "1",
    "--service-name": "studio-a",
    "--slow-threshold": "10ms",
    "--speed": "60",
    "--stream": "live/cam0",
    "--streams": "20",
    "--traces": "off",
    "--unsafe-uretprobe": "my_function",
    "--user": "srs",
    "--uses-port": "1935",
    "--web-config": "web.yaml",
}

#: Options of other tools and what they mean here; those that the command does not have are not suggested.
OF_OTHERS = {
    "-b": ("--binary",),
    "-c": ("--config",),
    "-d": ("--seconds", "--for", "--detail"),
    "-e": ("--otlp-endpoint",),
    "-f": ("--function", "--config"),
    "-i": ("--interval",),
    "-j": ("--json",),
    "-l": ("--listen",),
    "-n": ("--name",),
    "-o": ("--json",),
    "-p": ("--pid", "--port"),
    "-q": ("--log-level=error",),
    "-t": ("--seconds", "--for"),
    "-u": ("--user",),
    "-v": ("--log-level=debug",),
    "--address": ("--listen",),
    "--bind": ("--listen",),
    "--comm": ("--name",),
    "--config.check": ("--print-config",),
    "--config.file": ("--config",),
    "--dry-run": ("--print-config",),
    "--duration": ("--seconds", "--for"),
    "--endpoint": ("--otlp-endpoint",),
    "--exe": ("--binary",),
    "--file": ("--binary", "--config"),
    "--host": ("--listen",),
    "--log.format": ("--log-format",),
    "--log.level": ("--log-level",),
    "--output": ("--json",),
    "--path": ("--binary",),
    "--process": ("--name",),
    "--quiet": ("--log-level=error",),
    "--symbol": ("--function",),
    "--threshold": ("--slow-threshold",),
    "--timeout": ("--seconds", "--for"),
    "--verbose": ("--log-level=debug",),
    "--web.config.file": ("--web-config",),
    "--web.listen-address": ("--listen",),
}
_VALUE = re.compile(r"argument (--[a-z-]+)(?:/\S+)?: (.*)", re.DOTALL)
_PORT = re.compile(r"[0-9]{1,5}")


def option_named(wrong: str, known: Sequence[str]) -> str | None:
    """The option that the user probably means, possibly with its value; None if there is no such."""
    for option in OF_OTHERS.get(wrong.lower(), ()):
        if option.partition("=")[0] in known:
            return option
    return meant(wrong, known) if wrong.startswith("--") else None


def with_option(words: Sequence[str], wrong: str, right: str) -> str:
    """The command line with one option in place of another, which keeps its value."""
    return again([right + word[len(wrong) :] if word.partition("=")[0] == wrong else word for word in words])


def with_value(words: Sequence[str], message: str, *, repair: bool = True) -> str | None:
    """The command line with the value put right that argparse complains about; None if it complains about something else.

    Without `repair`, the option's example takes the value's place.
    """
    match = _VALUE.match(message)
    if match is None:
        return None
    option = match[1]
    if match[2].startswith("ignored explicit argument"):  # a flag has no value
        return again([option if word.startswith(f"{option}=") else word for word in words])
    if match[2].startswith("not allowed with"):
        return again(words, option) if option in EXAMPLES else again([word for word in words if word != option])
    if option not in EXAMPLES:
        return None
    place = next((n for n, word in enumerate(words) if word == option or word.startswith(f"{option}=")), None)
    if place is None:
        return None
    joined = "=" in words[place]
    typed = words[place].partition("=")[2] if joined else None
    if typed is None and match[2] != "expected one argument" and place + 1 < len(words):
        typed = words[place + 1]
    used = 2 if typed is not None and not joined else 1
    right = _right(option, typed or "", match[2]) if repair else [option, EXAMPLES[option]]
    return again([*words[:place], *right, *words[place + used :]])


def _right(option: str, typed: str, expected: str) -> list[str]:
    if option == "--pid":
        pids = [word for word in re.split(r"[\s,]+", typed) if word.isdecimal() and int(word[:9]) > 0]
        if pids:
            return [part for pid in pids for part in ("--pid", pid)]
        if typed[:1].isalpha():
            return ["--name", typed]
    repaired = _REPAIRS.get(option, _nothing)(typed) if typed else None
    return [option, repaired or _choice(typed, expected) or EXAMPLES[option]]


def _choice(typed: str, expected: str) -> str | None:
    """The word that is most similar, of those that the message lists."""
    listed = re.match(r"expected one of (.*?), got ", expected)
    known = listed[1].split(", ") if listed else []
    return next((word for word in known if typed and word.startswith(typed.lower())), None) or meant(typed, known)


def _nothing(_typed: str) -> None:
    return None


def _time(unit: str) -> Callable[[str], str | None]:
    def repair(typed: str) -> str | None:
        match = re.fullmatch(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)\s*(?:s|secs?|seconds?)?", typed)
        return f"{match[1]}{unit if match[1] == typed else 's'}" if match and float(match[1]) else None

    return repair


def _address(typed: str) -> str | None:
    typed = re.sub(r"^[a-z]+://|/.*$", "", typed)
    host, colon, port = typed.rpartition(":")
    if not colon:
        host, port = ("127.0.0.1", typed) if _PORT.fullmatch(typed) else (typed, "9310")
    if not _PORT.fullmatch(port) or int(port) > 65535 or not re.fullmatch(r"[\w.-]*", host):
        return None
    return f"{host or '0.0.0.0'}:{port}"  # noqa: S104 - what other tools mean by it


def _port_of(typed: str) -> str | None:
    last = re.search(r"(?:^|:)([0-9]{1,5})$", typed)
    return last[1] if last and 0 < int(last[1]) < 65536 else None


def _percentage(typed: str) -> str | None:
    return f"{typed}%" if re.fullmatch(r"[0-9]{1,3}", typed) and int(typed) else None


_REPAIRS: dict[str, Callable[[str], str | None]] = {
    "--budget": _percentage,
    "--for": _time("s"),
    "--interval": _time("s"),
    "--listen": _address,
    "--overhead-budget": _percentage,
    "--port": _port_of,
    "--retain": _time("s"),
    "--seconds": lambda typed: re.sub(r"\s*[a-z]+$", "", typed) if re.fullmatch(r"[0-9]+\s*[a-z]+", typed) else None,
    "--slow-threshold": _time("ms"),
    "--uses-port": _port_of,
}
