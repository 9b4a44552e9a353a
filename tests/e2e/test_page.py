# SPDX-License-Identifier: Apache-2.0
"""The page at `/` in a real Chromium: what it shows, that its numbers are those of /metrics, and that nothing on it does harm."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import axe_playwright_python
import bcrypt
import pytest
from playwright.sync_api import Browser, Dialog, Page, sync_playwright

from otel_jb.telemetry.kept_calls import KeptCall, KeptPacket
from otel_jb.views.page.tables import Facts
from tests.e2e.agent_process import ROOT, AgentProcess, Conversation, Exposition, fetch, until
from tests.e2e.page_world import Host, serving
from tests.scale import patience

pytestmark = pytest.mark.e2e

AXE = (Path(axe_playwright_python.__file__).parent / "axe.min.js").read_text()
VIEWS = ("", "functions", "streams", "slow", "probes", "gaps")
COLOURS = ("", "function/10")  #: views that have every colour of text between them
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        # Without a sandbox of its own, which root has not; without a GPU, which CI has not.
        options = ["--no-sandbox", "--disable-gpu"]
        found = shutil.which("chromium") or shutil.which("google-chrome")  # else Playwright's own
        running = playwright.chromium.launch(executable_path=found, args=options)
        try:
            yield running
        finally:
            running.close()


@contextmanager
def opened(browser: Browser, url: str, **options: Any) -> Iterator[Page]:
    """A page that may load nothing from elsewhere, and whose console stays empty."""
    context = browser.new_context(**options)
    context.set_default_timeout(patience(30) * 1000)
    page = context.new_page()
    said: list[str] = []
    asked: list[str] = []
    page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
    page.on("pageerror", lambda error: said.append(f"error: {error}"))
    page.on("request", lambda request: asked.append(request.url))
    try:
        page.goto(url)
        yield page
        assert said == []
        assert [each for each in asked if not each.startswith((url, "data:"))] == []
    finally:
        context.close()


def view(page: Page, address: str) -> None:
    """Go to a view of the page, and wait until it has its rows."""
    page.goto(f"{page.url.partition('#')[0]}#/{address}")
    page.wait_for_selector(f'main[data-shown="#/{address}"] h1')


def cells(page: Page, caption: str) -> dict[str, dict[str, str]]:
    """The rows of the table of this name: by key, the text of each column."""
    table = page.locator("table", has=page.locator(f"caption:has-text('{caption}')")).first
    table.locator("tbody tr").first.wait_for()
    found: dict[str, dict[str, str]] = table.evaluate(
        """table => {
            const titles = [...table.tHead.rows[0].cells].map(cell => cell.textContent);
            return Object.fromEntries([...table.tBodies[0].rows].map(row =>
                [row.dataset.key, Object.fromEntries([...row.cells].map((cell, place) => [titles[place], cell.textContent]))]));
        }"""
    )
    return found


def number(text: str) -> float:
    return float(text.replace("\u202f", ""))


def exposition(url: str) -> Exposition:
    status, text = fetch(f"{url}metrics")
    assert status == 200
    return Exposition(text)


def serious(page: Page, *, contrast: bool) -> list[str]:
    """What axe-core finds that keeps people from using the page: in the contrast of its texts, which takes long, or in all else."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE)
    rule = {"runOnly": ["color-contrast"]} if contrast else {"rules": {"color-contrast": {"enabled": False}}}
    options = {"resultTypes": ["violations"], **rule}
    found = page.evaluate("options => axe.run(options)", options)
    return [
        f"{each['id']}: {each['nodes'][0]['html'][:200]}"
        for each in found["violations"]
        if each["impact"] in ("serious", "critical")
    ]


def test_every_view_can_be_read_by_anybody(browser: Browser) -> None:
    """Axe-core finds nothing serious in any view, the contrast suffices in light and dark, and on a phone nothing sticks out."""
    addresses = (*VIEWS, "function/10", "stream/10%2Flive%2Fcam1")
    with serving(Host(1, 2)) as endpoint:
        with opened(browser, endpoint.url, color_scheme="light") as page:
            for address in addresses:
                view(page, address)
                assert serious(page, contrast=False) == [], address
                if address in COLOURS:
                    assert serious(page, contrast=True) == [], address
            until(lambda: page.evaluate(COLOURED), "a line in the theme's colour")
        with opened(browser, endpoint.url, color_scheme="dark", viewport=PHONE) as page:
            for address in addresses:
                view(page, address)
                if address in COLOURS:
                    assert serious(page, contrast=True) == [], address
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), address


#: whether some pixel of the first chart is neither black nor grey
COLOURED = """() => { const canvas = document.querySelector('canvas');
    const data = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
    for (let at = 0; at < data.length; at += 4)
        if (data[at + 3] === 255 && Math.max(data[at], data[at + 1], data[at + 2]) - Math.min(data[at], data[at + 1], data[at + 2]) > 60)
            return true;
    return false; }"""


def test_its_numbers_are_those_of_metrics(browser: Browser) -> None:
    """Calls, packets, drops, packets held and each stream's losses equal those of a scrape, and keep doing so."""
    host = Host(3, 5)
    with serving(host) as endpoint, opened(browser, endpoint.url) as page:
        cells(page, "Processes")
        host.moves = False
        scraped = exposition(endpoint.url)
        view(page, "functions")
        calls = {each["pid"]: scraped.total("jitterbuffer_calls_total", pid=each["pid"]) for each in pids(scraped)}
        total = sum(calls.values())
        until(
            lambda: sum(number(row["calls"]) for row in cells(page, "Functions").values()) == total, "the last counts"
        )
        for row in cells(page, "Functions").values():
            labels = {"pid": row["process"].partition("[")[2].rstrip("]"), "function": row["function"]}
            assert number(row["calls"]) == scraped.total("jitterbuffer_calls_total", **labels)
            for column, name in (
                ("packets", "jitterbuffer_packet_count_total"),
                ("drops", "jitterbuffer_dropped_packets_total"),
                ("depth", "jitterbuffer_buffer_size_packets"),
            ):
                if scraped.find(name, **labels):
                    assert number(row[column]) == scraped.total(name, **labels), (column, row)
        view(page, "streams")
        rows = cells(page, "RTP streams")
        assert len(rows) == 15
        for row in rows.values():
            labels = {"pid": row["process"].partition("[")[2].rstrip("]"), "stream": row["stream"]}
            for column in ("lost", "reordered", "duplicated"):
                suffix = "" if column == "lost" else "_total"
                assert number(row[column]) == scraped.value(f"rtp_packets_{column}{suffix}", **labels)
            assert number(row["packets"]) == scraped.value("rtp_packets_received_total", **labels)
        view(page, "")
        assert {number(row["calls"]) for row in cells(page, "Processes").values()} == set(calls.values())
        host.moves = True  # what changes from now on comes as changes, one after the other
        seen = number(cells(page, "Processes")["1"]["calls"])
        until(lambda: number(cells(page, "Processes")["1"]["calls"]) > seen, "more calls")


def pids(scraped: Exposition) -> list[dict[str, str]]:
    return list({labels["pid"]: labels for labels, _ in scraped.find("jitterbuffer_calls_total")}.values())


EVIL = "<img src=x onerror=alert(1)>\u202e</td><script>alert(2)</script>{}&lt;b&gt;"


def test_hostile_names_are_text(browser: Browser) -> None:
    """Names of a process, functions and streams that are HTML, or turn the reading direction, are shown as they are and change nothing."""
    host = Host(1, 1, name=EVIL, function=EVIL, stream="<script>alert(3)</script>{}" + "x" * 300)
    with serving(host) as endpoint, opened(browser, endpoint.url) as page:
        dialogs: list[str] = []

        def refuse(dialog: Dialog) -> None:
            dialogs.append(dialog.message)
            dialog.dismiss()

        page.on("dialog", refuse)
        cells(page, "Processes")
        addresses = [*VIEWS, "function/10"]
        for address in addresses:
            view(page, address)
            assert page.locator("main :is(script, img, iframe)").count() == 0
            assert "\u202e" not in page.content()
        view(page, "functions")
        assert "<img src=x onerror=alert(1)>\\u202e</td>" in next(iter(cells(page, "Functions").values()))["function"]
        view(page, "streams")
        page.locator("tbody a").first.click()
        page.wait_for_selector("canvas")
        assert page.locator("h1").text_content() == "<script>alert(3)</script>0" + "x" * 300
        assert dialogs == []


def test_it_is_used_with_the_keyboard_alone(browser: Browser) -> None:
    """Digits choose a view, / filters, arrows walk and Enter opens, Esc goes back, space freezes, and ? explains it."""
    with serving(Host()) as endpoint, opened(browser, endpoint.url) as page:
        cells(page, "Processes")
        keys = page.keyboard
        keys.press("2")
        assert len(cells(page, "Functions")) == 8
        keys.press("/")
        keys.type("decode")
        until(lambda: len(cells(page, "Functions")) == 2, "the filtered rows")
        keys.press("Escape")
        until(lambda: len(cells(page, "Functions")) == 8, "all rows again")
        keys.press("ArrowDown")
        keys.press("ArrowDown")
        keys.press("Enter")
        page.wait_for_selector("h1:has-text('Buffer::get')")
        keys.press("Escape")
        page.wait_for_selector("h1:has-text('Functions')")
        keys.press(" ")
        page.wait_for_selector("#status:has-text('Frozen')")
        frozen = cells(page, "Functions")
        page.wait_for_timeout(2500)
        assert cells(page, "Functions") == frozen
        keys.press(" ")
        until(lambda: cells(page, "Functions") != frozen, "newer numbers")
        keys.press("?")
        assert page.locator("dialog").is_visible()


def test_what_a_real_agent_measures_is_on_its_page(browser: Browser, tmp_path: Path) -> None:
    """Behind a password, which the events need too: the calls of a real process, how it is probed, and what a hit costs."""
    program = tmp_path / "guide"
    source = ROOT / "tests" / "bpf" / "programs" / "guide_names.c"
    subprocess.run(["gcc", "-O1", "-o", str(program), str(source)], check=True)
    web = tmp_path / "web.yml"
    settings = tmp_path / "agent.yml"
    settings.write_text(f"web_config: {web}\npage: {{slow_calls: true, trace_url: 'http://x/{{trace_id}}'}}\n")
    web.write_text(f"basic_auth_users:\n  anna: {bcrypt.hashpw(b'secret', bcrypt.gensalt(4)).decode()}\n")
    with Conversation(program) as server, agent_with_password(tmp_path, settings, server.pid) as url:
        for path in ("", "page.js", "page.css", "events"):
            assert fetch(url + path)[0] == 401
        login = {"username": "anna", "password": "secret"}
        with opened(browser, url, http_credentials=login) as page:
            server.tell("100")
            assert server.process.stdout is not None
            assert server.process.stdout.readline() == "done\n"
            view(page, "functions")
            # A reading may lie between the last put and the get after it.
            wanted = {"jitterbuffer_put": "100", "jitterbuffer_get": "50"}
            until(
                lambda: {name: by_name(page, "Functions")[name]["calls"] for name in wanted} == wanted,
                "100 calls of put and 50 of get",
            )
            view(page, "probes")
            assert by_name(page, "Probes")["jitterbuffer_put"]["state"] == "attached"
            assert re.fullmatch(r"[a-z-]+", by_name(page, "Probes")["jitterbuffer_put"]["end"])
            until(lambda: "µs" in (page.locator("dl").first.text_content() or ""), "what a hit costs")
            view(page, "slow")
            until(lambda: by_name(page, "Slow calls"), "the call that took 20 ms")
            page.locator("tbody a").first.click()
            page.wait_for_selector("h1:has-text('jitterbuffer_put took')")
            assert "main" in (page.locator("pre").text_content() or "")
            assert page.locator("[data-fact=trace]").text_content() == "none: nothing receives traces"
            assert page.locator("main a").count() == 0


def test_a_slow_call_leads_to_its_trace(browser: Browser) -> None:
    """The link is made of the configured template and the trace's id; the call's stack and the calls inside it are there to read."""
    inside = (("Buffer::decode", 18_000_000, 1_000_000),)
    call = KeptCall(
        1, 10, 1_700_000_000_000_000_000, 20_000_000, "worker (7)", "put+0x7\nmain+0x12", "ab" * 16, inside, 172, "",
        share_ns=(3_000_000, 15_000_000, 2_000_000),
    )  # fmt: skip
    others = [replace(call, number=2, share_ns=None), replace(call, number=3, share_ns=None, may_yield=True)]
    facts = Facts(slow_calls=lambda: [call, *others])
    host = Host(
        1, 1, head={"trace_url": "http://traces.invalid/trace/{trace_id}?from={start_ms}", "keeps_slow_calls": True}
    )
    with serving(host, facts) as endpoint, opened(browser, endpoint.url) as page:
        view(page, "slow")
        *unknown, row = cells(page, "Slow calls").values()
        assert (row["function"], row["took"], row["called from"]) == ("Buffer::put", "20\u202fms", "main+0x12")
        assert sorted(each["mostly"] for each in (*unknown, row)) == ["waiting for a CPU", "–", "–"]
        view(page, "slow-call/1")
        link = page.locator("main a")
        assert link.get_attribute("href") == f"http://traces.invalid/trace/{'ab' * 16}?from=1699999940000"
        assert link.get_attribute("rel") == "noopener noreferrer"
        assert page.locator("pre").text_content() == call.stack
        assert page.locator("main > ul").text_content() == "Buffer::decode: 18\u202fms, 1\u202fms after the start"
        facts_shown = [
            page.locator(f"[data-fact='{name}']").text_content() for name in ("ran", "waited for a CPU", "blocked")
        ]
        assert facts_shown == ["3\u202fms (15.0\u202f%)", "15\u202fms (75.0\u202f%)", "2\u202fms (10.0\u202f%)"]
        assert serious(page, contrast=False) == []
        view(page, "slow-call/2")
        until(lambda: page.locator("[data-fact=ran]").text_content() == "not known", "a share that is not known")
        view(page, "slow-call/3")
        until(lambda: "coroutines" in (page.locator("[data-fact=ran]").text_content() or ""), "why it is not known")


def packet(
    number: int, after_ms: float, order: str = "in_order", ssrc: str = "000000ab", rate: int | None = 8000
) -> KeptPacket:
    """A packet of 20 ms of sound."""
    return KeptPacket(int(after_ms * 1e6), ssrc, number & 0xFFFF, number * 160, order, rate)


#: Around a call, with numbers that wrap: 65534 is late by 30 ms and 1 comes twice, 2 is missing, and one belongs to nobody.
AROUND = (
    packet(65533, -61),
    packet(65535, -20),
    packet(65534, -10, "reordered"),
    packet(65536, -0.5),
    packet(40000, -0.25, "stray"),
    replace(packet(65537, 20), outcome="played", stayed_ns=30_000_000),
    replace(packet(65537, 21, "duplicated"), outcome="duplicate", stayed_ns=2_000),
    packet(65539, 60),
)


def test_a_slow_call_shows_the_packets_around_it(browser: Browser) -> None:
    """Each packet is there with its number, when it came, and who was late, again or missing: as a picture, and to read by keyboard and phone."""
    call = KeptCall(1, 10, 1_700_000_000_000_000_000, 20_000_000, "rx (7)", "put", "", (), 172, "", AROUND)
    bare = replace(call, number=2, packets=(packet(1, -1, rate=None),))
    facts = Facts(slow_calls=lambda: [call, bare, replace(call, number=3, packets=())])
    with serving(Host(1, 1), facts) as endpoint, opened(browser, endpoint.url, viewport=PHONE) as page:
        view(page, "slow-call/1")
        page.locator("section summary").click()
        rows = list(cells(page, "Packets").values())
        assert [row["number"] for row in rows] == ["65533", "65535", "65534", "0", "40000", "1", "1", "3"]
        late = [row["late by"].replace("\u202f", " ") for row in rows]
        assert late == ["0 ns", "1 ms", "31 ms", "500 µs", "–", "1 ms", "2 ms", "1 ms"]
        words = {"in_order": "in order", "reordered": "out of order", "duplicated": "duplicate", "stray": "stray"}
        assert [row["order"] for row in rows] == [words[each.order] for each in AROUND]
        assert [rows[place]["outcome"] for place in (0, 5, 6)] == ["–", "played", "duplicate"]
        assert [rows[place]["came"] for place in (0, 7)] == ["−61\u202fms", "+60\u202fms"]
        said = page.locator("section .readout")
        until(lambda: "1 missing" in (said.text_content() or ""), "what the picture says")
        assert (
            said.text_content()
            == "8 packets in 121\u202fms: 1 out of order, 1 duplicate, 1 missing; what became of them: 1 played, 1 duplicate"
        )
        until(lambda: page.evaluate(COLOURED), "a packet in the theme's colour")
        page.locator("canvas").focus()
        page.keyboard.press("ArrowRight")
        assert "packet 65533, in order" in (said.text_content() or "")
        for _ in range(2):
            page.keyboard.press("ArrowRight")
        assert "packet 65534, out of order" in (said.text_content() or "")
        assert "31\u202fms late" in (page.locator("canvas").get_attribute("aria-label") or "")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert serious(page, contrast=False) == []
        assert serious(page, contrast=True) == []
        view(page, "slow-call/2")
        page.locator("section summary").click()
        assert [row["late by"] for row in cells(page, "Packets").values()] == ["–"]
        assert "--clock-rate" in (page.locator("section p").first.text_content() or "")
        view(page, "slow-call/3")
        assert not page.locator("section").is_visible()


def by_name(page: Page, caption: str) -> dict[str, dict[str, str]]:
    return {row["function"]: row for row in cells(page, caption).values()}


@contextmanager
def agent_with_password(directory: Path, settings: Path, pid: int) -> Iterator[str]:
    """A real agent whose endpoint asks for a password, even on /ready; its address."""
    running = AgentProcess(directory, "--pid", str(pid), "--config", str(settings))
    try:
        until(lambda: "measuring " in running.log() and fetch(f"{running.url}/health")[0] == 200, "the agent measures")
        yield f"{running.url}/"
        assert running.stop() == 0, running.log()
    finally:
        running.kill()
