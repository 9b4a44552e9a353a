# SPDX-License-Identifier: Apache-2.0
"""The pictures of the agent's page and of `otel-jb top`: one real run of two FFmpegs behind bad networks and of a server with slow calls.

`scripts/make-pictures` runs this. The page is open in Chromium for the whole run, so its charts show all of it.
"""

from __future__ import annotations

import io
import re
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from playwright.sync_api import Browser, Page, ViewportSize, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI

from otel_jb.demo.ffmpeg import Receiver, Sender
from otel_jb.demo.relay import Impairment, Relay
from otel_jb.views.scraped import Scraped
from otel_jb.views.screen import Screen
from otel_jb.views.table import styled
from tests.e2e.agent_process import Conversation, agent
from tests.e2e.collector import collector, jaeger
from tests.e2e.test_traces import PUT, UNGOVERNED, build

SECONDS = 75
DESKTOP: ViewportSize = {"width": 1240, "height": 860}
PHONE: ViewportSize = {"width": 390, "height": 760}
TERMINALS = ((80, 24), (120, 40), (200, 50))
TERMINAL = "body { margin: 0; background: #1d1f21; } pre { display: inline-block; margin: 0; padding: 12px 16px; color: #d4d6d4; background: #1d1f21; font: 14px/1.3 'DejaVu Sans Mono', monospace; }"


@contextmanager
def running(directory: Path) -> Iterator[tuple[str, Conversation]]:
    """The agent's address, and the server that answers to commands."""
    with ExitStack() as stack:
        traces = stack.enter_context(jaeger(directory))
        otel = stack.enter_context(collector(directory, traces))
        server = stack.enter_context(Conversation(build(directory, "threads")))
        pids = [server.pid]
        relays = []
        for number, bad in enumerate((Impairment(loss=0.03, delayed=0.05, duplicated=0.02), Impairment(delayed=0.01))):
            receiver = Receiver(directory, name=f"cam{number}")
            stack.callback(receiver.stop)
            receiver.wait_until_listening()
            relay = Relay(receiver.rtp_port, receiver.rtcp_port, bad)
            relay.start()
            stack.callback(relay.stop)
            relays.append(relay)
            pids.append(receiver.pid)
        settings = directory / "agent.yml"
        settings.write_text(
            "page: {trace_url: 'http://127.0.0.1:16686/trace/{trace_id}'}\ninterval: 2s\nhost_name: media-1\n"
            "slow: {functions: {ff_rtp_parse_packet: p99}}\n"
        )
        options = [f"--pid={pid}" for pid in pids]
        with agent(
            directory, *UNGOVERNED, "--config", str(settings), "--otlp-endpoint", f"http://{otel.grpc}", *options
        ) as measuring:
            for number, relay in enumerate(relays):
                sender = Sender(directory, relay.rtp_port, relay.rtcp_port, name=f"sender{number}")
                stack.callback(sender.stop)
            try:
                yield measuring.url, server
            finally:
                server.end()  # before the agent, as a server would that is restarted


def terminal(page: Page, screen: Screen, size: tuple[int, int], to: Path) -> None:
    """What `otel-jb top` draws in a terminal of this size."""
    console = Console(record=True, width=size[0], file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for text in styled(screen.frame(*size)):
        console.print(text)
    code = console.export_html(inline_styles=True, theme=MONOKAI, code_format="<pre>{code}</pre>")
    page.set_content(f"<!doctype html><style>{TERMINAL}</style>{code}")
    page.locator("pre").screenshot(path=to)


def shot(page: Page, address: str, server: Conversation, to: Path, *, whole: bool = False) -> None:
    """A view of the page, `whole` or what fits the window, while the server works on."""
    server.ask("run 2 600 0 20000")
    page.goto(f"{page.url.partition('#')[0]}#/{address}")
    page.wait_for_selector(f'main[data-shown="#/{address}"] h1')
    server.ask("run 2 600 0 20000")
    page.wait_for_timeout(1200)
    if whole:
        page.locator("body").screenshot(path=to)
    else:
        page.screenshot(path=to)


def link(page: Page, view: str, text: str) -> str:
    """The address of the first row with this text."""
    page.goto(f"{page.url.partition('#')[0]}#/{view}")
    page.wait_for_selector(f'main[data-shown="#/{view}"] h1')
    found = page.locator("tbody a", has_text=text).first.get_attribute("href")
    assert found is not None
    return found.removeprefix("#/")


def slow_calls(page: Page, function: str) -> Iterator[str]:
    """Opens the slow calls of a function that are kept, one after the other; their addresses."""
    page.goto(f"{page.url.partition('#')[0]}#/slow")
    page.wait_for_selector('main[data-shown="#/slow"] h1')
    rows = page.locator("tbody tr", has_text=function).locator("a")
    for address in [str(rows.nth(place).get_attribute("href")) for place in range(rows.count())]:
        page.goto(f"{page.url.partition('#')[0]}{address}")
        page.wait_for_selector(f'main[data-shown="{address}"] h1')
        yield address


def slow_by_decode(page: Page) -> str:
    """The address of a slow put in which a decode took the time."""
    for address in slow_calls(page, PUT):
        if re.search(r"decode: \d\d[.\d]*\sms", page.locator("main > ul").text_content() or ""):
            return address.removeprefix("#/")
    raise AssertionError("no put was slow because of its decode")


def packets(page: Page, to: Path) -> None:
    """The packets around a slow call of an FFmpeg: of those that are kept, the call around which the network did most."""
    troubles = {}
    for address in slow_calls(page, "ff_rtp_parse_packet"):
        said = page.locator("section .readout").text_content() or ""
        troubles[address] = sum(map(int, re.findall(r"(\d+) (?:out|dup|missing)", said)))
    page.goto(f"{page.url.partition('#')[0]}{max(troubles, key=lambda address: troubles[address])}")
    page.wait_for_timeout(1200)
    page.screenshot(path=to)


def take(browser: Browser, url: str, server: Conversation, to: Path) -> None:
    """Let the run happen, and take all pictures."""
    page = browser.new_page(viewport=DESKTOP, color_scheme="light", device_scale_factor=1)
    page.goto(url)
    page.wait_for_selector("tbody tr")
    scraped, screen = Scraped(url), Screen()
    begin = time.monotonic()
    for second in range(SECONDS):
        server.ask("run 2 600 12 20000" if SECONDS - 35 <= second < SECONDS - 8 else "run 2 600 0 20000")
        screen.take(scraped.picture())
        page.wait_for_timeout(max(1.0, (begin + second + 1 - time.monotonic()) * 1000))
    shot(page, "", server, to / "page-overview.png", whole=True)
    stream = link(page, "streams", "")
    shot(page, stream, server, to / "page-stream.png")
    function = link(page, "functions", PUT)
    shot(page, slow_by_decode(page), server, to / "page-slow-call.png", whole=True)
    packets(page, to / "page-packets.png")
    page.emulate_media(color_scheme="dark")
    shot(page, function, server, to / "page-function.png")
    page.set_viewport_size(PHONE)
    shot(page, function, server, to / "page-phone.png")
    drawing = browser.new_page(viewport={"width": 1800, "height": 1100})
    for columns, lines in TERMINALS:
        terminal(drawing, screen, (columns, lines), to / f"top-{columns}x{lines}.png")
    for key in (*f"/{PUT}", "\r", "\r"):
        screen.press(key)
    assert screen.wanted is not None
    screen.look(screen.wanted, scraped.opened(screen.wanted))
    terminal(drawing, screen, TERMINALS[1], to / "top-open-120x40.png")


def main(to: Path) -> None:
    """Take the pictures."""
    with (
        tempfile.TemporaryDirectory(prefix="live-") as place,
        running(Path(place)) as (url, server),
        sync_playwright() as playwright,
    ):
        found = shutil.which("chromium") or shutil.which("google-chrome")
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox", "--disable-gpu"])
        try:
            take(browser, f"{url}/", server, to)
        finally:
            browser.close()


if __name__ == "__main__":
    import sys

    main(Path(sys.argv[1]).resolve())
