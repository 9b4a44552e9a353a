# SPDX-License-Identifier: Apache-2.0
"""Asterisk takes a call, keeps it in its adaptive jitter buffer, and sends it back."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
from pathlib import Path

from benchmarks.real import sip
from benchmarks.real.children import started
from benchmarks.real.players import DROPPED, PACKETS, SENDER
from benchmarks.real.row import Claim, NotMeasuredError, Row, bpftrace, counted, measuring, probed
from benchmarks.real.sender import Plan, send
from otel_jb.demo.udp import free_port_pair

PUT, GET = "jb_put", "jb_get"
#: Modules of a call over SIP, in the order in which they need each other. What else is installed stays out, and opens no port.
_MODULES = """res_sorcery_config res_sorcery_memory res_sorcery_astdb res_timing_timerfd res_pjproject res_pjsip res_rtp_asterisk res_pjsip_session
res_pjsip_sdp_rtp res_pjsip_endpoint_identifier_anonymous res_pjsip_pubsub chan_pjsip codec_ulaw pbx_config bridge_simple app_echo app_verbose
func_jitterbuffer func_channel""".split()
_FILES = {
    "asterisk.conf": """\
[directories]
astetcdir => {here}
astmoddir => {modules}
astvarlibdir => {here}
astdbdir => {here}
astkeydir => {here}
astdatadir => /usr/share/asterisk
astspooldir => {here}
astrundir => {here}
astlogdir => {here}
""",
    "modules.conf": "[modules]\nautoload=no\n" + "".join(f"load={each}.so\n" for each in _MODULES),
    "pjsip.conf": """\
[transport-udp]
type=transport
protocol=udp
bind=127.0.0.1:{port}
[anonymous]
type=endpoint
context=default
disallow=all
allow=ulaw
direct_media=no
""",
    "extensions.conf": """\
[default]
exten => called,1,Set(JITTERBUFFER(adaptive)=default)
same => n,Answer(,i)
same => n,Echo()
exten => h,1,Verbose(1,statistics ${{CHANNEL(rtcp,rxcount)}} ${{CHANNEL(rtcp,txcount)}})
""",
    "rtp.conf": "[general]\nstrictrtp=no\nrtpstart={low}\nrtpend={high}\n",
    "logger.conf": "[general]\n[logfiles]\nconsole => notice,warning,error,verbose\n",
}
_EMPTY = (
    "acl",
    "ccss",
    "cdr",
    "cel",
    "stasis",
    "features",
    "udptl",
    "codecs",
    "indications",
    "pjproject",
    "manager",
    "http",
)


def asterisk(directory: Path) -> Row:
    """Asterisk as a package has it; `ASTERISK_ROOT` is the directory with the distribution in which it is installed, `/` by default."""
    root = Path(os.environ.get("ASTERISK_ROOT", "/"))
    if not (root / "usr/sbin/asterisk").exists():
        raise NotMeasuredError("asterisk is not installed (ASTERISK_ROOT names the root of a distribution that has it)")
    command = ["chroot", str(root), "/usr/sbin/asterisk"]
    version = subprocess.run([*command, "-V"], capture_output=True, text=True, check=True).stdout.strip()
    with tempfile.TemporaryDirectory(dir=root / "tmp") as name:
        here = f"/{Path(name).relative_to(root)}"
        modules = next((root / "usr/lib").glob("*/asterisk/modules")).relative_to(root)
        port, low = free_port_pair()[0], free_port_pair()[0]
        for file, text in _FILES.items():
            filled = text.format(here=here, modules=f"/{modules}", port=port, low=low, high=low + 40)
            (Path(name) / file).write_text(filled)
        for each in _EMPTY:
            (Path(name) / f"{each}.conf").touch()
        arguments = [*command, "-f", "-n", "-vvv", "-C", f"{here}/asterisk.conf"]
        with started(arguments, directory) as program:
            program.wait_for("Asterisk Ready")
            put, _ = probed(program.pid, PUT, GET)
            counter = bpftrace(program.pid, directory, (put, "1", "@put = count();"))
            with measuring(program.pid) as agent, counter as other:
                with sip.Call(port) as call:
                    sent = send(call.remote_rtp, Plan(), call.rtp)
                    program.wait_until_read(call.remote_rtp)
                    scraped = agent.settled(program.pid)
                seen = other.read()
            program.wait_for(r"statistics \d+ \d+")
            received, returned = map(int, re.findall(r"statistics (\d+) (\d+)", program.log())[-1])
    packets = counted(scraped, program.pid, PUT, PACKETS)
    rejected = counted(scraped, program.pid, PUT, DROPPED, reason="rejected")
    late = counted(scraped, program.pid, GET, DROPPED, reason="late")
    out = counted(scraped, program.pid, GET, PACKETS)
    # What the buffer refuses is passed on at once.
    passed = None if out is None or late is None or rejected is None else out - late + rejected
    claims = (
        Claim("packets", packets, sent.packets, SENDER),
        Claim("packets", packets, seen.get("put"), "bpftrace"),
        Claim("packets", packets, received, "its statistics"),
        Claim("out, less late, and rejected", passed, returned, "its statistics"),
    )
    return Row("Asterisk", version, put.source, f"{PUT}`, `{GET}", claims)
