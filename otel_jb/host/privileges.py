# SPDX-License-Identifier: Apache-2.0
"""Permanently dropping privileges: capabilities in every set, the user, and privileges that could be gained later.

All of this applies to the calling thread and to threads it starts later, so do it before starting the first thread.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

#: linux/prctl.h
PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_SET_NAME, PR_SET_SECCOMP, PR_CAPBSET_READ, PR_CAPBSET_DROP = 1, 4, 15, 22, 23, 24
PR_SET_SECUREBITS, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 28, 38, 47
_AMBIENT_RAISE, _AMBIENT_CLEAR_ALL = 2, 4
#: linux/securebits.h: SECBIT_NOROOT and its lock: programs started by user 0 gain no capabilities from that
_NOROOT = 1 << 0 | 1 << 1

#: linux/capability.h: the capabilities that the agent mentions.
CAPABILITIES = {
    "CAP_DAC_OVERRIDE": 1,
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_SETGID": 6,
    "CAP_SETUID": 7,
    "CAP_SETPCAP": 8,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_SYS_RESOURCE": 24,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
    "CAP_CHECKPOINT_RESTORE": 40,
}
_VERSION_3 = 0x20080522

NOBODY = 65534
#: login.defs, systemd and container engines assign no user ids from here to 2^31 (systemd's UIDS-GIDS.md). A process that derives
#: one from its PID shares it with nobody: no other process may signal or trace it, and its process limit is its own.
_UNUSED_USERS = 0x70000000


def prctl(option: int, value: int = 0, pointer: int = 0, third: int = 0) -> int:
    """Make the system call and return its result. Raises OSError."""
    arguments = [ctypes.c_ulong(number) for number in (value, pointer, third, 0)]
    answer: int = _libc().prctl(option, *arguments)
    return _checked(answer)


def name_this_thread(name: str) -> None:
    """As `ps` shows it, up to 15 characters; the main thread's is the process's."""
    buffer = ctypes.create_string_buffer(name.encode(), 16)
    prctl(PR_SET_NAME, ctypes.addressof(buffer))


def capabilities() -> tuple[int, int, int]:
    """Masks of the effective, permitted and inheritable capabilities of this thread."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", _VERSION_3, 0))
    data = ctypes.create_string_buffer(24)
    _checked(_libc().capget(header, data))
    low = struct.unpack("<6I", data.raw)
    return low[0] | low[3] << 32, low[1] | low[4] << 32, low[2] | low[5] << 32


def holds(name: str) -> bool:
    """Whether the capability is in this thread's effective set."""
    return bool(capabilities()[0] >> CAPABILITIES[name] & 1)


def keep_only(names: Iterable[str]) -> None:
    """Keep these capabilities as far as they are held, and permanently drop all others from every set.

    The kept ones are permitted and effective, never inheritable or ambient, so programs started later have none. Dropping the bounding
    set, and user 0's privilege to regain capabilities, takes CAP_SETPCAP. Without it, an empty inheritable set and no_new_privs have the
    same effect for every other user. Raises OSError.
    """
    mask = 0
    for name in names:
        mask |= 1 << CAPABILITIES[name]
    _, permitted, _ = capabilities()
    if holds("CAP_SETPCAP"):
        _empty_bounding_set(keep=mask)
        prctl(PR_SET_SECUREBITS, _NOROOT)
    prctl(PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL)
    kept = permitted & mask
    _set_capabilities(kept, kept, 0)
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    if capabilities() != (kept, kept, 0):
        raise OSError(errno.EPERM, "capabilities are still held after they were dropped")


def pass_on(name: str) -> None:
    """Pass a capability on to the program that this process executes next; use between fork and exec. Raises OSError."""
    bit = CAPABILITIES[name]
    effective, permitted, inheritable = capabilities()
    _set_capabilities(effective, permitted, inheritable | 1 << bit)
    prctl(PR_CAP_AMBIENT, _AMBIENT_RAISE, bit)


def give_up_everything() -> None:
    """Become a user that no other process has, if allowed, and hold no capability in any set, now or later.

    Raises OSError if a capability would remain.
    """
    _become_a_user_of_its_own()
    keep_only(())
    prctl(PR_SET_DUMPABLE, 0)


def _become_a_user_of_its_own() -> None:
    """Changing the user drops CAP_SETPCAP and CAP_SETGID, so clear the bounding set and the groups first."""
    if holds("CAP_SETPCAP"):
        _empty_bounding_set(keep=0)
    # If this is not allowed (a service user, or a restricted root), or the user is not mapped in its user namespace, the other
    # privileges that are dropped limit the process.
    with _unless_refused():
        os.setgroups([])
    with _unless_refused():
        _change_user()


@contextmanager
def _unless_refused() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.EINVAL):
            raise


def _change_user() -> None:
    own = _UNUSED_USERS + os.getpid()
    try:
        os.setresgid(own, own, own)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        own = NOBODY
        os.setresgid(own, own, own)
    os.setresuid(own, own, own)


def _set_capabilities(*words: int) -> None:
    """Effective, permitted, inheritable."""
    header = ctypes.create_string_buffer(struct.pack("<Ii", _VERSION_3, 0))
    data = struct.pack("<6I", *(word & 0xFFFFFFFF for word in words), *(word >> 32 for word in words))
    _checked(_libc().capset(header, ctypes.create_string_buffer(data)))


def _empty_bounding_set(keep: int) -> None:
    for number in range(64):
        try:
            held = prctl(PR_CAPBSET_READ, number)
        except OSError:  # EINVAL: the kernel knows no more capabilities
            return
        if held and not keep >> number & 1:
            prctl(PR_CAPBSET_DROP, number)


def _libc() -> Any:
    return ctypes.CDLL(None, use_errno=True)


def _checked(answer: int) -> int:
    if answer < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return answer
