# SPDX-License-Identifier: Apache-2.0
"""The compiler of read programs against direct evaluation, and the bounds that every program keeps."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from otel_jb.catalog.compile import Meaning, Rule, compile_meaning, registers_read
from otel_jb.catalog.expression import (
    WIDTHS,
    Argument,
    AtEntry,
    Bits,
    Cast,
    Compare,
    Expression,
    Junction,
    Number,
    Read,
    Return,
    Scope,
    Sum,
    Text,
    is_condition,
    parse,
    resolve,
)
from otel_jb.model.errors import ConfigError
from otel_jb.model.reads import BIG_ENDIAN, MAX_OPS, SIGNED, Outcome
from tests.unit import readvm
from tests.unit.readvm import MASK, Memory, extended, signed

ARENA = 0x10000  #: memory that reads hit: 4 KiB from here


class FaultError(Exception):
    """The direct evaluation met unreadable memory."""


def evaluate(tree: Expression, arguments: list[int], returned: int, before: Memory, now: Memory) -> int:
    """The value of an expression, from its definition."""
    if isinstance(tree, Number):
        return tree.value & MASK
    if isinstance(tree, Argument):
        return arguments[tree.number - 1]
    if isinstance(tree, Return):
        return returned
    if isinstance(tree, AtEntry):
        return evaluate(tree.of, arguments, returned, before, before)
    if isinstance(tree, Cast):
        return extended(evaluate(tree.of, arguments, returned, before, now), tree.width)
    if isinstance(tree, Sum):
        left = evaluate(tree.left, arguments, returned, before, now)
        right = evaluate(tree.right, arguments, returned, before, now)
        return (left - right if tree.minus else left + right) & MASK
    if isinstance(tree, Bits):
        value = evaluate(tree.of, arguments, returned, before, now)
        if tree.operator == "&":
            return value & tree.by & MASK
        return value >> tree.by if tree.operator == ">>" else value << tree.by & MASK
    assert isinstance(tree, Read)
    data = now.read((evaluate(tree.base, arguments, returned, before, now) + tree.offset) & MASK, tree.width & 15)
    if data is None:
        raise FaultError
    return int.from_bytes(data, "big" if tree.width & BIG_ENDIAN else "little", signed=bool(tree.width & SIGNED)) & MASK


def holds(tree: Expression, arguments: list[int], returned: int, before: Memory, now: Memory) -> bool:
    """Whether a condition holds, from its definition."""
    if isinstance(tree, Junction):
        results = (holds(part, arguments, returned, before, now) for part in tree.parts)
        return any(results) if tree.any else all(results)
    assert isinstance(tree, Compare)
    value = signed(evaluate(tree.left, arguments, returned, before, now))
    return (value < tree.number if tree.less else value == tree.number) != tree.negated


widths = st.sampled_from(sorted(set(WIDTHS.values())))
plain_widths = st.sampled_from(sorted({width for width in WIDTHS.values() if not width & BIG_ENDIAN}))


def values(*leaves: Expression, depth: int = 3) -> st.SearchStrategy[Expression]:
    leaf = st.sampled_from([Argument(1), Argument(2), *leaves]) | st.integers(-300, 300).map(Number)

    def grow(inner: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
        address = st.just(Argument(3)) | st.builds(
            Sum, st.just(Argument(3)), st.builds(Bits, inner, st.just("&"), st.integers(0, 255)), minus=st.just(False)
        )
        return (
            st.builds(Read, widths, address, st.integers(0, 64))
            | st.builds(Cast, plain_widths, inner)
            | st.builds(Sum, inner, inner, minus=st.booleans())
            | st.builds(Bits, inner, st.sampled_from(["<<", ">>"]), st.integers(0, 63))
        )

    tree: st.SearchStrategy[Expression] = leaf
    for _ in range(depth):
        tree = leaf | grow(tree)
    return tree


def conditions(of: st.SearchStrategy[Expression]) -> st.SearchStrategy[Expression]:
    compare = st.builds(Compare, of, less=st.booleans(), number=st.integers(-5, 300), negated=st.booleans())
    junction = st.builds(Junction, st.lists(compare, min_size=2, max_size=3).map(tuple), any=st.booleans())
    return compare | junction | st.builds(Junction, st.tuples(junction, compare), any=st.booleans())


end_values = values(Return(), AtEntry(Argument(1)), AtEntry(Read(2, Argument(3), 8)), depth=2)
meanings = st.builds(
    Meaning,
    stream=st.none() | st.just(Argument(1)) | st.just(Sum(Argument(1), Number(8), minus=False)),
    packet_when=st.none() | conditions(values(depth=1)),
    bytes_entry=st.none() | values(depth=2),
    bytes_end=st.none(),
    depth_entry=st.none() | values(depth=1),
    depth_end=st.none() | values(AtEntry(Argument(1)), depth=1),
    rules=st.lists(
        st.builds(Rule, st.none() | conditions(end_values), st.sampled_from([0, 1, 2, 8, 9])), max_size=3
    ).map(tuple),
    return_width=st.sampled_from([4, 4 | SIGNED, 8, 1]),
    largest=st.sampled_from([1, 200, 65536, 2**31 - 1]),
    capacity=st.sampled_from([1, 100, 1 << 24]),
)


# The size of an impossible packet, which something at the end needs too.
@example(Meaning(bytes_entry=Argument(1), depth_end=Argument(1), return_width=4, largest=1, capacity=1), [2, 0], 0, 0)
@settings(max_examples=300, deadline=None)
@given(
    meanings,
    st.lists(st.integers(0, 2**64 - 1), min_size=2, max_size=2),
    st.integers(0, 2**64 - 1),
    st.integers(0, 2**32),
)
def test_a_program_does_what_the_expressions_say(meaning: Meaning, arguments: list[int], raw: int, seed: int) -> None:
    """For any meaning that fits, what the program emits equals the direct evaluation, and it ends within 32 operations."""
    try:
        program = compile_meaning(meaning)
    except ValueError:
        return
    assert len(program.entry) <= MAX_OPS
    assert len(program.end) <= MAX_OPS
    arguments = [*arguments, ARENA]
    random = Random(seed)
    before, now = Memory({ARENA: random.randbytes(512)}), Memory({ARENA: random.randbytes(512)})
    call = readvm.end(program, readvm.entry(program, arguments, before), raw, now)
    returned = extended(raw, meaning.return_width)

    def value(tree: Expression, memory: Memory) -> int:
        return evaluate(tree, arguments, returned, before, memory)

    assert call.fault is None
    is_packet = meaning.packet_when is None or holds(meaning.packet_when, arguments, returned, before, before)
    size = value(meaning.bytes_entry, before) if meaning.bytes_entry is not None and is_packet else 0
    impossible = size > meaning.largest
    assert call.bytes == (1 if impossible else size)
    assert call.stream == (value(meaning.stream, before) if meaning.stream is not None else 0)
    depths = [
        value(tree, m) for tree, m in ((meaning.depth_entry, before), (meaning.depth_end, now)) if tree is not None
    ]
    assert call.depths == [depth for depth in depths if depth <= meaning.capacity]
    assert [field for _, field in call.broken] == [
        *["depth out of range"] * (meaning.depth_entry is not None and depths[0] > meaning.capacity),
        *["bytes out of range"] * impossible,
        *["depth out of range"] * (meaning.depth_end is not None and depths[-1] > meaning.capacity),
    ]
    expected: int = Outcome.PACKET
    if not is_packet:
        expected = Outcome.NO_PACKET
    elif not (meaning.packet_when is not None and meaning.rules and meaning.bytes_entry is not None and size == 0):
        for rule in meaning.rules:
            if rule.when is None or holds(rule.when, arguments, returned, before, now):
                expected = rule.outcome
                break
    assert call.outcome == expected


@given(meanings, st.lists(st.integers(0, 2**64 - 1), min_size=6, max_size=6), st.integers(0, 2**64 - 1))
def test_a_program_ends_whatever_memory_says(meaning: Meaning, arguments: list[int], raw: int) -> None:
    """With no readable memory at all, a program ends by a fault of a named field or without one."""
    try:
        program = compile_meaning(meaning)
    except ValueError:
        return
    call = readvm.end(program, readvm.entry(program, arguments, Memory()), raw, Memory())
    assert call.fault is None or call.fault in program.fields


def test_a_value_is_read_once_and_only_where_it_is_needed() -> None:
    """A condition that was decided by the return value reads nothing; two that need one field read it once."""
    field = Read(4, Argument(1), 8)
    meaning = Meaning(
        stream=Argument(1),
        rules=(
            Rule(Compare(Return(), less=True, number=0, negated=True), Outcome.PACKET),
            Rule(Compare(field, less=False, number=5, negated=False), Outcome.DROP),
            Rule(Compare(field, less=False, number=6, negated=False), Outcome.DROP + 1),
        ),
        return_width=4 | SIGNED,
    )
    program = compile_meaning(meaning)
    memory = Memory({ARENA + 8: (6).to_bytes(4, "little")})
    assert readvm.end(program, readvm.entry(program, [ARENA], memory), 0, memory).outcome == Outcome.PACKET
    assert memory.reads == 0
    assert readvm.end(program, readvm.entry(program, [ARENA], memory), 2**32 - 1, memory).outcome == Outcome.DROP + 1
    assert memory.reads == 1


def test_a_depth_does_not_take_the_size_of_a_call_without_a_packet() -> None:
    """Where size and depth are one expression, the depth is right for calls whose size is not emitted, too."""
    none = Compare(Argument(2), less=False, number=0, negated=False)
    meaning = Meaning(packet_when=none, bytes_entry=Argument(1), depth_end=Argument(1))
    program = compile_meaning(meaning)
    for second, size in ((0, 9), (1, 0)):
        call = readvm.end(program, readvm.entry(program, [9, second], Memory()), 0, Memory())
        assert (call.bytes, call.depths) == (size, [9])


@pytest.mark.parametrize(
    ("whole", "parts"),
    [
        ("entry(arg2 < 0)", "entry(arg2) < 0"),
        ("entry(arg2 == 3 or arg3 >= 1)", "entry(arg2) == 3 or entry(arg3) >= 1"),
        ("not entry(arg2 == 3 and u32 @ arg1 != 5)", "entry(arg2) != 3 or entry(u32 @ arg1) == 5"),
    ],
)
def test_a_condition_at_the_entry_is_that_of_its_values_there(whole: str, parts: str) -> None:
    """`entry(A < 0)` means `entry(A) < 0`, for conditions that are made of several too."""
    assert parse(whole) == parse(parts)


def test_the_registers_that_a_program_needs_are_told() -> None:
    """The entry reads the arguments that its expressions name and no others."""
    program = compile_meaning(Meaning(stream=Argument(1), bytes_entry=Cast(4, Argument(4))))
    assert {at for at in registers_read(program.entry) if at < 6} == {0, 3}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("arg7", "arguments are arg1 to arg6"),
        ("i32 @", "expected a value at the end"),
        ("u16be arg1", "a big-endian type needs an address in memory"),
        ("arg1 + ", "expected a value at the end"),
        ("arg1 $ 2", "unexpected '$'"),
        ("(arg1", "expected ')' at the end"),
        ("arg1 == 5000000000", "does not fit into 32 bits"),
        ("(arg1 == 1) + 2", "a condition stands where a value is wanted"),
        ("arg1 in 1", "expected '..' at the end"),
        ("arg1 >> 64", "a shift is by 0 to 63"),
        ("(" * 40 + "arg1" + ")" * 40, "nested too deeply"),
        ("arg1 arg2", "unexpected 'arg2'"),
    ],
)
def test_a_wrong_expression_says_what_is_wrong(text: str, message: str) -> None:
    """Each mistake in an expression is named."""
    with pytest.raises(ValueError, match=message.replace("(", r"\(").replace(")", r"\)").replace("$", r"\$")):
        parse(text)


def test_names_are_resolved_and_unknown_ones_refused() -> None:
    """`values` stand for their expressions; an unknown name or a circle is an error with file and line."""
    scope = Scope(
        {
            "a": Text.from_yaml_at("u8 @ b+1", "f:1"),
            "b": Text.from_yaml_at("arg2", "f:2"),
            "c": Text.from_yaml_at("c", "f:3"),
        },
        {},
    )
    assert resolve(Text.from_yaml_at("a", "f:9"), scope) == Read(1, Argument(2), 1)
    with pytest.raises(ConfigError, match=r"f:9: 'd': unknown name 'd'"):
        resolve(Text.from_yaml_at("d", "f:9"), scope)
    with pytest.raises(ConfigError, match=r"c is defined by itself"):
        resolve(Text.from_yaml_at("c", "f:9"), scope)


@given(st.text("arg12345 ret()+-@u16bei32 <>=!&.x0 andornot in", max_size=60))
def test_no_text_breaks_the_parser(text: str) -> None:
    """Arbitrary text is an expression or a ValueError."""
    try:
        tree = parse(text)
    except ValueError:
        return
    assert isinstance(is_condition(tree), bool)
