# SPDX-License-Identifier: Apache-2.0
"""The expressions of a profile: values and conditions (docs/profiles.md has the grammar).

Text becomes a tree of frozen nodes, in which `resolve` replaces the profile's names (`values`, `structs`). This module knows
nothing about the kernel's operations; `compile` turns trees into them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import ConfigError
from otel_jb.model.reads import BIG_ENDIAN, SIGNED

WIDTHS: Mapping[str, int] = {
    "bool": 1, "u8": 1, "i8": 1 | SIGNED, "u16": 2, "i16": 2 | SIGNED, "u32": 4, "i32": 4 | SIGNED, "u64": 8, "i64": 8 | SIGNED,
    "ptr": 8, "u16be": 2 | BIG_ENDIAN, "u32be": 4 | BIG_ENDIAN, "u64be": 8 | BIG_ENDIAN, "i16be": 2 | SIGNED | BIG_ENDIAN,
    "i32be": 4 | SIGNED | BIG_ENDIAN,
}  # fmt: skip
IMMEDIATE = range(-(2**31), 2**31)  #: range of the numbers in the kernel's operations


@dataclass(frozen=True, slots=True)
class Number:
    """A constant."""

    value: int


@dataclass(frozen=True, slots=True)
class Argument:
    """Integer argument 1 to 6, as of the entry."""

    number: int


@dataclass(frozen=True, slots=True)
class Return:
    """The return value, extended from its declared width."""


@dataclass(frozen=True, slots=True)
class Name:
    """A name that `resolve` replaces: `this`, `stream`, `bytes` or one of the profile's `values`."""

    name: str


@dataclass(frozen=True, slots=True)
class Read:
    """`width` bytes of memory at base + offset; width as in records.Op.READ."""

    width: int
    base: Expression
    offset: int


@dataclass(frozen=True, slots=True)
class FieldOf:
    """`base->Struct.field`, which `resolve` turns into a Read."""

    base: Expression
    struct: str
    field: str


@dataclass(frozen=True, slots=True)
class OffsetOf:
    """`offset(Struct.field)`, which `resolve` turns into a Number: how far a member lies behind the beginning of its object."""

    struct: str
    field: str


@dataclass(frozen=True, slots=True)
class Cast:
    """The low `width` bytes of a value."""

    width: int
    of: Expression


@dataclass(frozen=True, slots=True)
class Sum:
    """left + right, or left - right."""

    left: Expression
    right: Expression
    minus: bool


@dataclass(frozen=True, slots=True)
class Product:
    """left * right, modulo 2^64."""

    left: Expression
    right: Expression


@dataclass(frozen=True, slots=True)
class Bits:
    """A value shifted (`<<`, logical `>>`), masked (`&`) or divided (`/`, unsigned) by a constant."""

    of: Expression
    operator: str
    by: int


@dataclass(frozen=True, slots=True)
class AtEntry:
    """A value as of the call's entry, kept for its end."""

    of: Expression


@dataclass(frozen=True, slots=True)
class Compare:
    """left < number, or left == number; `negated` for the opposite."""

    left: Expression
    less: bool
    number: int
    negated: bool


@dataclass(frozen=True, slots=True)
class Junction:
    """All (with `any`: at least one) of the parts hold. Evaluation stops as soon as the result is known."""

    parts: tuple[Expression, ...]
    any: bool


Expression = (
    Number
    | Argument
    | Return
    | Name
    | Read
    | FieldOf
    | OffsetOf
    | Cast
    | Sum
    | Product
    | Bits
    | AtEntry
    | Compare
    | Junction
)


@dataclass(frozen=True, slots=True)
class Text:
    """An expression in a profile, with its location."""

    text: str
    where: str
    tree: Expression

    @classmethod
    def from_yaml_at(cls, text: str, where: str) -> Text:
        return cls(text, where, parse(text))

    def fail(self, message: str) -> ConfigError:
        """The error to raise about this expression."""
        return ConfigError(f"{self.where}: {self.text!r}: {message}")


_TOKEN = re.compile(
    r"\s*(?:(0x[0-9a-fA-F]+|[0-9]+)|([A-Za-z_][A-Za-z_0-9]*(?:::[A-Za-z_][A-Za-z_0-9]*)*)|(->|\.\.|<<|>>|[=!<>]=|[-+*/()@&<>.]))"
)
_COMPARISONS = {"==": (False, 0, False), "!=": (False, 0, True), "<": (True, 0, False), ">=": (True, 0, True),
                ">": (True, 1, True), "<=": (True, 1, False)}  # fmt: skip
_MAX_NESTING = 12


def parse(text: str) -> Expression:
    """Parse an expression into a tree. Raises ValueError that says what is wrong."""
    tokens: list[str] = []
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise ValueError(f"{text!r}: unexpected {text[at:].strip()[0]!r}")
        tokens.append(match.group().strip())
        at = match.end()
    if len(tokens) > 200:
        raise ValueError(f"{text[:40]!r}…: too long")
    parser = _Parser(text, tokens)
    tree = parser.either(0)
    if parser.peek():
        raise ValueError(f"{text!r}: unexpected {parser.peek()!r}")
    return tree


def is_condition(tree: Expression) -> bool:
    """Whether the tree is a condition rather than a value."""
    return isinstance(tree, (Compare, Junction))


class _Parser:
    """Recursive descent; one method per level of precedence, weakest first."""

    def __init__(self, text: str, tokens: list[str]) -> None:
        self.text, self.tokens, self.at = text, tokens, 0

    def fail(self, message: str) -> ValueError:
        return ValueError(f"{self.text!r}: {message}")

    def peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def take(self, *wanted: str) -> str:
        found = self.peek()
        if not found or (wanted and found not in wanted):
            expected = " or ".join(repr(word) for word in wanted) or "a value"
            raise self.fail(f"expected {expected}, got {found!r}" if found else f"expected {expected} at the end")
        self.at += 1
        return found

    def either(self, depth: int) -> Expression:
        return self.junction(depth, "or", self.both)

    def both(self, depth: int) -> Expression:
        return self.junction(depth, "and", self.negation)

    def junction(self, depth: int, word: str, below: Callable[[int], Expression]) -> Expression:
        if depth > _MAX_NESTING:
            raise self.fail("nested too deeply")
        parts = [below(depth)]
        while self.peek() == word:
            self.take()
            parts.append(below(depth))
        return parts[0] if len(parts) == 1 else Junction(tuple(self.truth(part) for part in parts), word == "or")

    def negation(self, depth: int) -> Expression:
        negated = False
        while self.peek() == "not":
            self.take()
            negated = not negated
        tree = self.comparison(depth)
        return negate(self.truth(tree)) if negated else tree

    def comparison(self, depth: int) -> Expression:
        left = self.bits(depth)
        word = self.peek()
        if word == "in":
            self.take()
            low = self.number()
            self.take("..")
            high = self.number()
            value = self.value(left)
            return Junction((less(value, low, negated=True), less(value, self.immediate(high + 1))), any=False)
        if word not in _COMPARISONS:
            return left
        self.take()
        is_less, more, negated = _COMPARISONS[word]
        right = self.value(self.bits(depth))
        if not isinstance(right, Number):
            left, right = Sum(self.value(left), right, minus=True), Number(0)
        return Compare(self.value(left), is_less, self.immediate(right.value + more), negated)

    def bits(self, depth: int) -> Expression:
        tree = self.sum(depth)
        while self.peek() in ("<<", ">>", "&"):
            operator = self.take()
            by = self.number()
            if operator != "&" and by not in range(64):
                raise self.fail("a shift is by 0 to 63")
            tree = Bits(self.value(tree), operator, by)
        return tree

    def sum(self, depth: int) -> Expression:
        tree = self.product(depth)
        while self.peek() in ("+", "-"):
            minus = self.take() == "-"
            tree = add(self.value(tree), self.value(self.product(depth)), minus)
        return tree

    def product(self, depth: int) -> Expression:
        tree = self.atom(depth)
        while self.peek() in ("*", "/"):
            if self.take() == "*":
                tree = Product(self.value(tree), self.value(self.atom(depth)))
            elif (by := self.number()) > 0:
                tree = Bits(self.value(tree), "/", by)
            else:
                raise self.fail("a division is by a number above 0")
        return tree

    def atom(self, depth: int) -> Expression:
        tree = self.primary(depth)
        while self.peek() == "->":
            self.take()
            struct = self.word()
            self.take(".")
            tree = FieldOf(self.value(tree), struct, self.word())
        return tree

    def primary(self, depth: int) -> Expression:
        word = self.take()
        if word == "(":
            tree = self.either(depth + 1)
            self.take(")")
            return tree
        if word == "-" or word[0].isdigit():
            self.at -= 1
            return Number(self.number())
        if not word[0].isalpha() and word[0] != "_":
            raise self.fail(f"expected a value, got {word!r}")
        if word in WIDTHS:
            return self.typed(WIDTHS[word], depth)
        if word == "entry" and self.peek() == "(":
            return at_entry(self.primary(depth))
        if word == "offset" and self.peek() == "(":
            self.take()
            struct = self.word()
            self.take(".")
            tree = OffsetOf(struct, self.word())
            self.take(")")
            return tree
        if match := re.fullmatch(r"arg([0-9]+)", word):
            if not 1 <= int(match.group(1)) <= 6:
                raise self.fail("arguments are arg1 to arg6")
            return Argument(int(match.group(1)))
        return Return() if word == "ret" else Name(word)

    def typed(self, width: int, depth: int) -> Expression:
        if self.peek() != "@":
            if width & BIG_ENDIAN:
                raise self.fail("a big-endian type needs an address in memory: TYPE @ ADDRESS")
            return Cast(width, self.value(self.atom(depth)))
        self.take()
        base, offset = self.value(self.atom(depth)), 0
        while self.peek() in ("+", "-") and self.at + 1 < len(self.tokens) and self.tokens[self.at + 1][0].isdigit():
            sign = -1 if self.take() == "-" else 1
            offset += sign * self.number()
        return Read(width, base, self.immediate(offset))

    def word(self) -> str:
        token = self.take()
        if not re.fullmatch(r"[A-Za-z_]\w*(?:::[A-Za-z_]\w*)*", token):
            raise self.fail(f"expected a name, got {token!r}")
        return token

    def number(self) -> int:
        sign = -1 if self.peek() == "-" and self.take() else 1
        token = self.take()
        if not token[0].isdigit() or len(token) > 12:
            raise self.fail(f"expected a number, got {token!r}")
        return self.immediate(sign * int(token, 0 if token.startswith("0x") else 10))

    def immediate(self, value: int) -> int:
        if value not in IMMEDIATE:
            raise self.fail(f"{value} does not fit into 32 bits")
        return value

    def value(self, tree: Expression) -> Expression:
        if is_condition(tree):
            raise self.fail("a condition stands where a value is wanted")
        return tree

    def truth(self, tree: Expression) -> Expression:
        return tree if is_condition(tree) else Compare(tree, less=False, number=0, negated=True)


def less(left: Expression, number: int, *, negated: bool = False) -> Compare:
    """The condition left < number, or its opposite."""
    return Compare(left, less=True, number=number, negated=negated)


def negate(tree: Expression) -> Expression:
    """The opposite condition."""
    if isinstance(tree, Compare):
        return Compare(tree.left, tree.less, tree.number, not tree.negated)
    assert isinstance(tree, Junction)
    return Junction(tuple(negate(part) for part in tree.parts), not tree.any)


def at_entry(tree: Expression) -> Expression:
    """The value, or each value in the condition, as of the call's entry."""
    if isinstance(tree, Compare):
        return Compare(AtEntry(tree.left), tree.less, tree.number, tree.negated)
    if isinstance(tree, Junction):
        return Junction(tuple(at_entry(part) for part in tree.parts), tree.any)
    return AtEntry(tree)


def add(left: Expression, right: Expression, minus: bool) -> Expression:
    """Left ± right, with constants folded."""
    if isinstance(right, Number):
        value = -right.value if minus else right.value
        if isinstance(left, Number) and left.value + value in IMMEDIATE:
            return Number(left.value + value)
        return Sum(left, Number(value), minus=False)
    return Sum(left, right, minus)


_PATH = r"[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)*"
_FIELD = re.compile(rf"([a-z0-9]+)(?:\s+({_PATH}(?:\s*\|\s*{_PATH})*))?(?:\s*@\s*([0-9]{{1,7}}))?")


@dataclass(frozen=True, slots=True)
class FieldPlace:
    """A field of a struct, written `TYPE NAME`, `TYPE NAME | OLDER_NAME`, or `TYPE @OFFSET` if all versions have the same offset.

    `paths` are the field's names in the target's debug information (`queue_._M_impl._M_start` searches members). `offset` is its place,
    or None while that is unknown; `why` then says what is missing.
    """

    width: int
    offset: int | None
    paths: tuple[str, ...] = ()
    why: str = ""

    @classmethod
    def from_yaml(cls, text: str) -> FieldPlace:
        match = _FIELD.fullmatch(text)
        if match is None or match.group(1) not in WIDTHS or not (match.group(2) or match.group(3)):
            raise ValueError(f"expected TYPE NAME or TYPE @OFFSET, such as i32 queue_len or i32 @552, got {text!r}")
        paths = tuple(path.strip() for path in match.group(2).split("|")) if match.group(2) else ()
        return cls(WIDTHS[match.group(1)], int(match.group(3)) if match.group(3) else None, paths)


@dataclass(frozen=True, slots=True)
class Scope:
    """The meaning of the names in a profile's expressions."""

    values: Mapping[str, Text]
    structs: Mapping[str, Mapping[str, FieldPlace]]


class UnplacedError(Exception):
    """An expression needs a field whose place in this file is unknown."""

    def __init__(self, field: str, why: str) -> None:
        super().__init__(field)
        self.field, self.why = field, why


def resolve(text: Text, scope: Scope) -> Expression:
    """The tree with every name replaced. Raises ConfigError for one that the profile does not define, UnplacedError for a field
    whose place is not known.
    """

    def walk(tree: Expression, inside: tuple[str, ...]) -> Expression:
        if isinstance(tree, Name):
            if tree.name == "this":
                return Argument(1)
            if tree.name in inside:
                raise text.fail(f"{tree.name} is defined by itself")
            if tree.name not in scope.values:
                known = ", ".join(["arg1…arg6", "ret", "this", *scope.values])
                raise text.fail(f"unknown name {tree.name!r}; known: {known}")
            if len(inside) > _MAX_NESTING:
                raise text.fail("nested too deeply")
            return walk(scope.values[tree.name].tree, (*inside, tree.name))
        if isinstance(tree, (FieldOf, OffsetOf)):
            place = scope.structs.get(tree.struct, {}).get(tree.field)
            if place is None:
                raise text.fail(f"unknown field {tree.struct}.{tree.field}")
            if place.offset is None:
                raise UnplacedError(f"{tree.struct}.{tree.field}", place.why)
            if isinstance(tree, OffsetOf):
                return Number(place.offset)
            return Read(place.width, walk(tree.base, inside), place.offset)
        if isinstance(tree, Read):
            return Read(tree.width, walk(tree.base, inside), tree.offset)
        if isinstance(tree, Cast):
            return Cast(tree.width, walk(tree.of, inside))
        if isinstance(tree, Sum):
            return add(walk(tree.left, inside), walk(tree.right, inside), tree.minus)
        if isinstance(tree, Product):
            return Product(walk(tree.left, inside), walk(tree.right, inside))
        if isinstance(tree, Bits):
            return Bits(walk(tree.of, inside), tree.operator, tree.by)
        if isinstance(tree, AtEntry):
            return AtEntry(walk(tree.of, inside))
        if isinstance(tree, Compare):
            return Compare(walk(tree.left, inside), tree.less, tree.number, tree.negated)
        if isinstance(tree, Junction):
            return Junction(tuple(walk(part, inside) for part in tree.parts), tree.any)
        return tree

    return walk(text.tree, ())


def structs_of(text: Text, scope: Scope) -> frozenset[str]:
    """The structs whose fields an expression uses, directly or through the profile's values."""
    found: set[str] = set()
    left, seen = [text], set[str]()
    while left:
        for part in parts(left.pop().tree):
            if isinstance(part, (FieldOf, OffsetOf)):
                found.add(part.struct)
            elif isinstance(part, Name) and part.name in scope.values and part.name not in seen:
                seen.add(part.name)
                left.append(scope.values[part.name])
    return frozenset(found)


def parts(tree: Expression) -> Iterator[Expression]:
    """The tree and all its descendants."""
    yield tree
    if isinstance(tree, (Read, FieldOf)):
        yield from parts(tree.base)
    elif isinstance(tree, (Cast, Bits, AtEntry)):
        yield from parts(tree.of)
    elif isinstance(tree, (Sum, Product)):
        yield from parts(tree.left)
        yield from parts(tree.right)
    elif isinstance(tree, Compare):
        yield from parts(tree.left)
    elif isinstance(tree, Junction):
        for part in tree.parts:
            yield from parts(part)
