# SPDX-License-Identifier: Apache-2.0
"""`dataclasses.dataclass`, whose methods are compiled when they are first called.

The standard one writes the source of up to seven methods for each class and compiles them at once, which takes half a millisecond: half of the
time in which the agent imports its own modules, before its first probe. Most of these methods are never called: hardly any class is
printed, compared and hashed as well. So here a class gets its fields and slots from the standard library, and for each method a
stand-in. The first call of it compiles that one method, which replaces it: later calls cost what they always did.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dataclasses import dataclass
else:

    def dataclass(
        *, frozen: bool = False, slots: bool = False, eq: bool = True, unsafe_hash: bool = False
    ) -> Callable[[type], type]:
        """As the standard one with these options; the others have their defaults. There is no `InitVar`."""

        def made(bare: type) -> type:
            bare.__doc__ = bare.__doc__ or bare.__name__  # else the standard library puts the signature together
            cls = dataclasses.dataclass(init=False, repr=False, eq=False, slots=slots)(bare)
            hashed = cls.__dict__.get("__hash__") is not None  # None may only say that __eq__ is defined
            _stand_in(cls, "__init__", lambda: _init(cls, frozen=frozen, slots=slots))
            _stand_in(cls, "__repr__", lambda: _standard(cls, "__repr__", repr=True))
            if eq:
                _stand_in(cls, "__eq__", lambda: _standard(cls, "__eq__", eq=True))
            if not hashed and (eq or unsafe_hash):
                cls.__hash__ = None  # never a base class's
                if frozen or unsafe_hash:
                    _stand_in(cls, "__hash__", lambda: _standard(cls, "__hash__", unsafe_hash=True))
            if frozen:
                _freeze(cls, slots=slots)
            return cls

        return made


__all__ = ["dataclass"]


def _stand_in(cls: Any, name: str, compiled: Callable[[], Any]) -> None:
    """Give the class a method that replaces itself when it is called, unless it has one of its own."""
    if cls.__dict__.get(name) is not None:
        return

    def stand_in(self: object, *args: object, **kwargs: object) -> object:
        method = compiled()
        setattr(cls, name, method)
        return method(self, *args, **kwargs)

    setattr(cls, name, stand_in)


def _standard(cls: Any, name: str, **option: bool) -> Any:
    """A method as the standard library makes it for a class with the same fields."""
    options: dict[str, Any] = {"init": False, "repr": False, "eq": False, **option}
    fields = [(each.name, each.type, each) for each in dataclasses.fields(cls)]
    namespace = {"__doc__": cls.__name__, "__qualname__": cls.__qualname__}
    twin = dataclasses.make_dataclass(cls.__name__, fields, namespace=namespace, **options)
    return twin.__dict__[name]


def _init(cls: Any, *, frozen: bool, slots: bool) -> Any:
    """`__init__`, which the standard library would compile only together with what refuses changes of a frozen class."""
    known: dict[str, object] = {"_set": object.__setattr__, "_none": dataclasses.MISSING}
    positional: list[str] = []
    named: list[str] = []
    body: list[str] = []
    for each in dataclasses.fields(cls):
        name, value, parameter = each.name, each.name, each.name
        default = f"_of_{name}"
        if each.default_factory is not dataclasses.MISSING:
            known[default] = each.default_factory
            parameter = f"{name}=_none"
            value = f"{default}() if {name} is _none else {name}" if each.init else f"{default}()"
        elif each.default is not dataclasses.MISSING:
            known[default] = each.default
            parameter, value = f"{name}={default}", name if each.init else default
        if each.init:
            (named if each.kw_only else positional).append(parameter)
        elif each.default_factory is dataclasses.MISSING and (each.default is dataclasses.MISSING or not slots):
            continue
        body.append(f"_set(self, {name!r}, {value})" if frozen else f"self.{name} = {value}")
    if hasattr(cls, "__post_init__"):
        body.append("self.__post_init__()")
    parameters = ", ".join(["self", *positional, *(["*", *named] if named else [])])
    exec(f"def __init__({parameters}):\n " + "\n ".join(body or ["pass"]), known)  # noqa: S102 - of names of fields alone
    method: Any = known["__init__"]
    method.__qualname__ = f"{cls.__qualname__}.__init__"
    return method


def _freeze(cls: Any, *, slots: bool) -> None:
    names = frozenset(cls.__dataclass_fields__)

    def refuse_to_set(self: object, name: str, value: object) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot assign to field {name!r}")
        super(cls, self).__setattr__(name, value)

    def refuse_to_delete(self: object, name: str) -> None:
        if type(self) is cls or name in names:
            raise dataclasses.FrozenInstanceError(f"cannot delete field {name!r}")
        super(cls, self).__delattr__(name)

    cls.__setattr__, cls.__delattr__ = refuse_to_set, refuse_to_delete
    if slots and "__getstate__" not in cls.__dict__:
        cls.__getstate__, cls.__setstate__ = _state, _set_state


def _state(self: Any) -> list[object]:
    """What is pickled of a frozen one with slots."""
    return [getattr(self, each.name) for each in dataclasses.fields(self)]


def _set_state(self: Any, state: list[object]) -> None:
    for each, value in zip(dataclasses.fields(self), state, strict=True):
        object.__setattr__(self, each.name, value)
