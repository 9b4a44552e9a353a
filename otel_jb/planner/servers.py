# SPDX-License-Identifier: Apache-2.0
"""Programs that users expect to be measured: if one cannot be, the agent reports it instead of ignoring it silently."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from otel_jb.host.procfs import Process
from otel_jb.model.errors import AgentError, NoFunctionError
from otel_jb.model.text import printable

#: Executables of media servers and players that a shipped profile is about; globs.
_PROGRAMS = (
    "asterisk",
    "baresip",
    "ffmpeg*",
    "ffplay*",
    "freeswitch",
    "gst-launch-*",
    "janus",
    "mediasoup-worker*",
    "mediastream*",
    "linphone*",
    "MediaServer",
    "pjsua*",
    "rtpengine*",
    "srs",
    "srs-*",
    "twinkle",
    "vlc",
)


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A media server of which nothing can be measured."""

    pid: int
    name: str
    executable: str
    reason: str  #: one sentence

    def __str__(self) -> str:
        return f"{printable(self.name)} ({self.pid})"


def is_server(name: str) -> bool:
    """Whether an executable of this name is one that people expect to be measured."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in _PROGRAMS)


def unmeasured(process: Process, error: AgentError) -> Unmeasured | None:
    """The message about an unmeasurable process that the user did not name; None if nobody would expect it to be measured."""
    if not isinstance(error, NoFunctionError) or not is_server(process.name):
        return None
    return Unmeasured(process.pid, process.name, process.executable, error.message)
