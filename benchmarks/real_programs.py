# SPDX-License-Identifier: Apache-2.0
"""Measures real programs as they are installed, and renews the table of docs/real-programs.md.

    .venv/bin/python -m benchmarks.real_programs [--only NAME ...] [--dry-run]

Root; bpftrace, and the programs, as packages (the page lists them). Each one receives RTP from a sender that loses, delays and duplicates
by a seed; the agent's counts are compared with the sender's, with the program's own statistics, and with bpftrace's. A program
that cannot be measured gets a row that says why. The exit status is 1 if anything that was compared differs.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import replace
from pathlib import Path

from benchmarks.real import asterisk, languages, pjsip, players, servers, telephony, webrtc
from benchmarks.real.row import Measure, NotMeasuredError, Row, table
from benchmarks.report import machine, replaced

PART = "real-programs"
BEGIN, END = f"<!-- measured: {PART} -->", f"<!-- end: {PART} -->"
PAGE = Path(__file__).parents[1] / "docs" / "real-programs.md"
PROGRAMS: dict[str, tuple[str, Measure]] = {
    "ffmpeg": ("FFmpeg of Debian", players.ffmpeg),
    "pyav": ("PyAV", players.pyav),
    "gstreamer": ("GStreamer", players.gstreamer),
    "vlc": ("VLC", players.vlc),
    "mediastream": ("oRTP, in mediastream", telephony.mediastream),
    "baresip": ("baresip", telephony.baresip),
    "rtpengine": ("rtpengine, transcoding", telephony.rtpengine),
    "rtpengine-jitter-buffer": ("rtpengine `--jitter-buffer`", telephony.rtpengine_buffer),
    "pion": ("Go, with pion", languages.pion),
    "mediamtx": ("MediaMTX", servers.mediamtx),
    "mediamtx-stripped": ("MediaMTX, stripped", servers.mediamtx_stripped),
    "livekit": ("LiveKit's SFU buffer, in Go", languages.livekit),
    "webrtc-rs": ("Rust, with webrtc-rs", languages.webrtc_rs),
    "janus": ("Janus", webrtc.janus),
    "chromium": ("Chromium, headless", webrtc.chromium),
    "wrtc": ("`@roamhq/wrtc`", webrtc.wrtc),
    "asterisk": ("Asterisk", asterisk.asterisk),
    "pjsip": ("PJSIP", pjsip.pjsip),
}


def measured(name: str) -> Row:
    """One program's row. What cannot be measured, or ends in the middle, has a row without a number."""
    title, measure = PROGRAMS[name]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    try:
        with tempfile.TemporaryDirectory(prefix=f"real-{name}-") as directory:
            return replace(measure(Path(directory)), program=title, date=today)
    except NotMeasuredError as error:
        return Row(title, "", why=str(error), date=today)
    except (AssertionError, OSError, subprocess.SubprocessError) as error:
        traceback.print_exc()
        return Row(title, "", why=f"the run failed: {str(error).splitlines()[0][:200]}", date=today)


def main() -> int:
    """Measure, print, and write each row to the page at once."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=PROGRAMS, default=list(PROGRAMS))
    parser.add_argument("--dry-run", action="store_true", help="print the table, and leave the page as it is")
    args = parser.parse_args()
    rows = []
    for name in args.only:
        where = machine()
        rows.append(measured(name))
        print(table(rows[-1:]), flush=True)
        if not args.dry_run:
            page = PAGE.read_text()
            before = page.split(BEGIN)[1].split(END)[0]
            PAGE.write_text(replaced(page, PART, f"{where}\n\n{table(rows[-1:], before)}"))
    return 0 if all(row.good or not row.claims for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
