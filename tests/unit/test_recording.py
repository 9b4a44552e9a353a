# SPDX-License-Identifier: Apache-2.0
"""Recordings: a file gives back the records that were written, and damage ends in one clear message."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from otel_jb.agent import recording
from otel_jb.model.errors import UsageError
from otel_jb.model.stream import AgentCost, ProbeState, ProbeStatus, SlowCall, Snapshot, StreamRecord, TargetEnded

pytestmark = pytest.mark.unit

U64 = st.integers(0, 2**64 - 1)
KINDS = tuple(recording.KINDS.values())


def any_record() -> st.SearchStrategy[StreamRecord]:
    # 64-bit numbers with the extremes that floats would round, text with every character that JSON escapes.
    finite = st.floats(allow_nan=False, allow_infinity=False)
    st.register_type_strategy(int, st.integers(-(2**63), 2**64 - 1))
    st.register_type_strategy(float, finite)
    return st.one_of([st.from_type(kind) for kind in KINDS])


def write(path: Path, records: list[StreamRecord]) -> None:
    writer = recording.Writer(str(path))
    for record in records:
        writer.write(record)
    writer._made = False  # else one without records would be removed
    writer.close()


def read(path: Path) -> list[StreamRecord]:
    with recording.Reader(str(path)) as reader:
        return [item.record for item in reader]


SNAPSHOT = Snapshot(1_700_000_000_000_000_001, 2**63 + 1, (1, 2), ())
ENDED = TargetEnded(3, 2**63 + 3)


@given(records=st.lists(any_record(), max_size=5), compressed=st.booleans())
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
def test_every_record_comes_back_equal(
    tmp_path_factory: pytest.TempPathFactory, records: list[StreamRecord], compressed: bool
) -> None:
    """Every kind of record with any values reads back equal, compressed or not."""
    path = tmp_path_factory.mktemp("recording") / ("r.jsonl.gz" if compressed else "r.jsonl")
    write(path, records)
    assert read(path) == records


def test_every_kind_of_the_stream_is_known() -> None:
    """The recording knows exactly the members of the StreamRecord union."""
    assert {"Target", "Series", "ProbeStatus", "Snapshot", "SlowCall", "HostShare", "TargetEnded", "AgentCost"} == set(
        recording.KINDS
    )


def test_a_gzip_name_gives_a_gzip_file(tmp_path: Path) -> None:
    """A name that ends in .gz is compressed, and zcat's own reader agrees on the lines."""
    path = tmp_path / "r.jsonl.gz"
    write(path, [SNAPSHOT])
    lines = gzip.decompress(path.read_bytes()).splitlines()
    assert json.loads(lines[0])["format"] == "otel-jb recording"
    assert json.loads(lines[1])["record"]["time_ns"] == 2**63 + 1


def test_integers_are_written_exactly_and_enums_by_value(tmp_path: Path) -> None:
    """A number above 2^53 stands in the file digit by digit, and a state by its word."""
    path = tmp_path / "r.jsonl"
    write(path, [ProbeStatus(2**63 + 5, "f", "/x", "p", ProbeState.SHED, "cost")])
    text = path.read_text()
    assert '"target":9223372036854775813' in text
    assert '"state":"shed"' in text


def test_the_file_is_for_its_owner_alone(tmp_path: Path) -> None:
    """A recording may hold memory of the target, so only its owner may read it."""
    path = tmp_path / "r.jsonl"
    write(path, [])
    assert path.stat().st_mode & 0o777 == 0o600


def test_an_existing_file_is_not_overwritten(tmp_path: Path) -> None:
    """The recording of an incident is never lost to a second run."""
    path = tmp_path / "r.jsonl"
    path.write_text("precious")
    with pytest.raises(UsageError, match="exists already"):
        recording.Writer(str(path))
    assert path.read_text() == "precious"


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_a_killed_agent_leaves_everything_up_to_the_last_snapshot(tmp_path: Path, name: str) -> None:
    """Without close, all records up to a snapshot are in the file and read back."""
    path = tmp_path / name
    writer = recording.Writer(str(path))
    writer.write(ENDED)
    writer.write(SNAPSHOT)
    with recording.Reader(str(path)) as reader:
        assert [item.record for item in reader] == [ENDED, SNAPSHOT]
    writer.close()


@pytest.mark.parametrize("name", ["r.jsonl", "r.jsonl.gz"])
def test_a_cut_off_end_is_said_and_tolerated(tmp_path: Path, name: str, caplog: pytest.LogCaptureFixture) -> None:
    """A recording cut anywhere behind its first record gives a prefix of the records and a message, never an error."""
    path = tmp_path / name
    records: list[StreamRecord] = [SNAPSHOT, ENDED, SNAPSHOT]
    write(path, records)
    whole = path.read_bytes()
    for length in range(len(whole) - 30, len(whole) - 9):
        path.write_bytes(whole[:length])
        with recording.Reader(str(path)) as reader:
            found = [item.record for item in reader]
        assert found == records[: len(found)]
        assert reader.truncated
    assert "truncated" in caplog.text


def test_a_damaged_line_in_the_middle_is_an_error_with_its_line(tmp_path: Path) -> None:
    """Damage before the end is not passed over: the message names file and line."""
    path = tmp_path / "r.jsonl"
    write(path, [ENDED, ENDED])
    lines = path.read_text().splitlines(keepends=True)
    path.write_text(lines[0] + '{"at_ns":1,"kind":"TargetEnded","record":{"target":1.5}}\n' + lines[2])
    with pytest.raises(UsageError, match=r"r\.jsonl:2: damaged recording: TargetEnded lacks time_unix_nano"):
        read(path)


@pytest.mark.parametrize("value", ["1.5", "true", '"1"', "null", "1e3", "[]"])
def test_only_integers_are_integers(tmp_path: Path, value: str) -> None:
    """A float, a truth value or a text is not taken for a count."""
    path = tmp_path / "r.jsonl"
    write(path, [])
    with path.open("a") as file:
        file.write(f'{{"at_ns":1,"kind":"TargetEnded","record":{{"target":{value},"time_unix_nano":1}}}}\n')
    with pytest.raises(UsageError, match="expected int"):
        read(path)


def test_unknown_kinds_are_skipped_and_counted(tmp_path: Path) -> None:
    """A record of a later release is skipped, counted by its name, and its neighbours are used."""
    path = tmp_path / "r.jsonl"
    write(path, [ENDED])
    with path.open("a") as file:
        file.write('{"at_ns":5,"kind":"Weather","record":{"sun":1}}\n' * 2)
    with recording.Reader(str(path)) as reader:
        assert [item.record for item in reader] == [ENDED]
    assert reader.skipped == {"Weather": 2}


def test_unknown_fields_are_ignored_and_missing_ones_take_their_default(tmp_path: Path) -> None:
    """Recordings of earlier and later releases of the same format are readable."""
    path = tmp_path / "r.jsonl"
    write(path, [])
    with path.open("a") as file:
        file.write('{"at_ns":5,"kind":"AgentCost","record":{"colour":"red"}}\n')
    assert read(path) == [AgentCost()]


@pytest.mark.parametrize("content", [b"", b"\n", b"null\n", b"[]\n", b"hello", b"\x00\xff\xfe", b'{"format":"x"}\n'])
def test_what_is_no_recording_is_refused(tmp_path: Path, content: bytes) -> None:
    """Any other file is named as no recording, with what to do."""
    path = tmp_path / "r"
    path.write_bytes(content)
    with pytest.raises(UsageError, match="not a recording"):
        recording.Reader(str(path))


def test_a_newer_format_is_refused_by_its_version(tmp_path: Path) -> None:
    """A format that this release does not know is not guessed at; the message names the release that made it."""
    path = tmp_path / "r"
    path.write_text('{"format":"otel-jb recording","version":2,"agent":"9.9"}\n')
    with pytest.raises(UsageError, match="version 2") as caught:
        recording.Reader(str(path))
    assert "9.9" in caught.value.help


def test_an_endless_line_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory that a hostile file can claim is bounded by the longest line."""
    path = tmp_path / "r"
    write(path, [])
    monkeypatch.setattr(recording, "MAX_LINE_BYTES", 1000)
    with path.open("a") as file:
        file.write(" " * 2000 + "\n")
    with pytest.raises(UsageError, match="line is longer"):
        read(path)


@pytest.mark.parametrize("place", ["missing", "."])
def test_what_cannot_be_read_is_said(tmp_path: Path, place: str) -> None:
    """A missing file and a directory give one message each."""
    with pytest.raises(UsageError, match="cannot be read"):
        recording.Reader(str(tmp_path / place))


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A directory that does not exist gives one message."""
    with pytest.raises(UsageError, match="cannot be written"):
        recording.Writer(str(tmp_path / "no" / "r.jsonl"))


def test_a_full_disk_ends_the_recording_and_nothing_else(caplog: pytest.LogCaptureFixture) -> None:
    """Where nothing can be written any more the writer says so once and goes on without."""
    writer = recording.Writer("/dev/full")
    for _ in range(3):
        writer.write(SNAPSHOT)
    writer.close()
    assert writer.written == 0
    assert not writer.complete
    assert caplog.text.count("the recording ends here") == 1


def test_a_run_that_never_measured_leaves_no_file(tmp_path: Path) -> None:
    """A recording without a record is removed when it is closed."""
    path = tmp_path / "r.jsonl"
    writer = recording.Writer(str(path))
    assert path.exists()
    writer.close()
    assert not path.exists()


def test_times_are_counted_from_the_beginning(tmp_path: Path) -> None:
    """Each record bears the time since the recording began, in nanoseconds."""
    times = iter([1000, 1000 + 7, 1000 + 2**40])
    path = tmp_path / "r"
    writer = recording.Writer(str(path), clock_ns=lambda: next(times))
    writer.write(ENDED)
    writer.write(ENDED)
    writer.close()
    with recording.Reader(str(path)) as reader:
        assert [item.at_ns for item in reader] == [7, 2**40]


@given(data=st.binary(max_size=400))
@settings(max_examples=100, deadline=None)
def test_hostile_bytes_give_a_message_or_records(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    """Whatever follows a valid header, the reader gives records or raises UsageError, nothing else."""
    path = tmp_path_factory.mktemp("hostile") / "r"
    write(path, [SlowCall(1, 2, "t", 3, 4, 5, None, None, None, None, stack_copy=b"\x00\xff")])
    with path.open("ab") as file:
        file.write(data)
    try:
        read(path)
    except UsageError as error:
        assert str(path) in error.message  # noqa: PT017 - raising is allowed, not demanded
