"""What holds of a whole process, put together from what its files say: whether anything in it can switch stacks or throw."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from otel_jb.code.vouched import FILES
from otel_jb.model.plan import LoadHook
from otel_jb.sandbox.whole_file import NameEvidence


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """Texts say why something may happen, "" that it cannot, None that nobody knows."""

    shadow_stack: bool = False
    system_call_filter: bool = False  #: by seccomp
    signal_stacks: str = ""  #: signal handlers may run on stacks of their own
    switches: str | None = None
    throws: str | None = None
    loads: str | None = None  #: further libraries may be loaded
    load_hook: LoadHook | None = None  #: where the dynamic loader tells of it
    files: int = 0  #: that were looked at

    @property
    def closed(self) -> bool:
        """Whether no code of the process can switch stacks or start an exception."""
        return self.switches == "" and self.throws == ""


#: Of files alone, or of a process that was not looked at as a whole.
UNKNOWN = ProcessFacts()


def by_names(facts: ProcessFacts, files: Sequence[NameEvidence | None], *, unnamed_code: bool = False) -> ProcessFacts:
    """With what the names of all files of a process say; `switches` stays None where only their code can tell.

    None stands for a file that cannot be read, `unnamed_code` for code that is in no file.
    """
    known = [file for file in files if file is not None]
    unread = "a file of the process cannot be read" if len(known) < len(files) else ""
    switches = unread or ("the process has code that is in no file" if unnamed_code else "")
    throws = unread
    for file in known:
        vouched = vouched_of(file, known)
        if file.switches and "switches" not in vouched:
            switches = switches or f"{file.name} uses {file.switches[0]}"
        if file.throws and "throws" not in vouched:
            throws = throws or f"{file.name} uses {file.throws[0]}"
    loading = [file.name for file in known if file.loads and "code" not in vouched_of(file, known)]
    return replace(
        facts,
        switches=switches or None,
        throws=throws,
        loads=unread or (f"{loading[0]} can load libraries" if loading else ""),
        files=len(files),
    )


def with_code(facts: ProcessFacts, code: Mapping[str, str]) -> ProcessFacts:
    """The same once all code was read: by file, why it may switch stacks, "" where it cannot."""
    if facts.switches is not None:
        return facts
    found = next((f"{name} has {reason}" for name, reason in code.items() if reason), "")
    return replace(facts, switches=found)


def vouched_of(file: NameEvidence, others: Sequence[NameEvidence]) -> frozenset[str]:
    """What the file is known not to do, in this process."""
    found: set[str] = set()
    for vouch in FILES:
        if not vouch.name.fullmatch(file.name):
            continue
        asked = vouch.unless is not None and any(
            vouch.unless.fullmatch(name)
            for other in others
            if other is not file and not (vouch.but_for and vouch.but_for.fullmatch(other.name))
            for name in other.takes_back
        )
        if not asked:
            found |= vouch.of
    return frozenset(found)


def needs_code(file: NameEvidence, others: Sequence[NameEvidence]) -> bool:
    """Whether the file's code must be read before anything is said of it."""
    return "code" not in vouched_of(file, others)


def signal_stacks(files: Sequence[tuple[str, str]]) -> str:
    """Why signal handlers of a process may run on stacks of their own, from (file's name, by what it may) of its files."""
    for name, by_what in files:
        if by_what and not any("signal_stacks" in vouch.of and vouch.name.fullmatch(name) for vouch in FILES):
            return f"{name} uses {by_what}"
    return ""
