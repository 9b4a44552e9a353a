# SPDX-License-Identifier: Apache-2.0
"""Reading YAML into dataclasses: what is understood, and how everything else is refused."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Literal

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from otel_jb.config.yamlfile import MAX_BYTES, ByteSize, Duration, KeyValueError, load, parse
from otel_jb.model.errors import ConfigError


class Colour(Enum):
    RED = "red"
    BLUE = "blue"


@dataclass(frozen=True, slots=True)
class Inner:
    number: int = 1
    wait: Duration | None = None
    place: str = field(default="", metadata={"line": True})


@dataclass(frozen=True, slots=True)
class Outer:
    name: str
    inner: Inner = field(default_factory=Inner)
    numbers: tuple[int, ...] = ()
    by_name: dict[str, Inner] = field(default_factory=dict)
    either: int | str | tuple[str, ...] | None = None
    ratio: float = 0.5
    on: bool = False
    colour: Colour = Colour.RED
    kind: Literal["one", "two"] = "one"
    size: ByteSize = ByteSize(0)  # noqa: RUF009
    when: str = field(default="", metadata={"key": "if"})

    def __post_init__(self) -> None:
        if self.ratio > 1:
            raise KeyValueError("ratio", "a ratio is at most 1")


def test_every_type_is_read_by_its_hint() -> None:
    """A document fills the dataclass, each scalar read as what its place asks for."""
    text = """
name: 1.10
inner: {number: 0x10, wait: 1.5ms}
numbers: [1, -2]
by_name:
  a:
    number: 3
either: "5"
ratio: 1e-1
on: true
colour: blue
kind: two
size: 64KiB
if: x > 1
"""
    found = parse(text, "f.yaml", Outer)
    assert found == Outer(
        name="1.10",
        inner=Inner(16, Duration(1_500_000), "f.yaml:3"),
        numbers=(1, -2),
        by_name={"a": Inner(3, None, "f.yaml:7")},
        either="5",
        ratio=0.1,
        on=True,
        colour=Colour.BLUE,
        kind="two",
        size=ByteSize(65536),
        when="x > 1",
    )


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("nam: x", "f:1: unknown key 'nam'; did you mean 'name'?"),
        ("name: x\ninner:\n  number: 1\n  zzz: 2", "f:4: unknown key 'zzz'; known here: number, wait"),
        ("name: x\nname: y", "f:2: duplicate key 'name', first at line 1"),
        ("inner: {}", "f:1: the key 'name' is missing"),
        ("", "f:1: the key 'name' is missing"),
        ("name: x\nnumbers:\n- 1\n- b", "f:4: expected a whole number, got 'b'"),
        ("name: x\nnumbers: 1", "f:2: expected a list, got '1'"),
        ("name: x\nnumbers: ['1']", "f:2: expected a whole number, got '1'"),
        ("name: x\non: yes", "f:2: expected true or false, got 'yes'"),
        ("name: x\nratio: .nan", "f:2: expected a number, got '.nan'"),
        ("name: x\nratio: 2", "f:2: a ratio is at most 1"),
        ("name: x\ncolour: rad", "f:2: unknown value 'rad'; did you mean 'red'?"),
        ("name: x\nkind: twoo", "f:2: unknown value 'twoo'; did you mean 'two'?"),
        (
            "name: x\ninner: {wait: 5}",
            "f:2: expected a duration such as 10ms, 1.5s or 5m, got '5': the unit is missing",
        ),
        ("name: x\neither: {a: 1}", "f:2: expected a whole number or text or a list, got keys and values"),
        ("name:", "f:1: expected text, got nothing"),
        ("- name: x", "f:1: expected keys and values, got a list"),
        ("name: x\n---\nname: y", "f:2: only one document per file is allowed; a second begins here"),
        ("name: &a x", "f:1: anchors and aliases (&, *) are not allowed"),
        ("name: *a", "f:1: anchors and aliases (&, *) are not allowed"),
        ("name: !!python/object:os.system x", "f:1: tags (!) are not allowed"),
        ("? [a]\n: 1", "f:1: a key must be a word"),
        ("name: x\nby_name: " + "{a: " * 40, "f:2: nested deeper than 20"),
        ("name: '" + "x" * MAX_BYTES + "'", "f:1: larger than 1MiB"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(text: str, message: str) -> None:
    """Every mistake is one message with file and line, with a suggestion where one is near."""
    with pytest.raises(ConfigError) as error:
        parse(text, "f", Outer)
    assert error.value.message == message


def test_a_bomb_of_aliases_is_refused_at_once() -> None:
    """A document that would expand to a billion items costs nothing and is refused at its first anchor."""
    bomb = "a: &a [x,x,x,x]\n" + "".join(
        f"{new}: &{new} [{','.join(['*' + old] * 9)}]\n" for old, new in zip("abcdefgh", "bcdefghi", strict=True)
    )
    with pytest.raises(ConfigError, match="f:1: anchors"):
        parse(bomb, "f", Outer)


def test_a_file_that_is_not_utf8_is_refused_with_its_line(tmp_path: Path) -> None:
    """The line of the first byte that is no UTF-8 is named, and a file that is not there is an error, too."""
    path = tmp_path / "x.yaml"
    path.write_bytes(b"name: x\nif: caf\xe9\n")
    with pytest.raises(ConfigError, match=r"x\.yaml:2: not UTF-8 \(byte 0xe9\)"):
        load(path, Outer)
    with pytest.raises(ConfigError, match="cannot be read"):
        load(tmp_path / "none.yaml", Outer)
    path.write_text("name: é", encoding="utf-8")
    assert load(path, Outer).name == "é"


@pytest.mark.parametrize("text", ["10ms", "250us", "1h", "7ns", "0", "90s"])
def test_durations_print_as_they_are_written(text: str) -> None:
    """A duration in its largest whole unit survives reading and printing."""
    assert str(Duration.from_yaml(text)) in (text, "90s")
    assert Duration.from_yaml(str(Duration.from_yaml(text))) == Duration.from_yaml(text)


@pytest.mark.parametrize("text", ["-1s", "1.5ns", "1d", "s", "1 000ms", "1e3s", "٣s"])
def test_what_is_no_duration_is_refused(text: str) -> None:
    """Negative, fractional nanoseconds, unknown units and foreign digits are no durations."""
    with pytest.raises(ValueError, match=r"expected a duration|smallest unit"):
        Duration.from_yaml(text)


_text = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
_inner = st.builds(Inner, number=st.integers(-(10**18), 10**18), wait=st.none() | st.integers(0, 10**15).map(Duration))
_outer = st.builds(
    Outer,
    name=_text,
    inner=_inner,
    numbers=st.lists(st.integers(-99, 99)).map(tuple),
    by_name=st.dictionaries(_text, _inner, max_size=3),
    either=st.none() | st.integers(-5, 5) | _text | st.lists(_text).map(tuple),
    ratio=st.floats(0, 1),
    on=st.booleans(),
    colour=st.sampled_from(Colour),
    kind=st.sampled_from(["one", "two"]),
    size=st.integers(0, 2**40).map(ByteSize),
    when=_text,
)


def _plain_inner(inner: Inner) -> dict[str, object]:
    return {"number": inner.number, "wait": None if inner.wait is None else f"{int(inner.wait)}ns"}


@given(_outer)
def test_what_is_dumped_is_read_again(outer: Outer) -> None:
    """Any value, dumped by PyYAML, is read back equal (but for the lines that were filled in)."""
    document = {
        "name": outer.name,
        "inner": _plain_inner(outer.inner),
        "numbers": list(outer.numbers),
        "by_name": {key: _plain_inner(value) for key, value in outer.by_name.items()},
        "either": list(outer.either) if isinstance(outer.either, tuple) else outer.either,
        "ratio": outer.ratio,
        "on": outer.on,
        "colour": outer.colour.value,
        "kind": outer.kind,
        "size": int(outer.size),
        "if": outer.when,
    }
    found = parse(yaml.safe_dump(document, allow_unicode=True), "f", Outer)
    assert found.name == outer.name
    assert (found.inner.number, found.inner.wait) == (outer.inner.number, outer.inner.wait)
    assert {k: (v.number, v.wait) for k, v in found.by_name.items()} == {
        k: (v.number, v.wait) for k, v in outer.by_name.items()
    }
    assert (found.numbers, found.either, found.ratio, found.on) == (outer.numbers, outer.either, outer.ratio, outer.on)
    assert (found.colour, found.kind, found.size, found.when) == (outer.colour, outer.kind, outer.size, outer.when)


@given(st.text(max_size=200) | st.text("{}[]:,-?&*!|>'\"#%@` \n\tnamefir0123", max_size=200))
def test_no_text_does_more_than_be_refused(text: str) -> None:
    """Arbitrary text gives a value or a ConfigError that begins with file and line, and nothing else."""
    try:
        parse(text, "f", Outer)
    except ConfigError as error:
        file, line, _ = error.message.split(":", 2)
        assert file == "f"
        assert int(line) >= 1
