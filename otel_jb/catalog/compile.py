# SPDX-License-Identifier: Apache-2.0
"""Compiles expressions to `reads.ReadProgram`, with as few reads and operations as possible.

A read costs the target about 77 ns, an operation about 3 ns. So every value is computed once per path (the compiler tracks what the
registers contain and intersects the tables where paths meet), conditions stop as soon as they are decided, and values that only rare
returns need are read only then. Jumps go forward, so a program always ends.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace

from otel_jb.catalog.expression import (
    IMMEDIATE,
    Argument,
    AtEntry,
    Bits,
    Cast,
    Compare,
    Expression,
    Junction,
    Name,
    Number,
    Product,
    Read,
    Return,
    Sum,
    negate,
    parts,
)
from otel_jb.model.added import MAX_VALUE
from otel_jb.model.dataclass import dataclass
from otel_jb.model.plan import NamePart, TrackClock
from otel_jb.model.reads import (
    MAX_DEPTH,
    MAX_FIELDS,
    MAX_OPS,
    MAX_PACKET,
    OPERANDS,
    OUT_OF_RANGE,
    SIGNED,
    Op,
    Outcome,
    ReadOp,
    ReadProgram,
)

_TEMPORARY = range(7, 16)
_BYTES, _STREAM, _SAVED = 1, 2, (3, 4, 5)  #: registers at a call's end
_BITS = {"<<": Op.SHLI, ">>": Op.SHRI, "&": Op.ANDI, "/": Op.DIVI}


@dataclass(frozen=True, slots=True)
class Rule:
    """One line of `outcomes`: the first whose condition holds decides (no condition: always)."""

    when: Expression | None
    outcome: int


@dataclass(frozen=True, slots=True)
class Addition:
    """What each call, or each for which the condition holds, adds to the function's counter of this number."""

    number: int
    name: str
    value: Expression
    when: Expression | None = None
    most: int = MAX_VALUE  #: a value from 0 to this
    mean: bool = False


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a profile says about one function, with names resolved."""

    stream: Expression | None = None
    packet_when: Expression | None = None
    bytes_entry: Expression | None = None
    bytes_end: Expression | None = None
    depth_entry: Expression | None = None
    depth_end: Expression | None = None
    rules: tuple[Rule, ...] = ()
    opens: Expression | None = None
    closes: Expression | None = None
    return_width: int = 0  #: as in Op.EXT
    largest: int = MAX_PACKET  #: bytes that a packet can have
    capacity: int = MAX_DEPTH  #: packets that a buffer can hold
    rtp: Expression | None = None  #: address of the RTP packet, of the size that `bytes_entry` gives
    stream_name: tuple[NamePart, ...] = ()
    track_clock: TrackClock | None = None
    enters: Expression | None = (
        None  #: identity of the packet that goes into the stream's buffer, at the entry; RTP_SEQUENCE
    )
    leaves_entry: Expression | None = None  #: of the one that comes out
    leaves_end: Expression | None = None
    passes: Expression | None = None  #: whether the packet that went in came out again within the call
    empties: Expression | None = None  #: the buffer all of whose packets are thrown away
    adds_entry: tuple[Addition, ...] = ()
    adds_end: tuple[Addition, ...] = ()
    packets_known: bool = True  #: False: which calls carry a packet cannot be told
    at_mark: bool = False  #: of a USDT probe: it has no end, so the entry tells all


def compile_meaning(meaning: Meaning) -> ReadProgram:
    """The cheapest program that reads the profile's values. Raises ValueError if it exceeds the kernel's limits."""
    fields: list[str] = []
    if meaning.at_mark:
        entry = _entry(meaning, [], 0, fields, flag_slot=None)
        return ReadProgram(entry, (), _counted(fields))
    saved, early = _saved(meaning)
    told_at_end = bool(meaning.rules or meaning.bytes_end or meaning.leaves_end or meaning.passes)
    flagged = meaning.packet_when is not None and told_at_end
    by_bytes = flagged and meaning.bytes_entry is not None
    slots = [*saved, *([None] if flagged and not by_bytes else [])]
    if len(slots) > len(_SAVED):
        raise ValueError(
            f"{len(slots)} values must be kept from entry to end, but the kernel keeps at most {len(_SAVED)}"
        )
    entry = _entry(meaning, saved, early, fields, flag_slot=len(saved) if flagged and not by_bytes else None)
    held: dict[Expression, int] = {}
    if meaning.stream is not None:
        held[_at_entry(meaning.stream)] = _STREAM
    held.update({_at_entry(tree): _SAVED[slot] for slot, tree in enumerate(saved)})
    flag = (_BYTES if by_bytes else _SAVED[len(saved)]) if flagged else None
    end = _end(meaning, held, flag, fields)
    return ReadProgram(entry, end, _counted(fields))


def _counted(fields: list[str]) -> tuple[str, ...]:
    if len(fields) > MAX_FIELDS:
        raise ValueError(f"{len(fields)} fields are read, but the kernel distinguishes at most {MAX_FIELDS}")
    return tuple(fields)


def compile_of_buffer(tree: Expression) -> tuple[ReadOp, ...]:
    """What user space runs to find something of a buffer or a track later: a straight program that emits it as STREAM.

    Raises ValueError where the expression needs more than the address of that, which is argument 6 of it.
    """
    if any(
        isinstance(part, (Return, AtEntry)) or (isinstance(part, Argument) and part != BUFFER) for part in parts(tree)
    ):
        raise ValueError("it is read later, when there is nothing but the stream")
    code = _Code([], {})
    code.add(ReadOp(Op.STREAM, src=code.value(tree)))
    return code.finish()


#: stands for the number in the RTP header that is read anyway
RTP_SEQUENCE = Name("rtp_sequence")
BUFFER = Argument(6)  #: stands for the address of the buffer, or of the track, in what `compile_of_buffer` takes


def registers_read(operations: Iterable[ReadOp]) -> frozenset[int]:
    """The registers whose value at the start matters to the program (or may)."""
    return frozenset(register for operation in operations for register in operation.reads())


def _at_entry(tree: Expression) -> Expression:
    return tree if isinstance(tree, AtEntry) else AtEntry(tree)


def _saved(meaning: Meaning) -> tuple[list[Expression], int]:
    """The values that the end needs from the entry; the first `early` of them also for calls without a packet."""
    # Not the size: none is emitted for a call without a packet, and another one in the place of a size that no packet has.
    known = {_at_entry(meaning.stream)} if meaning.stream is not None else set()
    found: list[Expression] = []

    def collect(trees: Iterable[Expression | None]) -> None:
        for tree in trees:
            for part in _outer(tree) if tree is not None else ():
                if _at_entry(part) not in known and part not in found:
                    found.append(part)

    collect((meaning.depth_end, meaning.opens, meaning.closes))
    collect(tree for each in meaning.adds_end for tree in (each.when, each.value))
    early = len(found)
    collect([*(rule.when for rule in meaning.rules), meaning.bytes_end, meaning.leaves_end, meaning.passes])
    return found, early


def _outer(tree: Expression) -> Iterable[Expression]:
    """What an expression at the end needs from the entry: `entry(x)` as x, and bare arguments."""
    if isinstance(tree, AtEntry):
        yield tree.of
    elif isinstance(tree, Argument):
        yield tree
    else:
        for part in parts(tree):
            if part is not tree and part in _children(tree):
                yield from _outer(part)


def _children(tree: Expression) -> Sequence[Expression]:
    if isinstance(tree, Read):
        return (tree.base,)
    if isinstance(tree, (Cast, Bits)):
        return (tree.of,)
    if isinstance(tree, (Sum, Product)):
        return (tree.left, tree.right)
    if isinstance(tree, Compare):
        return (tree.left,)
    return tree.parts if isinstance(tree, Junction) else ()


def _entry(
    meaning: Meaning, saved: list[Expression], early: int, fields: list[str], flag_slot: int | None
) -> tuple[ReadOp, ...]:
    code = _Code(fields, {})
    if meaning.stream is not None:
        code.emit(Op.STREAM, meaning.stream, "stream")
    if meaning.closes is not None:
        code.emit(Op.CLOSE, meaning.closes, "buffer")
    if meaning.depth_entry is not None:
        code.emit_checked(Op.DEPTH, meaning.depth_entry, "depth", meaning.capacity)
    for slot, tree in enumerate(saved[:early]):
        code.emit(Op.SAVE, tree, "saved", slot)
    if meaning.empties is not None:
        code.emit(Op.EMPTIES, meaning.empties, "buffer")
    for each in meaning.adds_entry:
        code.emit_addition(each)
    none, end = code.label(), code.label()
    if meaning.packet_when is not None:
        code.field = "packet"
        code.jump_unless(meaning.packet_when, none)
    if meaning.at_mark and meaning.rules:
        packet = code.label()
        code.field = "outcome"
        _decide(code, meaning.rules, packet, end)
        code.place(packet)
    if meaning.bytes_entry is not None:
        code.emit_checked(Op.BYTES, meaning.bytes_entry, "bytes", meaning.largest)
        if meaning.rtp is not None:
            code.emit_packet(meaning.rtp)
    if meaning.enters == RTP_SEQUENCE:
        code.add(ReadOp(Op.ENTERS, imm=1))
    elif meaning.enters is not None:
        code.emit(Op.ENTERS, meaning.enters, "identity")
    if meaning.leaves_entry is not None:
        code.emit(Op.LEAVES, meaning.leaves_entry, "identity")
    for slot, tree in enumerate(saved[early:], early):
        code.emit(Op.SAVE, tree, "saved", slot)
    if flag_slot is not None:
        code.emit(Op.SAVE, Number(1), "saved", flag_slot)
    if meaning.packet_when is not None:
        code.jump(end)
        code.place(none)
        code.add(ReadOp(Op.OUTCOME, imm=Outcome.NO_PACKET))
    code.place(end)
    return code.finish()


def _end(meaning: Meaning, held: dict[Expression, int], flag: int | None, fields: list[str]) -> tuple[ReadOp, ...]:
    code = _Code(fields, held, meaning.return_width)
    if meaning.opens is not None:
        skip = code.label()
        code.field = "buffer"
        if any(isinstance(part, Return) for part in parts(meaning.opens)):
            code.jump_unless(Compare(Return(), less=False, number=0, negated=True), skip)
        code.emit(Op.OPEN, meaning.opens, "buffer")
        code.place(skip)
    if meaning.closes is not None:
        code.emit(Op.CLOSE, meaning.closes, "buffer")
    if meaning.depth_end is not None:
        code.emit_checked(Op.DEPTH, meaning.depth_end, "depth", meaning.capacity)
    for each in meaning.adds_end:
        code.emit_addition(each)
    finish, packet = code.label(), code.label()
    if flag is not None:
        code.add_jump(ReadOp(Op.JEQ, dst=flag, imm=0), finish)
    if (
        meaning.passes is not None
    ):  # before the rules, so that what they read does not take the place of what was read for the depth
        stays = code.label()
        code.field = "identity"
        code.jump_unless(meaning.passes, stays)
        code.add(ReadOp(Op.PASSES))
        code.place(stays)
    code.field = "outcome"
    _decide(code, meaning.rules, packet, finish)
    code.place(packet)
    if meaning.bytes_end is not None:
        code.emit_checked(Op.BYTES, meaning.bytes_end, "bytes", meaning.largest)
    if meaning.leaves_end is not None:
        code.emit(Op.LEAVES, meaning.leaves_end, "identity")
    code.place(finish)
    return code.finish()


def _decide(code: _Code, rules: Sequence[Rule], packet: int, no_packet: int) -> None:
    """Go to the label `packet`, or to the other one, with the outcome of the first rule that holds."""
    for rule in rules:
        if rule.outcome == Outcome.PACKET:
            if rule.when is not None:
                code.jump_if(rule.when, packet)
        else:
            other = code.label()
            if rule.when is not None:
                code.jump_unless(rule.when, other)
            code.add(ReadOp(Op.OUTCOME, imm=rule.outcome))
            code.jump(no_packet if rule.outcome in (Outcome.NO_PACKET, Outcome.UNDERRUN) else packet)
            code.place(other)
        if rule.when is None:
            break


class _Code:
    """Operations with labels, and the contents of each register at the current position."""

    def __init__(self, fields: list[str], held: dict[Expression, int], return_width: int | None = None) -> None:
        self.fields, self.field = fields, ""
        self.held = dict(held)
        self.return_width, self.at_end = return_width or 0, return_width is not None
        self.code: list[tuple[ReadOp, int | None] | int] = []  #: operations (with the label they jump to) and labels
        self.arrivals: list[list[dict[Expression, int]]] = []
        self.reachable = True
        self.pinned: list[int] = []

    # Interface for building programs

    def label(self) -> int:
        self.arrivals.append([])
        return len(self.arrivals) - 1

    def place(self, label: int) -> None:
        """Place `label` here; registers keep only what they contain on every path to it."""
        ways = self.arrivals[label] + ([self.held] if self.reachable else [])
        if not ways:
            return
        self.code.append(label)
        self.held = {tree: at for tree, at in ways[0].items() if all(way.get(tree) == at for way in ways)}
        self.reachable = True

    def add(self, operation: ReadOp) -> None:
        if self.reachable:
            self.code.append((operation, None))

    def add_jump(self, operation: ReadOp, label: int) -> None:
        if self.reachable:
            self.code.append((operation, label))
            self.arrivals[label].append(dict(self.held))

    def jump(self, label: int) -> None:
        self.add_jump(ReadOp(Op.JMP), label)
        self.reachable = False

    def emit(self, op: Op, tree: Expression, field: str, imm: int = 0) -> None:
        if self.reachable:
            self.field = field
            self.add(ReadOp(op, src=self.value(tree), imm=imm))

    def emit_checked(self, op: Op, tree: Expression, field: str, most: int) -> None:
        """Emit a value from 0 to `most`. Any other value is counted under a separate field and not emitted."""
        if self.reachable:
            self.field = field
            source = self.value(tree)
            self.add(ReadOp(op, src=source, skip=self.number(f"{field}{OUT_OF_RANGE}"), imm=most))

    def emit_addition(self, each: Addition) -> None:
        """Add a value where its condition holds. What is impossible is counted under the counter's name and not added."""
        self.field = each.name
        past = self.label() if each.when is not None else None
        if each.when is not None and past is not None:
            self.jump_unless(each.when, past)
        if self.reachable:
            op, field = Op.MEAN if each.mean else Op.ADDED, self.number(f"{each.name}{OUT_OF_RANGE}")
            self.add(ReadOp(op, dst=each.number, src=self.value(each.value), skip=field, imm=each.most))
        if past is not None:
            self.place(past)

    def emit_packet(self, tree: Expression) -> None:
        """Emit the address of an RTP packet, whose reading is counted as a fault of the field `rtp`."""
        if self.reachable:
            self.field = "rtp"
            self.add(ReadOp(Op.RTP, src=self.value(tree), skip=self.number("rtp")))

    def number(self, field: str) -> int:
        """The number under which faults of a field are counted."""
        if field not in self.fields:
            self.fields.append(field)
        return self.fields.index(field)

    def jump_unless(self, tree: Expression, label: int) -> None:
        self.jump_if(negate(tree), label)

    def jump_if(self, tree: Expression, label: int) -> None:
        if isinstance(tree, Junction):
            if tree.any:
                for part in tree.parts:
                    self.jump_if(part, label)
                return
            past = self.label()
            for part in tree.parts[:-1]:
                self.jump_unless(part, past)
            self.jump_if(tree.parts[-1], label)
            self.place(past)
            return
        assert isinstance(tree, Compare)
        if self.reachable:
            at = self.value(tree.left)
            positive, negative = (Op.JLT, Op.JGE) if tree.less else (Op.JEQ, Op.JNE)
            self.add_jump(ReadOp(negative if tree.negated else positive, dst=at, imm=tree.number), label)

    # Values

    def value(self, tree: Expression) -> int:
        """The register with the value; the caller must not change it."""
        if (at := self.held.get(tree)) is not None:
            return at
        if (at := self.held.get(AtEntry(tree))) is not None and isinstance(tree, Argument):
            return at
        at = self.compute(tree)
        self.held[tree] = at
        return at

    def compute(self, tree: Expression) -> int:
        if isinstance(tree, (Argument, AtEntry)):
            assert not self.at_end, "the end can use only values that the entry kept"
        if isinstance(tree, Argument):
            return tree.number - 1
        if isinstance(tree, AtEntry):
            return self.value(tree.of)
        if isinstance(tree, Return):
            if self.return_width & 15 != 8:
                self.add(ReadOp(Op.EXT, dst=0, width=self.return_width))
            return 0
        if isinstance(tree, Number):
            at = self.temporary()
            self.add(ReadOp(Op.MOVI, dst=at, imm=tree.value))
            return at
        if isinstance(tree, Read):
            return self.read(tree)
        if isinstance(tree, Cast):
            return self.changed(tree.of, lambda at: ReadOp(Op.EXT, dst=at, width=tree.width))
        if isinstance(tree, Bits):
            return self.changed(tree.of, lambda at: ReadOp(_BITS[tree.operator], dst=at, imm=tree.by))
        assert isinstance(tree, (Sum, Product)), tree
        if isinstance(tree, Sum) and isinstance(tree.right, Number):
            number = -tree.right.value if tree.minus else tree.right.value
            return self.changed(tree.left, lambda at: ReadOp(Op.ADDI, dst=at, imm=number))
        left = self.value(tree.left)
        self.pinned.append(left)
        right = self.value(tree.right)
        self.pinned.append(right)
        at = self.temporary()
        self.add(ReadOp(Op.MOV, dst=at, src=left))
        combines = Op.MUL if isinstance(tree, Product) else Op.SUB if tree.minus else Op.ADD
        self.add(ReadOp(combines, dst=at, src=right))
        del self.pinned[-2:]
        return at

    def changed(self, tree: Expression, operation: Callable[[int], ReadOp]) -> int:
        source = self.value(tree)
        self.pinned.append(source)
        at = self.temporary()
        self.pinned.pop()
        self.add(ReadOp(Op.MOV, dst=at, src=source))
        self.add(operation(at))
        return at

    def read(self, tree: Read) -> int:
        base, offset = tree.base, tree.offset
        if base not in self.held:
            base, offset = _displaced(base, offset)
        source = self.value(base)
        self.pinned.append(source)
        at = self.temporary()
        self.pinned.pop()
        width = tree.width if tree.width & 15 != 8 else tree.width & ~SIGNED
        self.add(ReadOp(Op.READ, dst=at, src=source, width=width, skip=self.number(self.field), imm=offset))
        return at

    def temporary(self) -> int:
        """A register whose value is not needed; prefers the oldest one that can be recomputed."""
        used = {*self.held.values(), *self.pinned}
        for at in _TEMPORARY:
            if at not in used:
                return at
        for at in list(self.held.values()):
            if at in _TEMPORARY and at not in self.pinned:
                self.held = {other: place for other, place in self.held.items() if place != at}
                return at
        raise ValueError("an expression needs more registers than the kernel offers")

    # The result

    def finish(self) -> tuple[ReadOp, ...]:
        """The operations with jump distances resolved; empty if the program does nothing."""
        if not any(not isinstance(item, int) for item in self.code):
            return ()
        self.add(ReadOp(Op.END))
        code = _without_moves(_shortened(self.code))
        places: dict[int, int] = {}
        count = 0
        for item in code:
            if isinstance(item, int):
                places[item] = count
            else:
                count += 1
        if count > MAX_OPS:
            raise ValueError(f"{count} operations are needed, but the kernel takes at most {MAX_OPS}")
        result: list[ReadOp] = []
        for item in code:
            if not isinstance(item, int):
                operation, label = item
                result.append(operation if label is None else replace(operation, skip=places[label] - len(result) - 1))
        return tuple(result)


def _displaced(base: Expression, offset: int) -> tuple[Expression, int]:
    """An address with its constant part moved into the operation's offset."""
    if isinstance(base, Sum) and not base.minus and isinstance(base.right, Number):
        total = offset + base.right.value
        if total in IMMEDIATE:
            return base.left, total
    return base, offset


_Item = tuple[ReadOp, "int | None"] | int


def _shortened(code: list[_Item]) -> list[_Item]:
    """Jumps to the program's last operation become END; jumps to the next one disappear."""
    last = next(index for index in range(len(code) - 1, -1, -1) if not isinstance(code[index], int))
    final = {
        item for item in code[:last] if isinstance(item, int) and set(code[code.index(item) : last]) <= _labels(code)
    }
    result: list[_Item] = []
    for index, item in enumerate(code):
        if not isinstance(item, int) and item[0].op is Op.JMP:
            following = code[index + 1 :]
            ahead = [other for other in following[: _first_operation(following)] if isinstance(other, int)]
            if item[1] in ahead:
                continue
            if item[1] in final:
                item = (ReadOp(Op.END), None)
        result.append(item)
    return result


def _labels(code: list[_Item]) -> set[_Item]:
    return {item for item in code if isinstance(item, int)}


def _first_operation(code: list[_Item]) -> int:
    return next((index for index, item in enumerate(code) if not isinstance(item, int)), len(code))


def _without_moves(code: list[_Item]) -> list[_Item]:
    """Eliminate copies of temporaries that are not used again.

    The register may be renamed up to the end of the program if nothing used the new name before; otherwise only up to the next
    label, and only if nothing uses it beyond that.
    """
    index = 0
    while index < len(code):
        item = code[index]
        if not isinstance(item, int) and item[0].op is Op.MOV and item[0].src in _TEMPORARY:
            old, new = item[0].src, item[0].dst
            after = code[index + 1 :]
            block = next((at for at, other in enumerate(after) if isinstance(other, int)), len(after))
            if new not in _all_mentioned(code[:index]):
                block = len(after)
            if old not in _all_mentioned(after) and new not in _all_mentioned(after[block:]):
                code = code[:index] + [_renamed(other, new, old) for other in after[:block]] + after[block:]
                continue
        index += 1
    return code


def _all_mentioned(code: list[_Item]) -> set[int]:
    return {at for item in code if not isinstance(item, int) for at in _mentioned(item[0])}


def _mentioned(operation: ReadOp) -> set[int]:
    return {*operation.reads(), *([operation.dst] if OPERANDS[operation.op].writes_dst else [])}


def _renamed(item: _Item, old: int, new: int) -> _Item:
    if isinstance(item, int) or old not in _mentioned(item[0]):
        return item
    operation, label = item
    operands = OPERANDS[operation.op]
    uses_dst = operands.reads_dst or operands.writes_dst
    dst = new if uses_dst and operation.dst == old else operation.dst
    src = new if operands.reads_src and operation.src == old else operation.src
    return replace(operation, dst=dst, src=src), label
