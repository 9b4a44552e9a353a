# SPDX-License-Identifier: Apache-2.0
"""Clock rates from session descriptions."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.cli.main import main
from otel_jb.streams.sdp import clock_rates

pytestmark = pytest.mark.unit

CALL = """v=0\r
o=- 1 1 IN IP4 192.0.2.1\r
s=call\r
t=0 0\r
m=audio 5004 RTP/AVP 111 101 8\r
a=rtpmap:111 opus/48000/2\r
a=fmtp:111 minptime=10\r
a=rtpmap:101 telephone-event/8000\r
a=rtpmap:8 PCMA/8000\r
m=video 5006 RTP/AVP 96 97\r
a=rtpmap:96 H264/90000\r
a=rtpmap:97 rtx/90000\r
"""


def test_every_medium_gives_its_clock_rates() -> None:
    """Audio with and without channels, video and retransmissions: each payload type has the rate behind the slash."""
    assert clock_rates(CALL) == {111: 48000, 101: 8000, 8: 8000, 96: 90000, 97: 90000}


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("v=0\nm=audio 5004 RTP/AVP 0\n", "no a=rtpmap line"),
        (
            CALL + "a=rtpmap:96 VP8/48000\n",
            "line 13 gives payload type 96 a clock rate of 48000 Hz, and a line before it 90000",
        ),
        ("a=rtpmap:128 X/8000\n", "line 1 is no a=rtpmap"),
        ("v=0\na=rtpmap:96 X\n", "line 2 is no a=rtpmap"),
        ("a=rtpmap:96 X/0\n", "line 1 is no a=rtpmap"),
        ("a" * (1 << 21), "no SDP"),
    ],
)
def test_what_gives_no_clear_rate_is_refused(text: str, complaint: str) -> None:
    """Without any rate, with two rates for one payload type, or with a line that is none, it says which line is wrong."""
    with pytest.raises(ValueError, match=complaint):
        clock_rates(text)


@given(st.text(max_size=400), st.integers(0, 127), st.integers(1000, 10_000_000))
def test_any_text_around_changes_nothing_but_the_verdict(noise: str, payload_type: int, rate: int) -> None:
    """Whatever stands around a map, its rate is found or the whole is refused; never another rate."""
    try:
        found = clock_rates(f"{noise}\na=rtpmap:{payload_type} x/{rate}\n{noise}\n")
    except ValueError:
        return
    assert found[payload_type] == rate


def _printed(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict[str, int]:
    assert main(["run", "--print-config", *arguments]) == 0
    rates: dict[str, int] = yaml.safe_load(capsys.readouterr().out)["rtp"]["clock_rates"]
    return {str(key): int(value) for key, value in rates.items()}


def test_the_command_line_takes_descriptions(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """--sdp adds its rates to the configuration, several files add up, and --clock-rate overrides them."""
    (tmp_path / "call.sdp").write_text(CALL)
    (tmp_path / "other.sdp").write_text("a=rtpmap:120 VP9/90000\na=rtpmap:111 opus/48000/2\n")
    files = ("--sdp", str(tmp_path / "call.sdp"), "--sdp", str(tmp_path / "other.sdp"))
    found = _printed(capsys, *files, "--clock-rate", "96=48000")
    assert found == {"111": 48000, "101": 8000, "8": 8000, "96": 48000, "97": 90000, "120": 90000}


def test_descriptions_that_disagree_are_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two files with two rates for one payload type end the command with a message that names type, rates and file."""
    (tmp_path / "call.sdp").write_text(CALL)
    (tmp_path / "other.sdp").write_text("a=rtpmap:96 VP8/48000\n")
    files = ("--sdp", str(tmp_path / "call.sdp"), "--sdp", str(tmp_path / "other.sdp"))
    assert main(["run", "--print-config", *files]) == 2
    said = capsys.readouterr().err
    assert "payload type 96 has a clock rate of 48000 Hz, and 90000 Hz in another description" in said
    assert "other.sdp" in said


def test_a_file_that_is_not_there_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    """The message has the path and the reason."""
    assert main(["run", "--sdp", "/nowhere/call.sdp"]) == 2
    assert "/nowhere/call.sdp: No such file or directory" in capsys.readouterr().err
