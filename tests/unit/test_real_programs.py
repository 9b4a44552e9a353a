# SPDX-License-Identifier: Apache-2.0
"""The sender, the protocol and the table of the benchmark of real programs."""

from __future__ import annotations

from benchmarks.real import ng
from benchmarks.real.row import Claim, Row, table
from benchmarks.real.sender import CLEAN, Plan, schedule


def test_a_seed_decides_what_is_lost_delayed_and_sent_twice() -> None:
    """One seed gives one order; what leaves is what was not lost and what was doubled, and the ends of the stream are untouched."""
    order, sent = schedule(Plan())
    assert schedule(Plan()) == (order, sent)
    assert schedule(Plan(seed=15))[0] != order
    assert sent.packets == len(order) == Plan().packets - sent.lost + sent.duplicated
    assert sent.truth.lost == sent.lost == Plan().packets - sent.unique
    assert sent.truth.duplicated == sent.duplicated
    assert min(sent.lost, sent.delayed, sent.duplicated, sent.truth.reordered) > 0
    assert [due for due, _ in order] == sorted(due for due, _ in order)
    numbers = [number for _, number in order]
    assert numbers[:CLEAN] == list(range(CLEAN))
    assert set(range(Plan().packets - CLEAN, Plan().packets)) <= set(numbers)


def test_a_dictionary_survives_bencoding() -> None:
    """What rtpengine is asked comes back as it was, keys in order."""
    text = ng.encode({"command": "offer", "codec": {"mask": ["PCMU"], "transcode": []}, "number": -3})
    assert text == b"d5:codecd4:maskl4:PCMUe9:transcodelee7:command5:offer6:numberi-3ee"
    assert ng.decode(text) == {b"command": b"offer", b"codec": {b"mask": [b"PCMU"], b"transcode": []}, b"number": -3}


def test_a_row_without_claims_has_its_reason_and_no_number() -> None:
    """Only what was compared and is equal counts as equal; a value that is missing on either side does not."""
    whole = Row("one", "1", ".dynsym", "put", (Claim("packets", 5, 5, "the sender"),))
    assert whole.good
    for counted, true in ((5, 6), (None, 5), (5, None), (None, None)):
        row = Row("one", "1", ".dynsym", "put", (Claim("packets", counted, true, "the sender"),))
        assert not row.good
        assert "| **no** |" in table([row])
    absent = Row("two", "", why="it is not installed")
    assert not absent.good
    assert table([absent]).splitlines()[-1] == "| two | not measured | it is not installed | | | |"


def test_a_renewed_row_leaves_the_others_as_they_were() -> None:
    """A table that is renewed for one program keeps every line of the others, in their order."""
    claims = (Claim("packets", 5, 5, "the sender"), Claim("bytes", 7, 8, "the sender"))
    first = [Row(name, "1", ".dynsym", "put", claims) for name in ("one", "two", "three")]
    before = table(first)
    renewed = Row("two", "2", ".dynsym", "put", claims[:1])
    assert table([first[1]], before) == before
    assert table([renewed], before) == table([first[0], renewed, first[2]])


def test_each_row_bears_its_own_date() -> None:
    """The date stands below the version, and a row that is renewed later takes the place of the one with the older date."""
    claims = (Claim("packets", 5, 5, "the sender"),)
    first = [Row(name, "1", ".dynsym", "put", claims, date="2026-01-02") for name in ("one", "two")]
    renewed = Row("one", "1", ".dynsym", "put", claims, date="2026-01-03")
    lines = table([renewed], table(first)).splitlines()[2:]
    assert [line.split(" |")[0] for line in lines] == ["| one<br>1<br>2026-01-03", "| two<br>1<br>2026-01-02"]
    assert (
        table([Row("three", "", why="it is not installed", date="2026-01-02")])
        .splitlines()[-1]
        .startswith("| three<br>2026-01-02 | ")
    )
