# SPDX-License-Identifier: Apache-2.0
"""A jitter buffer compiled with its fields in five places, with debug information of every form and with none."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.e2e.agent_process import TARGETS, AgentProcess, Conversation, Exposition, agent, until

pytestmark = pytest.mark.e2e

SOURCE = TARGETS / "moving_fields.cc"
LAYOUTS = range(5)
FORMS = {
    "dwarf-4": ("-gdwarf-4",),
    "dwarf-5": ("-gdwarf-5",),
    "split": ("-gdwarf-5", "-gsplit-dwarf"),
    "compressed": ("-gdwarf-4", "-gz"),
    "separate": ("-gdwarf-5",),
    "stripped-known": ("-gdwarf-5",),
    "stripped": ("-gdwarf-5",),
}
BARE = ("stripped",)  #: nothing says where anything is
PROFILE = """
profile: moving
title: Fields that move
structs:
  Packet: {size: i32 size, sequence: u16 header.sequence}
  Buffer: {last: u16 last_, started: bool started_, count: u64 waiting_._M_t._M_impl._M_node_count}
functions:
  - name: Buffer::put
    role: put
    returns: i32
    stream: arg1
    bytes: arg2->Packet.size
    depth: arg1->Buffer.count
    capacity: 1000
    outcomes:
      - is: drop
        reason: late
        when: entry(arg1->Buffer.started) != 0 and entry(i16 ((arg2->Packet.sequence) - (arg1->Buffer.last))) < 0
"""


def tool(*command: str | Path) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def built(directory: Path, form: str, layout: int) -> Path:
    objects = directory / "-".join(["object", str(layout), *FORMS[form]])
    if not objects.exists():
        objects.mkdir()
        command = ["g++", "-O1", f"-DLAYOUT={layout}", *FORMS[form], "-c", "-o", "moving.o", str(SOURCE)]
        subprocess.run(command, check=True, cwd=objects)
    place = directory / f"{form}-{layout}"
    place.mkdir()
    path = place / "moving"
    identity = f"0x{list(FORMS).index(form):04x}{layout:04x}"
    tool("g++", *FORMS[form], f"-Wl,--build-id={identity}", "-o", path, objects / "moving.o")
    if form == "separate":
        debug = place / ".debug" / "moving.debug"
        debug.parent.mkdir()
        tool("objcopy", "--only-keep-debug", path, debug)
        tool("strip", "-g", path)
        subprocess.run(["objcopy", "--add-gnu-debuglink=.debug/moving.debug", path], check=True, cwd=place)
    elif form.startswith("stripped"):
        tool("strip", "-g", path)
    return path


def build_id(path: Path) -> str:
    return tool("readelf", "-n", path).partition("Build ID: ")[2].split()[0]


def offsets(path: Path) -> dict[str, dict[str, int]]:
    """Where the program itself says that its fields are."""
    with Conversation(path) as program:
        found: dict[str, dict[str, int]] = program.ask("layout")
        return found


def profile(directory: Path, layouts: list[tuple[Path, dict[str, dict[str, int]]]]) -> Path:
    text = PROFILE
    if layouts:
        text += "layouts:\n"
    for path, found in layouts:
        text += f"  - {{evidence: {{build_ids: ['{build_id(path)}']}}, fields: {json.dumps(found)}}}\n"
    file = directory / "moving.yaml"
    file.write_text(text)
    return file


@pytest.fixture
def programs(tmp_path: Path) -> Iterator[dict[tuple[str, int], Conversation]]:
    """Each form of each layout, running."""
    with ExitStack() as running:
        yield {
            (form, layout): running.enter_context(Conversation(built(tmp_path, form, layout)))
            for form in FORMS
            for layout in LAYOUTS
        }


def test_bytes_depth_and_drops_are_exact_or_absent(
    programs: dict[tuple[str, int], Conversation], tmp_path: Path
) -> None:
    """Debug information of any form, or a layout for the build-id, makes them exact; without either they are absent, and calls are exact."""
    known = [tmp_path / f"stripped-known-{layout}" / "moving" for layout in LAYOUTS]
    file = profile(tmp_path, [(path, offsets(path)) for path in known])
    with agent(tmp_path, "--profile", str(file), "--name", "moving", "--overhead-budget", "off") as measuring:
        until(
            lambda: len(measuring.scrape().find("jitterbuffer_calls_total", outcome="returned")) == len(programs), "all"
        )
        accounts = {which: program.ask("run 5000") for which, program in programs.items()}
        scraped = complete(measuring, [program.pid for program in programs.values()], 5000)
        log = measuring.log()
    for (form, layout), account in accounts.items():
        pid = programs[form, layout].pid
        numbers = [
            one_or_none(scraped, "jitterbuffer_packet_count_total", pid=pid),
            one_or_none(scraped, "jitterbuffer_bytes_total", pid=pid),
            one_or_none(scraped, "jitterbuffer_dropped_packets_total", pid=pid, reason="late"),
            one_or_none(scraped, "jitterbuffer_buffer_size_packets", pid=pid),
        ]
        exact = [account["calls"], account["bytes"], account["late"], account["depth"]]
        assert account["late"] > 100
        assert numbers == (exact if form not in BARE else [5000, None, None, None]), (form, layout)
    assert "cannot be" not in log


@pytest.mark.parametrize(("field", "value"), [("size", "bytes"), ("count", "depth")])
def test_a_misleading_layout_is_found_out_within_100_calls(tmp_path: Path, field: str, value: str) -> None:
    """Where a layout puts a size or a depth on something else, no number of it stays, nor of what else is read from that struct."""
    path = built(tmp_path, "stripped-known", 1)
    found = offsets(path)
    struct = next(name for name in found if field in found[name])
    # A pointer; and two bytes of the sequence number with two of the size.
    found[struct][field] = 24 if value == "depth" else found[struct][field] - 2
    file = profile(tmp_path, [(path, found)])
    with Conversation(path) as program, agent(tmp_path, "--profile", str(file), "--pid", str(program.pid)) as measuring:
        assert measuring.scrape().find("jitterbuffer_bytes_total", pid=program.pid)
        account = program.ask("run 100")
        scraped = complete(measuring, [program.pid], 100)
        assert one_or_none(scraped, "jitterbuffer_packet_count_total", pid=program.pid) == 100
        gone = ["jitterbuffer_dropped_packets_total"]
        gone += ["jitterbuffer_bytes_total"] if value == "bytes" else ["jitterbuffer_buffer_size_packets"]
        for name in gone:
            assert scraped.find(name, pid=program.pid) == []
        if value == "depth":
            assert one_or_none(scraped, "jitterbuffer_bytes_total", pid=program.pid) == account["bytes"]
        else:
            assert one_or_none(scraped, "jitterbuffer_buffer_size_packets", pid=program.pid) == account["depth"]
        assert scraped.total("otel_jb_fields_broken_total", pid=program.pid, field=value) > 0
        assert f"values of `{value}` are impossible" in measuring.log()


def one_or_none(scraped: Exposition, name: str, **labels: object) -> float | None:
    found = scraped.find(name, **labels)
    assert len(found) <= 1, found
    return found[0][1] if found else None


def complete(measuring: AgentProcess, pids: list[int], calls: int) -> Exposition:
    """A scrape in which each process has made that many calls."""

    def counted() -> bool:
        scraped = measuring.scrape()
        return all(scraped.total("jitterbuffer_calls_total", pid=pid, outcome="returned") == calls for pid in pids)

    until(counted, "every call")
    return measuring.scrape()
