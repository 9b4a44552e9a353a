# SPDX-License-Identifier: Apache-2.0
"""Functions that no profile knows: those whose names suggest a jitter buffer, and those that the user names.

A name must contain both a jitter buffer and a verb that implies a role. Nothing is claimed about bytes, drops or depth; packets are
counted if the role handles packets. Because a name proves nothing, such functions are attached only in a target that the user
named.
"""

from __future__ import annotations

import re

from otel_jb.catalog.model import FunctionProfile
from otel_jb.catalog.spec import FunctionSpec, Role
from otel_jb.model.plan import Symbol

_SUBJECT = re.compile(r"jitter_?buf|(?:^|[^a-z])jbuf", re.IGNORECASE)
_EXACT = {"rtp_parse_packet": Role.PARSE}
_VERBS: dict[Role, tuple[str, ...]] = {
    Role.PUT: ("put", "insert", "push", "add", "enqueue", "append"),
    Role.GET: ("get", "pop", "pull", "fetch", "dequeue", "next"),
    Role.PARSE: ("parse",),
    Role.DECODE: ("decode",),
    Role.RESET: ("reset", "flush", "clear"),
}
_ROLE_OF = {verb: role for role, verbs in _VERBS.items() for verb in verbs}
#: words after a verb that make the function a getter about the buffer: `get_time`, `GetStats`, `put_status`
_ASIDE = frozenset(
    """time timestamp stats stat statistics state status size count delay depth len length level length info config
    param params parameter option options property properties latency max min mode name type num rate target clock callback
    cb handler user data context ctx ref listener observer stat class caps pad private log jitter pts sdp flag flags
    percent enabled ptime ms us ns sec secs seconds millis micros""".split()
)
#: suffixes of classes about a buffer's properties, not its packets: JitterBufferDelay, JitterBufferStats
_OF_A_BUFFER = frozenset("delay latency stats stat statistics config options settings params metrics observer".split())
#: What Go's compiler makes beside a function: its closures, and what it defers or starts.
_GO_WRAPPER = re.compile(r"\.(func|deferwrap|gowrap)\d+(\.\d+)*$|-fm$")
#: What SWIG puts before the name of a wrapper, which converts arguments and calls the function.
_SWIG = "_wrap_"
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+")
_OBJECT = frozenset({"jitter", "buffer", "buf", "jitterbuffer", "jitterbuf", "jbuf", "jb", "rtp", "av"})
NOTE = (
    "No profile knows this function; its role follows from its name. Calls and timing only: no bytes, drops or depth, and "
    "one packet per call."
)
ASKED_NOTE = "No profile knows this function; it is measured because it was named. Calls and timing only."


def generic_profile(symbol: Symbol) -> FunctionProfile | None:
    """A profile derived from the function's name alone; None if the name is not clear enough."""
    role = role_of(symbol.function)
    if role is None:
        return None
    spec = FunctionSpec(name=symbol.function, role=role)
    return FunctionProfile("generic", symbol.function, role.value, False, spec, generic=True, notes=NOTE)


def asked_profile(symbol: Symbol) -> FunctionProfile:
    """A profile for any function that the user named: calls and times, nothing else."""
    spec = FunctionSpec(name=symbol.function, role=Role.OTHER)
    return FunctionProfile(
        "none", symbol.function, Role.OTHER.value, False, spec, generic=True, asked=True, notes=ASKED_NOTE
    )


def role_of(function: str) -> Role | None:
    """The role implied by a demangled name without arguments: it needs a buffer's name and, in its last part, a verb."""
    if _GO_WRAPPER.search(function):
        return None
    name = re.sub(r"<[^<>]*>", "", function)
    scope, _, method = name.rpartition("::")
    if method in _EXACT and not scope:
        return _EXACT[method]
    if _SUBJECT.search(name) is None or method.startswith(("~", "operator", "on_", "On", _SWIG)):
        return None
    if scope and scope.rpartition("::")[2] == method:
        return None  # a constructor
    owner = {word.lower() for word in _WORD.findall(scope.rpartition("::")[2])}
    if owner & _OF_A_BUFFER:
        return None  # JitterBufferDelay::Get is about a property of a buffer, not the buffer
    if re.search(r"[tT]imestamp|[tT]ype$|_new$|_free$|_init$|_class_|_get_type$", method):
        return None
    words = [word.lower() for word in _WORD.findall(method)]
    verbs = [(at, word) for at, word in enumerate(words) if word in _ROLE_OF]
    if len(verbs) != 1:
        return None
    at, verb = verbs[0]
    others = {word for word in words[at + 1 :] if word not in _OBJECT}
    return None if others & _ASIDE else _ROLE_OF[verb]
