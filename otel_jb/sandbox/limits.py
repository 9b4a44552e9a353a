# SPDX-License-Identifier: Apache-2.0
"""What the sandbox may do: lists of system calls for its server and for the workers that read files, and bounds on resources.

A worker can compute, grow up to a bound, map and read the files that it was handed, and write its answer; nothing else. Above all it
can open nothing: no list says which files are dangerous.
"""

from __future__ import annotations

import fcntl
import mmap
import os
import resource
import signal

from otel_jb.host.privileges import PR_SET_PDEATHSIG, PR_SET_SECCOMP, prctl
from otel_jb.sandbox.seccomp import Allow, allowing, install

MAX_FILES = 32  #: descriptors that a request may hold

#: What glibc's fork() asks of clone beside the signal at the child's end: CLONE_CHILD_CLEARTID | CLONE_CHILD_SETTID. Namespaces,
#: threads and shared memory are other flags.
_FORK_FLAGS = 0x01200000

#: The memory that a worker allocates is never executable, so what it could run is limited to what is mapped already.
WORKER = (
    *allowing("brk", "clock_gettime", "close", "exit", "exit_group", "fstat", "getpid", "getrandom", "gettid"),
    *allowing("lseek", "madvise", "mremap", "munmap", "pread64", "read", "restart_syscall", "rt_sigreturn", "write"),
    Allow("mmap", 2, mmap.PROT_EXEC),
    Allow("mprotect", 2, mmap.PROT_EXEC),
    Allow("fcntl", 1, value=fcntl.F_DUPFD_CLOEXEC),  # Python's mmap keeps a descriptor of its own
    # FUTEX_WAIT and FUTEX_WAKE, then their forms with a bit set, private or not: what locks and conditions need
    Allow("futex", 1, mask=0x7E, value=0),
    Allow("futex", 1, mask=0x7F, value=9),
    Allow("futex", 1, mask=0x7F, value=10),
)

#: The server takes requests and forks, and each fork bounds itself before it takes the worker's list.
SERVER = (
    *WORKER,
    *allowing(
        "alarm", "getppid", "getpriority", "recvmsg", "rseq", "rt_sigaction", "rt_sigprocmask", "set_robust_list"
    ),
    *allowing("setitimer", "setpriority", "wait4"),
    Allow("clone", 0, mask=0xFFFFFFFF & ~_FORK_FLAGS, value=signal.SIGCHLD),
    Allow("prctl", 0, value=PR_SET_PDEATHSIG),
    Allow("prctl", 0, value=PR_SET_SECCOMP),
    Allow("prlimit64", 0, value=0),  # its own limits
)


def limit_server() -> None:
    """Refuse everything that the server and its workers never need. Raises UnsupportedError if the kernel accepts no filter."""
    install(SERVER)


def limit_worker(cpu_seconds: int, address_space_bytes: int, parent: int) -> None:
    """Bound what this process can use, refuse what it never needs, and let it die with its parent.

    Raises UnsupportedError if the kernel accepts no filter.
    """
    prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)
    for name, value in (
        (resource.RLIMIT_CPU, cpu_seconds),
        (resource.RLIMIT_AS, address_space_bytes),
        (resource.RLIMIT_NOFILE, 128),  # a request holds MAX_FILES, and mmap keeps a second descriptor of each
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_NPROC, 0),
    ):
        _, hard = resource.getrlimit(name)
        bound = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (bound, bound))
    install(WORKER)
