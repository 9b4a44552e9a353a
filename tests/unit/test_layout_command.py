# SPDX-License-Identifier: Apache-2.0
"""`otel-jb layout`: what an unstripped file says is used where the same link runs stripped."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from otel_jb.catalog import FunctionProfile, load
from otel_jb.cli.main import main
from otel_jb.model.errors import ConfigError, ExitCode
from otel_jb.planner.files import Files
from otel_jb.sandbox.client import Inspector

SOURCE = """
struct packet { long before[3]; unsigned short sequence; int size; };
int my_put(void *buffer, struct packet *p) { return p->size + p->sequence; }
"""
PROFILE = """
profile: mine
title: My server
structs:
  packet: {size: i32 size}
functions:
  - name: my_put
    role: put
    returns: i32
    bytes: arg2->packet.size
"""


@pytest.fixture
def library(tmp_path: Path) -> Path:
    source = tmp_path / "mine.c"
    source.write_text(SOURCE)
    (tmp_path / "mine.yaml").write_text(PROFILE)
    made = tmp_path / "mine.so"
    subprocess.run(
        ["gcc", "-g", "-shared", "-fPIC", "-Wl,--build-id", f"-ffile-prefix-map={tmp_path}=.", "-o", made, source],
        check=True,
    )
    return made


def stripped(library: Path, *options: str) -> Path:
    made = library.with_name("stripped.so")
    subprocess.run(["strip", "-g", *options, "-o", made, library], check=True)
    return made


def known(path: Path, *profiles: Path) -> FunctionProfile:
    with Inspector() as inspector:
        examined = Files(inspector, load(profiles), (), thorough=False).examine(str(path), path.name)
    return next(match.function for match in examined.matches if match.function.name == "my_put")


def test_a_stripped_file_gets_its_fields_back(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without debug information bytes are absent; with the layout of its own link they are there, and in another link they are not."""
    profile, layout = tmp_path / "mine.yaml", tmp_path / "layout.yaml"
    assert known(library, profile).has_bytes
    bare = stripped(library)
    without = known(bare, profile)
    assert not without.has_bytes
    assert "packet.size" in without.absent[0]
    assert "it has no debug information" in without.absent[0]
    assert main(["layout", str(library), "--profile", str(profile)]) == ExitCode.OK
    layout.write_text(capsys.readouterr().out)
    assert known(bare, profile, layout).has_bytes
    place = known(bare, profile, layout).scope.structs["packet"]["size"]
    assert (place.offset, place.width & 15) == (28, 4)
    subprocess.run(["objcopy", "--remove-section", ".note.gnu.build-id", bare], check=True)
    assert not known(bare, profile, layout).has_bytes


def test_a_file_with_the_build_id_of_another_places_only_its_own_fields(tmp_path: Path) -> None:
    """What a file says of its structs holds for that file, though a later one claims to be the same build."""
    (tmp_path / "mine.yaml").write_text(PROFILE)
    command = ["gcc", "-g", "-shared", "-fPIC", "-Wl,--build-id=0x123456789abcdef0", "-x", "c", "-", "-o"]
    places = []
    with Inspector() as inspector:
        files = Files(inspector, load([tmp_path / "mine.yaml"]), (), thorough=False)
        for words in (9, 3):
            path = tmp_path / f"{words}.so"
            text = SOURCE.replace("before[3]", f"before[{words}]")
            subprocess.run([*command, path], input=text, text=True, check=True)
            (match,) = files.examine(str(path), path.name).matches
            places.append(match.function.scope.structs["packet"]["size"].offset)
    assert places == [76, 28]


def test_a_file_that_says_nothing_is_an_error(
    library: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without debug information, or without a build-id, there is no layout to write; each says what to do."""
    profile = str(tmp_path / "mine.yaml")
    assert main(["layout", str(stripped(library)), "--profile", profile]) == ExitCode.NO_FUNCTION
    assert "Name a build with debug information" in capsys.readouterr().err
    subprocess.run(["objcopy", "--remove-section", ".note.gnu.build-id", library], check=True)
    assert main(["layout", str(library), "--profile", profile]) == ExitCode.NO_FUNCTION
    assert "-Wl,--build-id" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("layouts_of:\n  nobody: []\n", "there is no profile nobody"),
        (
            "layouts_of:\n  mine:\n    - {evidence: {build_ids: [ab]}, fields: {packet: {length: 4}}}\n",
            "packet.length is not among the profile's structs",
        ),
    ],
)
def test_layouts_of_what_no_profile_has_are_refused(library: Path, tmp_path: Path, text: str, message: str) -> None:
    """A layout file that fits no profile names itself and what is wrong."""
    file = tmp_path / "layout.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=message) as error:
        load([tmp_path / "mine.yaml", file])
    assert str(file) in error.value.message
