# SPDX-License-Identifier: Apache-2.0
"""The kernel's table of processes: which block of series each process of a probed set has, and which have come and ended.

The kernel gives an unknown process a block on its first call, of those that user space has granted to the set ahead; who took which is
read from the blocks, so nothing depends on an event that finds room. See docs/adr/0020.
"""

from __future__ import annotations

import logging
import struct
from contextlib import ExitStack, suppress
from heapq import heappop, heappush

from otel_jb.model.dataclass import dataclass
from otel_jb.model.errors import AgentError, AttachError
from otel_jb.model.reads import ReadProgram
from otel_jb.probes import abi, kernel_types
from otel_jb.probes.attach.blocks import Blocks
from otel_jb.probes.bpf import BpfError, open_raw_tracepoint, run_program
from otel_jb.probes.programs.instances import Instances
from otel_jb.probes.programs.template import shape_of
from otel_jb.probes.read.maps import WordArray, wait_for_grace

_logger = logging.getLogger(__name__)

AHEAD = 768  #: blocks that a set has ready at most; below `abi.GRANTS`
AHEAD_AT_FIRST = 16  #: the same where a library is linked that no process has loaded yet
AHEAD_BY_PID = 32  #: the same where only processes of known PIDs are linked
KEEP_AHEAD = 2  #: blocks that a set keeps ready where there is no room elsewhere
SHARE = 0.875  #: of all series that the processes of one set may have
USER_SHARE = 0.75  #: that those of one user may have: less, so that others who run the same file find room

_SHAPE = shape_of(ReadProgram(), events=False, nests=False, cookie=0)


@dataclass(slots=True)
class Block:
    """The series of one process in one set."""

    base: int  #: the first
    set: int
    functions: int
    pid: int = 0  #: 0: granted, and nobody has taken it
    start_ns: int = 0  #: since boot; 0: not known
    cgroup: int = 0
    comm: str = ""
    uid: int = 0
    counted: bool = False  #: in its user's share
    ended: bool = False
    executed: bool = False  #: ended in that the process runs another program


@dataclass(slots=True)
class _Set:
    functions: int
    seen: int = 0  #: grants of which it is known who took them
    granted: int = 0
    everyone: bool = False  #: processes come by themselves
    few: bool = False  #: and it is not known whether any will
    taken: int = 0  #: blocks that processes have


_FIRST_SETS = 16  #: mapped at start; more are when more files are probed


class Table:
    """Gives blocks to processes. `configure` is called for each block before a process can have it."""

    def __init__(self, maps: dict[str, int], instances: Instances, series: WordArray, words: int, total: int) -> None:
        """Attaches to process exits if the kernel can report them. Raises AgentError."""
        self._opened = ExitStack()
        self._series, self._words, self._total = series, words, total
        self._control = self._array(maps["control"], abi.CONTROL_WORDS)
        self._sets = self._array(maps["sets"], abi.SET_WORDS << abi.SET_BITS, _FIRST_SETS * abi.SET_WORDS)
        self._users = self._array(maps["users"], abi.USERS * abi.USER_WORDS)
        self.blocks = Blocks(total)
        self._numbers = list(range(1 << abi.SET_BITS))
        self._of: dict[int, _Set] = {}
        self._by_base: dict[int, Block] = {}
        self._ended = 0
        self._command = instances.take("on_command", _SHAPE)
        self._control.words[abi.CONTROL_USER_QUOTA] = max(1, int(total * USER_SHARE))
        self.sees_ends = self._watch_ends(instances)

    def _array(self, descriptor: int, words: int, first: int | None = None) -> WordArray:
        array = WordArray(descriptor, words, first)
        self._opened.callback(array.close)
        return array

    def _watch_ends(self, instances: Instances) -> bool:
        """Whether the kernel reports when a process ends or executes another program."""
        found = kernel_types.offsets(
            {"task_struct": ("group_leader", "start_boottime", "signal"), "signal_struct": ("live",)}
        )
        words = self._control.words
        for at, key in (
            (abi.CONTROL_GROUP_LEADER, ("task_struct", "group_leader")),
            (abi.CONTROL_START_BOOTTIME, ("task_struct", "start_boottime")),
            (abi.CONTROL_LIVE, ("signal_struct", "live")),
            (abi.CONTROL_SIGNAL, ("task_struct", "signal")),
        ):
            words[at] = found.get(key, 0)
        try:
            for name, tracepoint in (("on_exec", "sched_process_exec"), ("on_exit", "sched_process_exit")):
                link = open_raw_tracepoint(instances.take(name, _SHAPE), tracepoint)
                self._opened.callback(_close, link)
        except (BpfError, AgentError) as error:
            _logger.debug("the ends of processes are looked for once a second: %s", error)
            return False
        return len(found) == 4

    # -- sets -----------------------------------------------------------------------------------------------

    def new_set(self, functions: int) -> int:
        """The number of a new set. Raises AttachError."""
        if not self._numbers:
            raise AttachError("there is no room for more files", "Select fewer targets.")
        if functions >= 1 << abi.NUMBER_BITS:
            raise AttachError(f"a file with {functions} functions to measure", "Select fewer by --function.")
        number = heappop(self._numbers)  # the lowest: a process remembers a few of those that it was part of
        at = number * abi.SET_WORDS
        self._sets.reach(at + abi.SET_WORDS)
        self._sets.words[at + abi.SET_GIVEN] = 0
        self._sets.words[at + abi.SET_TAKEN] = 0
        self._sets.words[at + abi.SET_NO_ROOM] = 0
        self._sets.words[at + abi.SET_FUNCTIONS] = functions
        self._of[number] = _Set(functions)
        return number

    def drop_set(self, number: int) -> list[int]:
        """Nothing of the set is linked any more and none of its processes is left; the bases of the blocks that it had ready."""
        self._sets.words[number * abi.SET_WORDS + abi.SET_GIVEN] = 0
        known = self._of.pop(number)
        ready = [self._grant(number, turn) for turn in range(known.seen, known.granted)]
        for base in ready:
            self.blocks.give_back(base, known.functions)
        heappush(self._numbers, number)
        return ready

    def _grant(self, number: int, turn: int) -> int:
        word = self._sets.words[number * abi.SET_WORDS + abi.SET_GRANTS + turn % abi.GRANTS // 2]
        return word >> 32 if turn % 2 else word & 0xFFFFFFFF

    def _push(self, number: int, base: int) -> None:
        known = self._of[number]
        at, turn = number * abi.SET_WORDS, known.granted
        place = at + abi.SET_GRANTS + turn % abi.GRANTS // 2
        word = self._sets.words[place]
        self._sets.words[place] = word & 0xFFFFFFFF | base << 32 if turn % 2 else word >> 32 << 32 | base
        known.granted += 1
        self._sets.words[at + abi.SET_GIVEN] = known.granted

    def wanting(self, number: int) -> int:
        """How many blocks the set should be granted now."""
        known = self._of[number]
        ready = known.granted - known.seen
        if not known.everyone:
            # A process that executes itself again has one of these before anybody looks.
            return max(0, min(AHEAD_BY_PID, self.blocks.left // (8 * known.functions)) - ready) if known.taken else 0
        room = int(self._total * SHARE) // known.functions - known.taken - ready
        fair = max(2, self.blocks.left // (4 * known.functions))
        ahead = AHEAD if known.seen or not known.few else AHEAD_AT_FIRST
        return max(0, min(ahead - ready, fair, room))

    def take_back(self) -> list[tuple[int, list[int]]]:
        """Take back what sets have ready, but for a few blocks each: (set, first series of the blocks, which are free again)."""
        words, found = self._sets.words, []
        lowered: dict[int, int] = {}
        for number, known in self._of.items():
            keep = max(known.seen, min(known.granted, words[number * abi.SET_WORDS + abi.SET_TAKEN] + KEEP_AHEAD))
            if keep < known.granted:
                lowered[number] = keep
                words[number * abi.SET_WORDS + abi.SET_GIVEN] = keep
        if lowered:
            wait_for_grace()  # a process may have taken one of them meanwhile
        for number, keep in lowered.items():
            known, at = self._of[number], number * abi.SET_WORDS
            keep = max(keep, words[at + abi.SET_TAKEN])
            bases = [self._grant(number, turn) for turn in range(keep, known.granted)]
            known.granted = words[at + abi.SET_GIVEN] = keep
            for base in bases:
                self.blocks.give_back(base, known.functions)
            found.append((number, bases))
        return found

    def taken(self, number: int) -> int:
        """How many processes have a block of the set."""
        return self._of[number].taken

    def let_come(self, number: int, *, few: bool = False) -> None:
        """Processes of the set come by themselves from now on; `few`: perhaps none will, so few blocks are kept ready until one does."""
        self._of[number].everyone = True
        self._of[number].few = few

    def grant(self, number: int) -> int | None:
        """A block for the set, to be configured and then passed to `give`; None if there is no room."""
        functions = self._of[number].functions
        try:
            base = self.blocks.take(functions)
        except AttachError:
            return None
        self._series.reach((base + functions) * self._words)
        return base

    def give(self, number: int, base: int) -> None:
        """Let the next process of the set that comes have this block, which is configured."""
        self._push(number, base)

    # -- processes ------------------------------------------------------------------------------------------

    def room_in_shares(self, number: int, uid: int) -> bool:
        """Whether one more process of a user fits into what a set, and what a user, may have."""
        known = self._of[number]
        if (known.taken + 1) * known.functions > int(self._total * SHARE):
            return False
        words, quota = self._users.words, self._control.words[abi.CONTROL_USER_QUOTA]
        for at in range(0, abi.USERS * abi.USER_WORDS, abi.USER_WORDS):
            if words[at + abi.USER_ID] == uid + 1:
                return bool(words[at + abi.USER_TAKEN] - words[at + abi.USER_FREED] + known.functions <= quota)
        return True

    def claim(self, number: int, pid: int, uid: int | None) -> int | None:
        """The first series of a process, which has them from now on if it had not; None: there is no room.

        They count in the share of user `uid`; None: in nobody's, since the process was named by its PID.
        """
        found = run_program(self._command, (abi.COMMAND_CLAIM, pid, number, 0 if uid is None else uid + 1))
        return found - 1 if found else None

    def ignore(self, number: int, pid: int) -> None:
        """The calls of a process are not counted from now on."""
        run_program(self._command, (abi.COMMAND_IGNORE, pid, number, 0))

    def forget(self, number: int, pid: int) -> None:
        """Nothing is known of a process in this set."""
        run_program(self._command, (abi.COMMAND_FORGET, pid, number, 0))

    def end(self, pid: int) -> None:
        """A process has ended, which the kernel may not have noticed."""
        run_program(self._command, (abi.COMMAND_END, pid, 0, 0))

    def settle(self, slot: int, key: int, start: int, *, unseen: bool = False) -> bool:
        """The call of a thread that is gone is abandoned, or (`unseen`) one whose end will not be seen is untimed.

        False: something else is there by now.
        """
        command = abi.COMMAND_UNSEEN if unseen else abi.COMMAND_SETTLE
        return bool(run_program(self._command, (command, slot, key, start)))

    def subtract(self, index: int, bucket: int, calls: int) -> bool:
        """Subtract from a bucket of a series, while calls go on. `calls`: as the bucket holds them. False: there is no such bucket."""
        return bool(run_program(self._command, (abi.COMMAND_SUBTRACT, index, bucket, calls)))

    def came(self) -> list[Block]:
        """The blocks that processes have taken since the last call, by whatever way."""
        found = []
        for number, known in self._of.items():
            taken = self._sets.words[number * abi.SET_WORDS + abi.SET_TAKEN]
            while known.seen < taken:
                base = self._grant(number, known.seen)
                at = base * self._words
                state = self._series.words[at + abi.SERIES_STATE]
                if state == abi.BLOCK_FREE:
                    break  # a thread is at it
                known.seen += 1
                if state == abi.BLOCK_VOID:
                    self.blocks.give_back(base, known.functions)
                    continue
                block = self._read(number, base, known.functions)
                self._by_base[base] = block
                known.taken += 1
                found.append(block)
        return found

    def _read(self, number: int, base: int, functions: int) -> Block:
        words = self._series.block(base, self._words)
        comm = struct.pack("=2Q", *words[abi.SERIES_COMM : abi.SERIES_COMM + 2])
        return Block(
            base,
            number,
            functions,
            pid=words[abi.SERIES_OWNER] & 0xFFFFFFFF,
            start_ns=words[abi.SERIES_STARTED_NS],
            cgroup=words[abi.SERIES_CGROUP],
            comm=comm.split(b"\0", 1)[0].decode("utf-8", "backslashreplace"),
            uid=max(0, words[abi.SERIES_WHOSE] - 1),
            counted=words[abi.SERIES_WHOSE] != 0,
            ended=words[abi.SERIES_STATE] in (abi.BLOCK_ENDED, abi.BLOCK_EXECUTED),
            executed=words[abi.SERIES_STATE] == abi.BLOCK_EXECUTED,
        )

    def ended(self) -> list[Block]:
        """The blocks whose process has ended since the last call."""
        count = self._control.words[abi.CONTROL_ENDED]
        if count == self._ended:
            return []
        self._ended = count
        found = []
        for base, block in self._by_base.items():
            state = self._series.words[base * self._words + abi.SERIES_STATE]
            if not block.ended and state in (abi.BLOCK_ENDED, abi.BLOCK_EXECUTED):
                block.ended, block.executed = True, state == abi.BLOCK_EXECUTED
                found.append(block)
        return found

    def block(self, base: int) -> Block | None:
        """The block of a process that begins at this series."""
        return self._by_base.get(base)

    def free(self, block: Block) -> None:
        """Nothing counts into the block any more, and what it held was read."""
        del self._by_base[block.base]
        known = self._of.get(block.set)
        if known is not None:
            known.taken -= 1
        if block.counted:
            self._uncount(block)
        self.blocks.give_back(block.base, block.functions)

    def _uncount(self, block: Block) -> None:
        words = self._users.words
        for at in range(0, abi.USERS * abi.USER_WORDS, abi.USER_WORDS):
            if words[at + abi.USER_ID] == block.uid + 1:
                words[at + abi.USER_FREED] += block.functions
                return

    def no_room(self, number: int) -> int:
        """Calls of a set's processes that found no block."""
        return self._sets.words[number * abi.SET_WORDS + abi.SET_NO_ROOM]

    def close(self) -> None:
        """Detach from the ends of processes, unmap."""
        self._opened.close()


def _close(descriptor: int) -> None:
    import os

    with suppress(OSError):
        os.close(descriptor)
