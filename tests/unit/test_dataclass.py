# SPDX-License-Identifier: Apache-2.0
"""`otel_jb.model.dataclass` makes what `dataclasses.dataclass` makes."""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import pickle
import pkgutil
import sys
from dataclasses import field

import pytest

import otel_jb
from otel_jb.model.dataclass import dataclass


@dataclass(frozen=True, slots=True)
class Point:
    """Fields of every kind."""

    x: int
    y: int = 2
    tags: list[str] = field(default_factory=list)
    hidden: int = field(default=3, repr=False, compare=False)
    late: int = field(default=4, init=False)
    last: int = field(default=5, kw_only=True)


@dataclass(slots=True)
class Counted:
    """Says that it was made."""

    count: int = 0
    made: list[int] = field(default_factory=list, init=False)

    def __post_init__(self) -> None:
        self.made.append(self.count)


@dataclass(slots=True)
class More(Counted):
    """Inherits fields."""

    name: str = "more"


@dataclass(frozen=True, slots=True)
class Named:
    """Hashable."""

    name: str


@dataclass(slots=True, unsafe_hash=True)
class Changing:
    """Hashable, and may be changed."""

    name: str


@dataclass(slots=True, eq=False)
class Itself:
    """Equal to nothing else."""

    name: str


@dataclass(frozen=True)
class Open:
    """Has methods of its own, and no slots."""

    name: str

    def __repr__(self) -> str:
        return "mine"

    def __eq__(self, other: object) -> bool:
        return True

    def __hash__(self) -> int:
        return 7


def test_fields_of_every_kind() -> None:
    """Defaults, factories, fields that are not parameters and keywords are as the standard library makes them."""
    point = Point(1)
    assert (point.x, point.y, point.tags, point.hidden, point.late, point.last) == (1, 2, [], 3, 4, 5)
    assert Point(1).tags is not point.tags
    assert Point(1, 3, ["a"], 4, last=6) == Point(1, 3, ["a"], 9, last=6) != Point(1)
    assert repr(point) == "Point(x=1, y=2, tags=[], late=4, last=5)"
    assert dataclasses.replace(Named("a"), name="b") == Named("b")
    assert dataclasses.asdict(Named("a")) == {"name": "a"}
    with pytest.raises(TypeError, match=r"Point\.__init__\(\) missing 1 required positional argument: 'x'"):
        Point()  # type: ignore[call-arg]
    with pytest.raises(TypeError):
        Point(1, 2, [], 3, 4)  # type: ignore[call-arg]


def test_frozen_ones_refuse_changes_and_can_be_pickled() -> None:
    """A frozen class refuses to be changed, and is pickled in spite of that."""
    named = Named("a")
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot assign to field 'name'"):
        named.name = "b"  # type: ignore[misc]
    with pytest.raises(dataclasses.FrozenInstanceError, match="cannot delete field 'name'"):
        del named.name
    with pytest.raises(dataclasses.FrozenInstanceError):
        named.other = 1  # type: ignore[attr-defined]
    assert pickle.loads(pickle.dumps(named)) == named
    assert pickle.loads(pickle.dumps(Counted(3))).count == 3


def test_equality_and_hashes() -> None:
    """Who is equal and hashable follows from the options as in the standard library."""
    assert Named("a") == Named("a") != Named("b")
    other: object = Changing("a")
    assert Named("a") != other
    assert hash(Named("a")) == hash(Named("a"))
    assert hash(Changing("a")) == hash(Changing("a"))
    with pytest.raises(TypeError, match="unhashable"):
        hash(Counted())
    first = Itself("a")
    assert first != Itself("a")
    assert {first: 1}[first] == 1
    assert (repr(Open("a")), hash(Open("a")), Open("a") == Open("b")) == ("mine", 7, True)


def test_what_runs_after_and_what_is_inherited() -> None:
    """`__post_init__` runs, and subclasses inherit fields and methods."""
    more = More(2, "x")
    assert (more.count, more.name, more.made) == (2, "x", [2])
    assert More(2) != Counted(2)

    class Plain(Counted):
        """No dataclass itself."""

    assert Plain(4).made == [4]
    assert repr(Plain(4)).endswith("Plain(count=4, made=[4])")


def test_a_method_is_compiled_once() -> None:
    """The first call of a method replaces it, and a call that began before still works."""

    @dataclass(slots=True)
    class Local:
        at: int

    stand_in = vars(Local)["__init__"]
    Local(1)
    compiled = vars(Local)["__init__"]
    assert compiled is not stand_in
    Local(2)
    assert vars(Local)["__init__"] is compiled
    stand_in(Local(3), 4)  # another thread's first call may still be under way


def _all() -> list[type]:
    found: dict[str, type] = {}
    for module in pkgutil.walk_packages(otel_jb.__path__, "otel_jb."):
        if module.name != "otel_jb.__main__":
            importlib.import_module(module.name)
    for name, loaded in list(sys.modules.items()):
        if name.startswith("otel_jb"):
            for each in vars(loaded).values():
                if isinstance(each, type) and dataclasses.is_dataclass(each) and each.__module__ == name:
                    found[f"{name}.{each.__qualname__}"] = each
    return list(found.values())


def test_every_class_of_the_agent_has_the_parameters_that_the_standard_library_gives_it() -> None:
    """Every class of the agent has the parameters that the standard library gives it."""
    checked = 0
    for cls in _all():
        fields = [(each.name, each.type, each) for each in dataclasses.fields(cls)]
        standard = dataclasses.make_dataclass(cls.__name__, fields)
        stand_in = vars(cls).get("__init__", object.__init__)
        if stand_in.__name__ == "stand_in":
            with pytest.raises(TypeError):
                stand_in(None, *range(100))  # compiles it; nothing has that many fields
        expected = inspect.signature(standard).parameters.values()
        got = inspect.signature(cls).parameters.values()
        assert [(each.name, each.kind) for each in got] == [(each.name, each.kind) for each in expected], cls
        for one, other in zip(got, expected, strict=True):
            assert (one.default is one.empty) == (other.default is other.empty), cls
            assert other.default is one.empty or one.default == other.default or "factory" in repr(other.default), cls
        checked += 1
    assert checked > 250
