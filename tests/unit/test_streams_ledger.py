# SPDX-License-Identifier: Apache-2.0
"""Which streams have a label, and what is credited to it."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from otel_jb.streams.clocks import ticks
from otel_jb.streams.ledger import IDLE_NS, OTHER, Counts, Key, Ledger, Reading

SECOND = 1_000_000_000


def reading(ssrc: int, received: int, buffer: int = 1, lost: int = 0) -> Reading:
    counts = Counts(received=received, lost=lost, gaps=(received, 0), gaps_ns=7 * received)
    return Reading((ssrc, buffer), ssrc, counts, 1000 * ssrc)


def received(ledger: Ledger) -> dict[str, int]:
    return {each.stream: each.received for each in ledger.shown(1)}


@given(
    st.integers(1, 4),
    st.lists(
        st.tuples(st.lists(st.integers(0, 50), min_size=8, max_size=8), st.booleans(), st.sampled_from([1, 10, 61])),
        min_size=1,
        max_size=15,
    ),
)
@settings(max_examples=150)
def test_no_label_falls_and_the_sum_is_what_all_streams_counted(
    most: int, turns: list[tuple[list[int], bool, int]]
) -> None:
    """Whichever streams are busy, start or end, a visible label never decreases, and live labels and `_other` bound the rest."""
    ledger = Ledger(most)
    totals: dict[int, int] = dict.fromkeys(range(8), 0)
    now = credited = 0
    before: dict[str, int] = {}
    gone = 0
    for packets, rank, seconds in turns:
        now += seconds * SECOND
        for ssrc, more in enumerate(packets):
            totals[ssrc] += more
            credited += more
        ended = ledger.read([reading(ssrc, total) for ssrc, total in totals.items()], now, now, rank=rank)
        for ssrc, _ in ended:
            totals[ssrc] = 0
        after = received(ledger)
        gone += sum(count for label, count in before.items() if label not in after)
        assert all(after[label] >= count for label, count in before.items() if label in after)
        assert sum(after.values()) <= credited
        if not gone and not ended:
            assert sum(after.values()) == credited
            assert sum(sum(each.gaps) for each in ledger.shown(1)) == credited
            assert sum(each.gaps_ns for each in ledger.shown(1)) == 7 * credited
        assert len(after) <= 2 * most + 1
        before = after


def test_the_busiest_take_the_labels_and_keep_them_against_equals() -> None:
    """A stream that is much busier takes the label of the idlest; one that is a little busier does not."""
    ledger = Ledger(2)
    ledger.read([reading(1, 10), reading(2, 10), reading(3, 10)], SECOND, 0)
    assert received(ledger) == {"ssrc:00000001": 10, "ssrc:00000002": 10, OTHER: 10}
    ledger.read([reading(1, 110), reading(2, 110), reading(3, 115)], 2 * SECOND, 0, rank=True)
    assert received(ledger) == {"ssrc:00000001": 110, "ssrc:00000002": 110, OTHER: 115}
    ledger.read([reading(1, 210), reading(2, 120), reading(3, 315)], 3 * SECOND, 0, rank=True)
    ledger.read([reading(1, 211), reading(2, 121), reading(3, 316)], 4 * SECOND, 0)
    assert received(ledger) == {"ssrc:00000001": 211, "ssrc:00000002": 120, "ssrc:00000003": 1, OTHER: 316}


def test_an_ended_stream_leaves_nothing_and_may_come_again() -> None:
    """After a minute without a packet its label is gone; should it send again it begins at 0 with another start."""
    ledger = Ledger(5)
    ledger.read([reading(1, 10)], 0, 100)
    assert ledger.read([reading(1, 10)], IDLE_NS - 1, 200) == []
    assert ledger.read([reading(1, 10)], IDLE_NS, 300) == [(1, 1)]
    assert ledger.shown(1) == []
    ledger.read([reading(1, 4)], IDLE_NS + SECOND, 400)
    (again,) = ledger.shown(1)
    assert (again.received, again.since_unix_nano) == (4, 400)


def test_streams_of_one_name_share_a_label() -> None:
    """Sound and picture of one name add up, the worse jitter is shown, and a name that comes late takes over from then on."""
    names: dict[Key, str] = {}
    ledger = Ledger(1, names.get)
    ledger.read([reading(1, 10), reading(2, 10)], SECOND, 0)
    assert received(ledger) == {"ssrc:00000001": 10, OTHER: 10}
    names.update({(1, 1): "live/cam0", (2, 1): "live/cam0"})
    ledger.read([reading(1, 15, lost=2), reading(2, 16, lost=-1)], 2 * SECOND, 0)
    (named,) = [each for each in ledger.shown(1) if each.stream == "live/cam0"]
    assert (named.received, named.lost, named.jitter_ns, named.ssrc) == (11, 1, 2000, None)


def test_streams_that_swap_names_count_under_what_they_are_called_now() -> None:
    """From the next packet on each counts under the other's name, and what it had counted stays where it was."""
    names: dict[Key, str] = {(1, 1): "live/a", (2, 1): "live/b"}
    ledger = Ledger(2, names.get)
    ledger.read([reading(1, 10), reading(2, 20)], SECOND, 0, rank=True)
    assert received(ledger) == {"live/a": 10, "live/b": 20}
    names.update({(1, 1): "live/b", (2, 1): "live/a"})
    ledger.read([reading(1, 11), reading(2, 25)], 2 * SECOND, 0, rank=True)
    assert received(ledger) == {"live/a": 15, "live/b": 21}
    assert [each.ssrc for each in ledger.shown(1)] == [2, 1]


def test_a_name_ends_with_the_memory_that_says_it() -> None:
    """A stream whose name is not there any more, or says something else, never counts under it again; what was counted stays for a minute."""
    names: dict[Key, str] = {(1, 1): "live/a"}
    ledger = Ledger(2, names.get)
    ledger.read([reading(1, 10)], SECOND, 0, rank=True)
    del names[1, 1]
    ledger.read([reading(1, 15)], 2 * SECOND, 0, rank=True)
    assert received(ledger) == {"live/a": 10, "ssrc:00000001": 5}
    names[1, 1] = "live/c"
    ledger.read([reading(1, 17)], 3 * SECOND, 0, rank=True)
    assert received(ledger) == {"live/a": 10, "live/c": 2, "ssrc:00000001": 5}
    ledger.read([reading(1, 18)], 2 * SECOND + IDLE_NS, 0)
    assert "live/a" not in received(ledger)


def test_what_found_no_room_is_in_other() -> None:
    """Packets of streams that the kernel does not follow are received under `_other`, each once."""
    ledger = Ledger(3)
    for total in (5, 5, 9):
        ledger.read([], SECOND, 0, Counts(received=total, bytes=100 * total))
    (other,) = ledger.shown(1)
    assert (other.stream, other.received, other.bytes, other.lost) == (OTHER, 9, 900, 0)


def test_clock_rates_are_those_of_rfc_3551_unless_said_otherwise() -> None:
    """PCMU steps every 125 µs, MPEG video 90 000 times a second; a dynamic type has the rate that is given."""
    known = ticks({111: 48000})
    assert known[0] == 125_000 << 16
    assert known[32] == (10**9 << 16) // 90000
    assert known[111] == (10**9 << 16) // 48000
    assert 96 not in known


def test_a_buffer_is_called_what_its_streams_share() -> None:
    """One stream gives its label and SSRC, two of one name the label alone, two of different names nothing, and what has ended nothing."""
    names = {(1, 10): "live/cam0", (2, 20): "live/cam1", (3, 20): "live/cam1", (4, 30): "live/cam2"}
    ledger = Ledger(1, names.get)
    everyone = [reading(ssrc, 10, buffer=buffer) for ssrc, buffer in (*names, (5, 30))]
    ledger.read(everyone, SECOND, 0)
    assert ledger.called(10) == ("live/cam0", 1)
    assert ledger.called(20) == ("live/cam1", None)
    assert ledger.called(30) is None  # live/cam2 and ssrc:00000005
    assert ledger.called(40) is None
    ledger.read([], SECOND + IDLE_NS, 0)
    assert ledger.called(10) is None
