# SPDX-License-Identifier: Apache-2.0
"""Programs that users expect to be measured: if one cannot be, the agent reports it instead of ignoring it silently."""

from __future__ import annotations

import fnmatch

from otel_jb.host.procfs import Process
from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError, ElfError, NoAnswerError, NoFunctionError, PermissionDeniedError
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

#: Those of them whose jitter buffer is in a plugin, which they load when a stream needs it.
_PLUGIN_LOADERS = ("gst-launch-*", "vlc")


@dataclass(frozen=True, slots=True)
class Unmeasured:
    """A process that somebody expects to be measured, and of which nothing can be."""

    pid: int
    name: str
    executable: str
    reason: str  #: one sentence
    kind: str = "no_function"  #: a word for the reason, see `kind_of`

    def __str__(self) -> str:
        return f"{printable(self.name)} ({self.pid})"


def is_server(name: str) -> bool:
    """Whether an executable of this name is one that people expect to be measured."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in _PROGRAMS)


def loads_plugins(name: str) -> bool:
    """Whether a media server of this name has its jitter buffer in a plugin, so that it has none until it loads that."""
    return any(fnmatch.fnmatchcase(name, glob) for glob in _PLUGIN_LOADERS)


def kind_of(error: AgentError) -> str | None:
    """A word for why a process cannot be measured; None where it has only ended."""
    if isinstance(error, NoFunctionError):
        return error.kind
    for kind, word in ((NoAnswerError, "no_answer"), (ElfError, "unreadable"), (PermissionDeniedError, "permission")):
        if isinstance(error, kind):
            return word
    return None


def unmeasured(process: Process, error: AgentError, *, named: bool) -> Unmeasured | None:
    """What to say of a process that cannot be measured; None where nobody expects it: it is no media server and was not named.

    A program on a file system that does not answer could be one.
    """
    kind = kind_of(error)
    if kind is None or not (named or is_server(process.name) or kind == "no_answer"):
        return None
    return Unmeasured(process.pid, process.name, process.executable, error.message, kind)
