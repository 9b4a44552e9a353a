# SPDX-License-Identifier: Apache-2.0
"""What was compiled is kept for the next start, and only what root alone could have written is loaded."""

from __future__ import annotations

import hashlib
import json
import os
import resource
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otel_jb.probes import abi
from otel_jb.probes.programs import cache, compiled
from otel_jb.probes.programs.instances import Instances
from otel_jb.probes.programs.source import bpf_directory

pytestmark = pytest.mark.bpf

REQUEST: dict[str, Any] = {
    "cached": True,
    "defines": {"BUCKETS": 8, "CELL_BITS": 5, "SERIES": 16, "RING_PAGES": 256, **abi.COUNTER_DEFINES},
}


_COMPILE = """
import json, os, sys
from otel_jb.probes.programs import bcc_module, cache, compiler
cache.PLACE = tuple(json.loads(sys.argv[1]))
compiler.compile_programs(bcc_module.load(), json.loads(sys.argv[2]))
os._exit(0)
"""


@pytest.fixture(scope="module")
def kept() -> Iterator[Path]:
    """A cache directory in which one program was kept, as the loader does it."""
    with tempfile.TemporaryDirectory(dir="/var/cache", prefix="otel-jb-test-") as name:
        place = Path(name) / "kept"
        arguments = [json.dumps(place.parts[1:]), json.dumps(REQUEST)]
        subprocess.run([sys.executable, "-c", _COMPILE, *arguments], check=True)
        yield place


@pytest.fixture
def place(kept: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it for one test to spoil."""
    with tempfile.TemporaryDirectory(dir="/var/cache", prefix="otel-jb-test-") as name:
        copy = Path(shutil.copytree(kept, Path(name) / "kept"))
        monkeypatch.setattr(cache, "PLACE", copy.parts[1:])
        yield copy


def loaded(request: dict[str, Any]) -> dict[str, Any] | None:
    """What is kept for a request."""
    return cache.read(request)


def entry(place: Path) -> Path:
    """The only file of the cache."""
    (only,) = place.iterdir()
    return only


def test_what_is_kept_is_private_and_loads_without_a_compiler(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An entry is readable by root alone, and the kernel takes its maps and programs; no child is started."""
    assert place.stat().st_mode & 0o777 == 0o700
    assert entry(place).stat().st_mode & 0o777 == 0o600
    monkeypatch.setattr(compiled, "_Child", None)
    monkeypatch.setattr(compiled, "RING_BYTES", 256 * resource.getpagesize())
    result = compiled.Loading(8, 5, 16, cached=True).result()
    instances = Instances(result.templates, result.maps, multi=result.links == "multi")
    instances.check()
    instances.close()
    result.close()


def test_a_compiler_that_was_started_early_ends_where_nothing_is_compiled(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It holds BCC and LLVM, 45 to 70 MB: with the agent it would stay for good."""
    monkeypatch.setattr(compiled, "RING_BYTES", 256 * resource.getpagesize())
    compiled.start_early()
    (child,) = compiled._early
    compiled.Loading(8, 5, 16, cached=True).result().close()
    assert not compiled._early
    assert child.process.returncode is not None


def test_the_compiler_is_not_prepared_where_something_is_kept(place: Path) -> None:
    """BCC is imported early only where it will be needed; an entry of other sources is none."""
    assert cache.has_some()
    found = entry(place)
    found.rename(found.with_name("0" * len(found.name)))
    assert not cache.has_some()


def test_a_compiler_that_was_not_prepared_compiles(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept may be for other options; an early compiler then serves the request all the same."""
    monkeypatch.setattr(compiled, "RING_BYTES", 256 * resource.getpagesize())
    compiled.start_early()
    (child,) = compiled._early
    work = compiled.Loading(8, 5, 17, cached=True)
    assert work._child is child
    work.result().close()


def test_nonsense_with_the_right_digest_is_compiled_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What passes for an entry but is none costs a compilation and nothing else."""
    monkeypatch.setattr(compiled, "RING_BYTES", 256 * resource.getpagesize())
    text = b'{"bcc": "1", "maps": {"calls": [2, 4]}, "programs": {}}'
    entry(place).write_bytes(hashlib.sha256(text).hexdigest().encode() + b"\n" + text)
    assert loaded(REQUEST) is not None
    result = compiled.Loading(8, 5, 16, cached=True).result()
    assert len(result.templates["on_end"].code) > 100
    result.close()


def test_other_options_are_another_program(place: Path) -> None:
    """A request that differs in one number finds nothing."""
    assert loaded({**REQUEST, "defines": {**REQUEST["defines"], "SERIES": 17}}) is None


def test_another_source_is_another_program(place: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """After a change to any source file nothing that was compiled from the old one is loaded."""
    copy = tmp_path / "bpf"
    shutil.copytree(bpf_directory(), copy)
    monkeypatch.setattr(cache, "bpf_directory", lambda: copy)
    assert loaded(REQUEST) is not None  # an unchanged copy is the same program
    (copy / "arch.h").write_text((copy / "arch.h").read_text() + "\n")
    assert loaded(REQUEST) is None


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda place: os.chown(entry(place), 65534, 65534), id="file of another user"),
        pytest.param(lambda place: entry(place).chmod(0o620), id="file that a group may write"),
        pytest.param(lambda place: os.chown(place, 65534, 65534), id="directory of another user"),
        pytest.param(lambda place: place.chmod(0o770), id="directory that a group may write"),
        pytest.param(lambda place: os.chown(place.parent, 65534, 65534), id="directory above of another user"),
        pytest.param(lambda place: swap(place, place.rename(place.with_name("x"))), id="directory is a link"),
        pytest.param(lambda place: swap(entry(place), entry(place).rename(place.parent / "y")), id="file is a link"),
        pytest.param(lambda place: entry(place).write_bytes(entry(place).read_bytes()[:-9]), id="cut off"),
        pytest.param(lambda place: replace(entry(place), b'"code": "', b'"code": "ff'), id="other instructions"),
        pytest.param(lambda place: replace(entry(place), b'"calls": [2,', b'"calls": [1,'), id="another kind of map"),
    ],
)
def test_an_entry_that_is_not_as_it_was_written_is_not_used(place: Path, spoil: Callable[[Path], object]) -> None:
    """An entry that somebody else could have written, or that is damaged in any way, is not used."""
    spoil(place)
    assert loaded(REQUEST) is None


def swap(link: Path, target: Path) -> None:
    """Put a symbolic link where a file was."""
    link.symlink_to(target)


def replace(path: Path, old: bytes, new: bytes) -> None:
    """Change an entry's text."""
    data = path.read_bytes()
    assert old in data
    path.write_bytes(data.replace(old, new, 1))


def test_no_more_entries_are_kept_than_are_useful(place: Path) -> None:
    """The oldest entries go when there are more than `KEEP`."""
    for number in range(cache.KEEP + 3):
        with cache._directory() as descriptor:
            cache._write(descriptor, f"entry-{number}", b"{}")
        os.utime(place / f"entry-{number}", (1_000_000 + number, 1_000_000 + number))
    assert len(list(place.iterdir())) == cache.KEEP
