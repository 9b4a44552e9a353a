# SPDX-License-Identifier: Apache-2.0
"""What the long-lived processes may still ask of the kernel: lists of system calls.

The exporter's holds what Python, gRPC and TLS need to serve and send: threads, sockets, files for reading. It cannot start a program, touch
another process, change a file, attach a probe or make a namespace. The reader's forbids one thing: sockets that leave the host.
"""

from __future__ import annotations

import os
import socket
import termios

from otel_jb.host.privileges import PR_SET_NAME
from otel_jb.sandbox.seccomp import Allow, allowing, install, install_without_network

_CLONE_THREAD = 0x00010000
_FIONBIO, _FIOCLEX = 0x5421, 0x5451  #: asm-generic/ioctls.h
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND

EXPORTER = (
    # files, for reading only: modules, certificates, resolv.conf, /proc
    Allow("openat", 2, mask=_WRITING),
    Allow("open", 1, mask=_WRITING),
    *allowing(
        "access", "close", "dup", "faccessat", "faccessat2", "fcntl", "fstat", "getcwd", "getdents64", "lseek", "lstat"
    ),
    *allowing("newfstatat", "pread64", "read", "readlink", "readlinkat", "readv", "stat", "statx", "write", "writev"),
    *(Allow("ioctl", 1, value=request) for request in (termios.TCGETS, termios.FIONREAD, _FIONBIO, _FIOCLEX)),
    # memory and threads; a file in memory is how a key that only the reader can read is used, and no program can be started from it
    *allowing("memfd_create", "brk", "madvise", "mmap", "mprotect", "mremap", "munmap"),
    *allowing(
        "exit", "exit_group", "futex", "getcpu", "getpid", "getppid", "gettid", "membarrier", "restart_syscall", "rseq"
    ),
    *allowing("rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sched_getaffinity", "sched_getparam"),
    *allowing("sched_getscheduler", "sched_yield", "set_robust_list", "set_tid_address", "sigaltstack"),
    Allow("clone", 0, mask=_CLONE_THREAD, value=_CLONE_THREAD),
    Allow("prctl", 0, value=PR_SET_NAME),
    # clocks, the machine, itself
    *allowing("clock_getres", "clock_gettime", "clock_nanosleep", "gettimeofday", "nanosleep", "times"),
    *allowing("timerfd_create", "timerfd_gettime", "timerfd_settime"),
    *allowing("getegid", "geteuid", "getgid", "getrandom", "getrusage", "getuid", "sysinfo", "uname"),
    Allow("prlimit64", 0, value=0),
    # sockets
    *(
        Allow("socket", 0, value=family)
        for family in (socket.AF_UNIX, socket.AF_INET, socket.AF_INET6, socket.AF_NETLINK)
    ),
    *allowing("accept", "accept4", "bind", "connect", "getpeername", "getsockname", "getsockopt", "listen", "recvfrom"),
    *allowing("recvmmsg", "recvmsg", "sendmmsg", "sendmsg", "sendto", "setsockopt", "shutdown", "socketpair"),
    *allowing("epoll_create1", "epoll_ctl", "epoll_pwait", "epoll_pwait2", "epoll_wait", "eventfd2", "pipe2", "poll"),
    *allowing("ppoll", "pselect6", "select"),
)


def limit_exporter() -> None:
    """Before there are threads. Raises UnsupportedError where the kernel takes no filter."""
    install((*EXPORTER, Allow("tgkill", 0, value=os.getpid())))


def limit_reader() -> None:
    """Before there are threads. Raises UnsupportedError where the kernel takes no filter."""
    install_without_network()
