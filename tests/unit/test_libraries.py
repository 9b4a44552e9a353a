# SPDX-License-Identifier: Apache-2.0
"""Where libraries are found, compared with what ldconfig prints of its own cache."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.catalog import load
from otel_jb.host import libraries

pytestmark = pytest.mark.unit

CACHE = Path(libraries.CACHE).read_bytes()


def test_the_cache_is_read_as_ldconfig_prints_it() -> None:
    """Every soname and path that `ldconfig -p` lists, and no other."""
    printed = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    listed = re.findall(r"^\t(\S+) \(.*\) => (\S+)$", printed, re.MULTILINE)
    assert listed
    assert sorted(set(libraries.cached(Path(libraries.CACHE).read_bytes()))) == sorted(set(listed))


@given(st.binary(max_size=200), st.integers(0, 400), st.binary(min_size=1, max_size=40))
def test_a_cache_that_makes_no_sense_yields_what_of_it_does(before: bytes, at: int, wrong: bytes) -> None:
    """Whatever a container puts there: no error, and paths only."""
    spoiled = before + CACHE[:at] + wrong + CACHE[at + len(wrong) : 4000]
    assert all(path.startswith("/") for _, path in libraries.cached(spoiled))


def test_a_root_without_a_cache_is_searched_where_its_linker_searches(tmp_path: Path) -> None:
    """As in Alpine; each file once, whatever links lead to it, and plugins below the linker's directories by their path."""
    directory = tmp_path / "usr/lib/x86_64-linux-gnu"
    (directory / "plugins").mkdir(parents=True)
    (directory / "libjb.so.1.2").write_bytes(b"")
    (directory / "libjb.so.1").symlink_to("libjb.so.1.2")
    (directory / "libother.so.1").write_bytes(b"")
    (directory / "plugins/librtp.so").write_bytes(b"")
    found = libraries.find(["libjb.so*", "plugins/librtp.so"], str(tmp_path))
    assert found == ["/usr/lib/x86_64-linux-gnu/libjb.so.1", "/usr/lib/x86_64-linux-gnu/plugins/librtp.so"]


def test_libraries_that_profiles_know_are_found_on_this_host() -> None:
    """speexdsp by the sonames of its profile, where this host has it."""
    assert [Path(path).name for path in libraries.find(load().libraries()) if "speexdsp" in path] == [
        "libspeexdsp.so.1"
    ]
