# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import io
import json
import logging
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.agent import log
from otel_jb.model.stream import ProbeState, ProbeStatus
from otel_jb.model.text import LIMIT, number_of, printable, printable_lines
from tests.telemetry_samples import FFMPEG, PUT

pytestmark = pytest.mark.unit

HOSTILE = "a\x1b[2J\u202egnp\r\nlevel=error\udcff\x00\u200f"


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("plain é 漢 שלום", "plain é 漢 שלום"),
        ("a\nb\tc", r"a\nb\tc"),
        ("\x1b[31m", r"\x1b[31m"),
        ("\udcff\udc80", r"\xff\x80"),
        ("\ud800", r"\ud800"),
        ("\u202eabc\u200f\u2028", r"\u202eabc\u200f\u2028"),
        ("\U000e0001", r"\U000e0001"),
        ("a\u00a0b", r"a\xa0b"),
    ],
)
def test_what_a_terminal_or_a_log_obeys_is_escaped(given: str, shown: str) -> None:
    """Control and format characters, odd spaces, surrogates and undecodable bytes are shown as escapes; letters stay."""
    assert printable(given) == shown


@given(
    st.text(st.characters(), max_size=200) | st.binary(max_size=200).map(lambda b: b.decode("utf-8", "surrogateescape"))
)
def test_whatever_goes_in_what_comes_out_is_printable_utf8_and_stays_as_it_is(text: str) -> None:
    """For every text, bytes that are not UTF-8 among them, the result is printable, encodable, bounded, and its own result."""
    shown = printable(text)
    assert shown.isprintable()
    assert shown.encode("utf-8").decode() == shown
    assert len(shown) <= LIMIT
    assert printable(shown) == shown


def test_long_names_are_cut_and_stay_two() -> None:
    """A megabyte is cut to the limit; two that differ at their end only differ in their hashes."""
    one, other = printable("x" * 10**6 + "1"), printable("x" * 10**6 + "2")
    assert len(one) == len(other) == LIMIT
    assert one != other
    assert one[: LIMIT - 20] == "x" * (LIMIT - 20)
    assert len(printable("\n" * 10**6)) == LIMIT


def test_lines_that_are_meant_stay_lines() -> None:
    """Help of several lines keeps them; all else in it is escaped."""
    assert printable_lines("try:\n\tsudo x\r\n\x1b") == "try:\n    sudo x\\r\n\\x1b"


def test_records_are_printable_however_they_are_made() -> None:
    """A target's, a series', a probe's and a slow call's texts are escaped as the record is made, also by `replace`."""
    target = replace(FFMPEG, name=HOSTILE, executable=HOSTILE, service_name=HOSTILE, attributes=(("k\n", HOSTILE),))
    series = replace(PUT, function=HOSTILE, file=HOSTILE, drop_reasons=(HOSTILE,))
    status = ProbeStatus(1, HOSTILE, HOSTILE, "p", ProbeState.FAILED, HOSTILE)
    shown = printable(HOSTILE)
    assert (target.name, target.executable, target.service_name) == (shown, shown, shown)
    assert target.attributes == ((r"k\n", shown),)
    assert (series.function, series.file, series.drop_reasons) == (shown, shown, (shown,))
    assert (status.function, status.file, status.reason) == (shown, shown, shown)


@pytest.mark.parametrize("form", ["text", "json"])
def test_a_name_cannot_make_a_line_of_the_log(form: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A message with line ends and escapes in a name is one printable line, in either form."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    log.configure("info", form)
    try:
        logging.getLogger("otel_jb.test").info("measuring %s", HOSTILE)
    finally:
        logging.getLogger("otel_jb").handlers.clear()
        logging.getLogger("otel_jb").propagate = True
    line, end = out.getvalue()[:-1], out.getvalue()[-1]
    assert end == "\n"
    assert line.isprintable()
    assert line.encode("utf-8")
    assert r"a\x1b[2J\u202egnp\r\nlevel=error\xff" in (json.loads(line)["message"] if form == "json" else line)


def test_json_has_fields_of_what_a_message_is_about(monkeypatch: pytest.MonkeyPatch) -> None:
    """`pid`, `target` and `function` are fields of their own, and an exception is one too."""
    out = io.StringIO()
    monkeypatch.setattr("sys.stderr", out)
    log.configure("info", "json")
    logger = logging.getLogger("otel_jb.test")
    try:
        logger.warning("shed", extra=log.about(FFMPEG, "f"))
        logger.warning("plain")
        try:
            raise ValueError(HOSTILE)
        except ValueError:
            logger.exception("failed")
    finally:
        logging.getLogger("otel_jb").handlers.clear()
        logging.getLogger("otel_jb").propagate = True
    shed, plain, failed = map(json.loads, out.getvalue().splitlines())
    assert (shed["pid"], shed["target"], shed["function"]) == (4711, "ffmpeg", "f")
    assert not {"pid", "target", "function"} & plain.keys()
    assert "Traceback" in failed["exception"]
    assert all(line.isprintable() for line in failed["exception"].splitlines())


def test_one_of_a_thing_is_no_plural() -> None:
    """One file and one process; none or several have the plural's ending."""
    assert [number_of(count, noun) for noun in ("file", "process") for count in (0, 1, 2)] == [
        *("0 files", "1 file", "2 files"),
        *("0 processes", "1 process", "2 processes"),
    ]
