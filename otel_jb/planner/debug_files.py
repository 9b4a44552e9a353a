# SPDX-License-Identifier: Apache-2.0
"""Debug files of debuginfod servers: which servers the user named, and where what they sent is kept.

Nothing here asks a server: `otel_jb.agent.debug_files` does, in a process of its own. The cache is the one of debuginfod's own client, so gdb's downloads
are used too, and ours by gdb.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from otel_jb.model.dataclass import dataclass

BUILD_ID = re.compile(r"[0-9a-f]{16,128}")
MOST_ASKED = 64  #: files that are asked for in the life of an agent
_MOST_SERVERS = 8


@dataclass(frozen=True, slots=True)
class Debuginfod:
    """The servers, in the order in which they are asked, and the directory of the cache."""

    servers: tuple[str, ...]
    cache: str

    def path(self, build_id: str | None) -> str | None:
        """Where the debug file of a build is kept; None for what is no build-id."""
        if build_id is None or BUILD_ID.fullmatch(build_id) is None:
            return None
        return f"{self.cache}/{build_id}/debuginfo"


def settings(environ: Mapping[str, str]) -> Debuginfod | None:
    """What `DEBUGINFOD_URLS` (separated by spaces), `DEBUGINFOD_CACHE_PATH` and `XDG_CACHE_HOME` say; None where no server is named."""
    urls = environ.get("DEBUGINFOD_URLS", "").split()
    servers = tuple(dict.fromkeys(url.rstrip("/") for url in urls if re.match(r"https?://[^/\s]", url)))
    if not servers:
        return None
    home = environ.get("XDG_CACHE_HOME") or str(Path(environ.get("HOME") or "/root", ".cache"))
    cache = environ.get("DEBUGINFOD_CACHE_PATH") or str(Path(home, "debuginfod_client"))
    return Debuginfod(servers[:_MOST_SERVERS], cache) if cache.startswith("/") else None
