# SPDX-License-Identifier: Apache-2.0
"""What the page costs, in the browser and in the agent: 50 processes, 200 functions and 1 000 RTP streams that all change each second.

    .venv/bin/python -m benchmarks.page [SECONDS]

Needs Chromium and Playwright (scripts/test installs both). The agent's part runs in a process of its own without a kernel behind it, so its
figure is the page's share. Prints JSON.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException, HTTPResponse
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

PROCESSES, STREAMS = 50, 20
PAGES = 20
_OBSERVE = """() => { window.seen = []; new PerformanceObserver(list => list.getEntries().forEach(
    each => window.seen.push([each.name, each.duration]))).observe({type: 'measure', buffered: true}); }"""


def serve() -> None:
    """The agent's part; ends with its standard input."""
    from tests.e2e.page_world import Host, serving

    host = Host(PROCESSES, STREAMS)
    host.prepare(400)
    with serving(host) as endpoint:
        print(endpoint.port, flush=True)
        sys.stdin.read()


def cpu_seconds(pid: int) -> float:
    """What a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def share(pid: int, seconds: float) -> float:
    """Of one CPU, in percent."""
    begin, used = time.monotonic(), cpu_seconds(pid)
    time.sleep(seconds)
    return round((cpu_seconds(pid) - used) / (time.monotonic() - begin) * 100, 2)


def scrape_ms(port: int, times: int = 15) -> float:
    """Median of as many scrapes, each half a second apart."""
    took = []
    for _ in range(times):
        time.sleep(0.5)
        begin = time.monotonic()
        urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics", timeout=30).read()
        took.append((time.monotonic() - begin) * 1e3)
    return round(statistics.median(took), 1)


def read_pages(port: int, number: int) -> None:
    """Read events as so many browsers do; ends with its standard input."""
    import threading

    def read(response: HTTPResponse) -> None:
        with contextlib.suppress(OSError, ValueError, AttributeError, HTTPException):
            while response.read1(1 << 16):
                pass

    for _ in range(number):
        connection = HTTPConnection("127.0.0.1", port, timeout=60)
        connection.request("GET", "/events")
        response = connection.getresponse()
        assert response.status == 200, response.status
        response.read1(1 << 16)  # the first event has been made, and everything after it costs the same
        threading.Thread(target=read, args=(response,), daemon=True).start()
    print(number, flush=True)
    sys.stdin.read()


@contextlib.contextmanager
def open_pages(port: int, number: int) -> Iterator[None]:
    """Open pages, in a process of their own: their reading must not slow the scrapes that this one makes."""
    argv = [sys.executable, "-m", "benchmarks.page", "read", str(port), str(number)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as reader:
        assert reader.stdout is not None
        assert reader.stdout.readline() == f"{number}\n"
        time.sleep(3)
        yield
        assert reader.stdin is not None
        reader.stdin.close()


def in_browser(browser: Browser, port: int, view: str, seconds: float) -> dict[str, float]:
    """First paint, and the longest and the median update of a view."""
    page = browser.new_page(viewport={"width": 1280, "height": 860})
    page.goto(f"http://127.0.0.1:{port}/#/{view}")
    page.evaluate(_OBSERVE)
    page.wait_for_selector("[data-key], canvas")
    time.sleep(seconds)
    paint = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    seen = page.evaluate("window.seen")
    page.close()
    changes = [took for name, took in seen if name == "change"]
    return {
        "first_paint_ms": round(paint),
        "whole_ms": round(max(took for name, took in seen if name == "whole")),
        "updates": len(changes),
        "update_median_ms": round(statistics.median(changes), 1),
        "update_max_ms": round(max(changes), 1),
    }


def main() -> None:
    """Measure all of it."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 15.0
    argv = [sys.executable, "-m", "benchmarks.page", "serve"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as server:
        assert server.stdout is not None
        port = int(server.stdout.readline())
        found: dict[str, object] = {}
        found["scrape_ms_no_page"] = scrape_ms(port)
        with open_pages(port, 1):
            found["agent_cpu_percent_1_page"] = share(server.pid, seconds)
            with open_pages(port, PAGES - 1):
                found[f"agent_cpu_percent_{PAGES}_pages"] = share(server.pid, seconds)
                found[f"scrape_ms_{PAGES}_pages"] = scrape_ms(port)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
            for view in ("", "functions", "streams", "function/10", "stream/10%2Flive%2Fcam1"):
                found[view or "overview"] = in_browser(browser, port, view, seconds)
            browser.close()
        assert server.stdin is not None
        server.stdin.close()
    print(json.dumps(found, indent=1))


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["serve"]:
            serve()
        case ["read", port, number]:
            read_pages(int(port), int(number))
        case _:
            main()
