# SPDX-License-Identifier: Apache-2.0
"""Numbers of system calls by name, for the seccomp filters: from asm/unistd_64.h (x86-64) and asm-generic/unistd.h (AArch64).

A test compares both tables with the kernel's headers. Only calls that a filter names are here.
"""

from __future__ import annotations

import platform

#: Numbers from here on are x86-64's x32 calls: other numbers for the same kernel functions (asm/unistd.h: __X32_SYSCALL_BIT).
X32 = 0x40000000

NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {
        "alarm": 37,
        "brk": 12,
        "clock_gettime": 228,
        "clone": 56,
        "clone3": 435,
        "close": 3,
        "exit": 60,
        "exit_group": 231,
        "fcntl": 72,
        "fstat": 5,
        "futex": 202,
        "getpid": 39,
        "getppid": 110,
        "getpriority": 140,
        "getrandom": 318,
        "gettid": 186,
        "lseek": 8,
        "madvise": 28,
        "mmap": 9,
        "mprotect": 10,
        "mremap": 25,
        "munmap": 11,
        "prctl": 157,
        "pread64": 17,
        "prlimit64": 302,
        "read": 0,
        "recvmsg": 47,
        "restart_syscall": 219,
        "rseq": 334,
        "rt_sigaction": 13,
        "rt_sigprocmask": 14,
        "rt_sigreturn": 15,
        "set_robust_list": 273,
        "setitimer": 38,
        "setpriority": 141,
        "write": 1,
    },
    "aarch64": {
        "brk": 214,
        "clock_gettime": 113,
        "clone": 220,
        "clone3": 435,
        "close": 57,
        "exit": 93,
        "exit_group": 94,
        "fcntl": 25,
        "fstat": 80,
        "futex": 98,
        "getpid": 172,
        "getppid": 173,
        "getpriority": 141,
        "getrandom": 278,
        "gettid": 178,
        "lseek": 62,
        "madvise": 233,
        "mmap": 222,
        "mprotect": 226,
        "mremap": 216,
        "munmap": 215,
        "prctl": 167,
        "pread64": 67,
        "prlimit64": 261,
        "read": 63,
        "recvmsg": 212,
        "restart_syscall": 128,
        "rseq": 293,
        "rt_sigaction": 134,
        "rt_sigprocmask": 135,
        "rt_sigreturn": 139,
        "set_robust_list": 99,
        "setitimer": 103,
        "setpriority": 140,
        "write": 64,
    },
}

#: Named by a filter, but no system call of that architecture: its libc uses another one that is named too.
ABSENT: dict[str, frozenset[str]] = {"x86_64": frozenset(), "aarch64": frozenset({"alarm"})}


def numbers() -> dict[str, int] | None:
    """The table of the machine that this runs on; None where there is none."""
    return NUMBERS.get(platform.machine())
