# SPDX-License-Identifier: Apache-2.0
"""The files of the page, as the endpoint serves them: HTML, one style sheet, one script, and the stream of events.

All of it comes from this agent, and the browser is told to load nothing else (Content-Security-Policy) and to run no script that stands in
the HTML. What targets control reaches the browser as data only.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from otel_jb.telemetry.http1 import Events, Request, Response, Subscription

_FILES = Path(__file__).parent / "files"
#: The script's parts, in this order: each uses what those before it define.
SCRIPT_PARTS = ("text.js", "store.js", "charts.js", "packets.js", "tables.js", "views.js", "main.js")
POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"
)
_HEADERS = {"Content-Security-Policy": POLICY, "Cross-Origin-Resource-Policy": "same-origin"}


def pages(subscribe: Callable[[Callable[[], None]], Subscription]) -> Mapping[str, Callable[[Request], Response]]:
    """Handlers by path. Files are read once, now."""
    script = b"".join((_FILES / name).read_bytes() for name in SCRIPT_PARTS)
    return {
        "/": _file((_FILES / "page.html").read_bytes(), "text/html; charset=utf-8"),
        "/page.css": _file((_FILES / "page.css").read_bytes(), "text/css; charset=utf-8"),
        "/page.js": _file(script, "text/javascript; charset=utf-8"),
        "/events": lambda _: Response(Events(subscribe), "text/event-stream; charset=utf-8", headers=_HEADERS),
    }


def _file(body: bytes, content_type: str) -> Callable[[Request], Response]:
    response = Response(body, content_type, headers=_HEADERS)
    return lambda _: response
