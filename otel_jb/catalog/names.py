# SPDX-License-Identifier: Apache-2.0
"""What is looked for in a file, by the text of the shipped profiles alone.

Reading profiles takes the start 30 ms, and importing what they are read with 50. The sandbox needs neither to search a large file for their
names, so it is told these first. `Catalog` says the same, and a test compares both.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

from otel_jb.config.yamlfile import MappingNode, Node, ScalarNode, SequenceNode, nodes
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import USDT

#: globs for the search in symbol tables; `generic.generic_profile` then requires a verb
PATTERNS = (
    "*[jJ]itter[bB]uf*",
    "*[jJ]itter_[bB]uf*",
    "*JITTER_BUF*",
    "*[jJ][bB]uf_*",
    "*[jJ]buf[A-Z]*",
    "*JBuf*",
    "rtp_parse_packet*",
)

_parsed: dict[Path, Node] = {}


@dataclass(frozen=True, slots=True)
class Sought:
    """See `Catalog.patterns`, `Catalog.telltales` and `Catalog.has_marks`."""

    patterns: tuple[str, ...]
    telltales: tuple[str, ...]
    has_marks: bool


def shipped() -> list[Path]:
    """The files of the shipped profiles, in the order in which their names count."""
    # not importlib.resources: it takes 5 ms and a third of a megabyte for what is never in an archive
    return sorted(Path(__file__).with_name("profiles").glob("*.yaml"))


def node_of(file: Path) -> Node:
    """The file's nodes, parsed once for `sought` and for the one that reads it after that. Raises ConfigError."""
    return _parsed.pop(file, None) or nodes(file)


def forget() -> None:
    """Let go of what was parsed, in a process that reads no profile."""
    _parsed.clear()


def sought() -> Sought:
    """What the shipped profiles look for."""
    names: dict[str, None] = {}
    marks: dict[str, None] = {}
    telltales: dict[str, None] = {}
    has_marks = False
    for file in shipped():
        profile = _parsed[file] = nodes(file)
        functions = _list(profile, "functions")
        telltales.update(dict.fromkeys(_texts(profile, "telltale")))
        for each in (profile, *functions):
            for marker in ("only", "layout"):
                marks.update(dict.fromkeys(_texts(_value(each, marker), "symbols")))
        for function in functions:
            for call in _list(function, "at_calls"):
                marks.update(dict.fromkeys(_texts(call, "of")))
            own = [*_texts(function, "name"), *_texts(function, "also")]
            if any(name.startswith(USDT) for name in own):
                has_marks = True
            else:
                names.update(dict.fromkeys(own))
    return Sought(tuple(dict.fromkeys((*names, *marks, *PATTERNS))), tuple(telltales), has_marks)


def _value(node: Node | None, key: str) -> Node | None:
    return node.items[key][1] if isinstance(node, MappingNode) and key in node.items else None


def _list(node: Node | None, key: str) -> Sequence[Node]:
    value = _value(node, key)
    return value.items if isinstance(value, SequenceNode) else ()


def _texts(node: Node | None, key: str) -> Iterator[str]:
    """The text of a key, or the texts of its list."""
    value = _value(node, key)
    for each in (value, *_list(node, key)):
        if isinstance(each, ScalarNode):
            yield each.text
