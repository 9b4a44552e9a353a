# SPDX-License-Identifier: Apache-2.0
"""Library functions that a return probe may have below it, with the reason: data for `reach`, which need not follow them.

They return to their caller, on the stack on which they were called: none throws,
jumps or switches, and none calls back into the program, unless the reason says how. None is a point where POSIX lets
`pthread_cancel` end the thread (`man 7 pthreads`), since that unwinds the stack too.
"""

from __future__ import annotations

import re

from otel_jb.model.dataclass import dataclass

_REASONS: dict[str, str] = {
    # memory and strings: no calls at all, chosen by CPU (so that they cannot be followed through the PLT)
    "memcpy memmove memset memcmp memchr memrchr rawmemchr mempcpy bcmp bcopy bzero explicit_bzero "
    "__memcpy_chk __memmove_chk __memset_chk __mempcpy_chk __explicit_bzero_chk": "leaf",
    "strlen strnlen strcmp strncmp strcasecmp strncasecmp strcpy strncpy strcat strncat strchr strrchr strchrnul strstr "
    "strcasestr strspn strcspn strpbrk strtok strtok_r strsep stpcpy stpncpy strcoll strxfrm wcslen wcscmp wmemcpy wmemset "
    "wmemcmp wmemchr __strcpy_chk __strncpy_chk __strcat_chk __strncat_chk __stpcpy_chk": "leaf",
    "atoi atol atoll strtol strtoll strtoul strtoull strtod strtof __isoc23_strtol __isoc23_strtoul abs labs div ldiv "
    "__ctype_b_loc __ctype_tolower_loc __ctype_toupper_loc isalnum isalpha isdigit isspace isprint tolower toupper "
    "htonl htons ntohl ntohs inet_aton inet_addr inet_ntoa inet_ntop inet_pton": "computes only",
    # allocation: locks and system calls of its own; the hooks are gone since glibc 2.34
    "malloc calloc realloc reallocarray free memalign posix_memalign aligned_alloc malloc_usable_size strdup strndup "
    "__libc_malloc __libc_free cfree": "allocator: system calls that are no cancellation points",
    # deletion and the forms of new that cannot throw ([new.delete.single]); replacements must keep to the same contract
    "_ZdlPv _ZdlPvm _ZdaPv _ZdaPvm _ZdlPvSt11align_val_t _ZdlPvmSt11align_val_t _ZnwmRKSt9nothrow_t "
    "_ZnamRKSt9nothrow_t": "noexcept by the standard",
    # locks: futex waits, no cancellation point (pthread_cond_wait is one, so it is not here)
    "pthread_mutex_lock pthread_mutex_unlock pthread_mutex_trylock pthread_mutex_init pthread_mutex_destroy pthread_self "
    "pthread_equal pthread_spin_lock pthread_spin_unlock pthread_spin_trylock pthread_rwlock_rdlock pthread_rwlock_wrlock "
    "pthread_rwlock_unlock pthread_rwlock_tryrdlock pthread_rwlock_trywrlock pthread_cond_signal pthread_cond_broadcast "
    "pthread_cond_init pthread_cond_destroy pthread_getspecific pthread_setspecific pthread_mutexattr_init "
    "pthread_mutexattr_settype pthread_mutexattr_destroy mtx_lock mtx_unlock mtx_trylock cnd_signal cnd_broadcast "
    "sem_post sem_trywait": "no cancellation point (POSIX 2.9.5)",
    "clock_gettime gettimeofday time clock times getpid gettid getppid getuid geteuid rand rand_r random srand srandom "
    "localtime localtime_r gmtime gmtime_r mktime difftime getenv secure_getenv __errno_location sched_yield "
    "__tls_get_addr strerror __xpg_strerror_r": "reads state",
    # arithmetic
    "sin cos tan asin acos atan atan2 sinh cosh tanh exp exp2 expm1 log log2 log10 log1p pow sqrt cbrt fabs floor ceil round "
    "lround llround lrint llrint rint nearbyint trunc fmod fmin fmax hypot ldexp frexp modf scalbn sinf cosf tanf atanf "
    "atan2f expf exp2f logf log2f log10f powf sqrtf fabsf floorf ceilf roundf lroundf lrintf rintf truncf fmodf fminf fmaxf "
    "hypotf ldexpf sincos sincosf __isnan __isinf __finite __divti3 __udivti3 __modti3 __umodti3": "computes only",
    # into a string: no stream, no locale call-back (a registered printf specifier could call back; nothing registers any)
    "snprintf sprintf vsnprintf vsprintf __snprintf_chk __sprintf_chk __vsnprintf_chk __vsprintf_chk sscanf vsscanf "
    "__isoc99_sscanf __isoc23_sscanf": "writes to memory only",
    # stack protector and run-time checks end the process
    "__stack_chk_fail __stack_chk_fail_local __fortify_fail __chk_fail abort": "ends the process",
    # landing pads run only while an exception passes, which what is reached must be shown not to throw
    "__cxa_allocate_exception _Unwind_Resume __cxa_begin_catch __cxa_end_catch __cxa_call_terminate __clang_call_terminate _ZSt9terminatev "
    "__cxa_free_exception __cxa_get_exception_ptr": "reached through a throw only",
    "__cxa_guard_acquire __cxa_guard_release __cxa_guard_abort __cxa_atexit __gmon_start__ "
    "__cxa_pure_virtual __cxa_deleted_virtual __dynamic_cast": "runs no code of the program",
    # nodes of maps, sets and lists are linked without being compared or copied
    "_ZSt18_Rb_tree_incrementPSt18_Rb_tree_node_base _ZSt18_Rb_tree_incrementPKSt18_Rb_tree_node_base "
    "_ZSt18_Rb_tree_decrementPSt18_Rb_tree_node_base _ZSt18_Rb_tree_decrementPKSt18_Rb_tree_node_base "
    "_ZSt29_Rb_tree_insert_and_rebalancebPSt18_Rb_tree_node_baseS0_RS_ "
    "_ZSt28_Rb_tree_rebalance_for_erasePSt18_Rb_tree_node_baseRS_ _ZNSt8__detail15_List_node_base7_M_hookEPS0_ "
    "_ZNSt8__detail15_List_node_base9_M_unhookEv _ZNSt8__detail15_List_node_base11_M_transferEPS0_S1_ "
    "_ZNSt8__detail15_List_node_base10_M_reverseEv _ZSt11_Hash_bytesPKvmm": "links nodes, noexcept",
    "_ZNSt6chrono3_V212steady_clock3nowEv _ZNSt6chrono3_V212system_clock3nowEv": "noexcept",
}  # fmt: skip

#: Name → why.
HARMLESS: dict[str, str] = {name: why for names, why in _REASONS.items() for name in names.split()}

#: Vector variants of what is above, and the CPU-chosen versions under their internal names.
PATTERNS = re.compile(
    r"__?(mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|cpy|nlen|rchr))_(avx|sse|evex|erms|unaligned)\w*"
)


@dataclass(frozen=True, slots=True)
class FileVouch:
    """A file whose signal handlers harm no return probe although they run on stacks of their own. `name`: its soname, or the program's name."""

    name: re.Pattern[str]
    reason: str


SIGNAL_STACKS: tuple[FileVouch, ...] = (
    FileVouch(
        re.compile(
            r"(libc|libm|libmvec|librt|libdl|libpthread|libresolv|libnss_\w+|libgcc_s|libstdc\+\+|libc\+\+|libc\+\+abi|libunwind|"
            r"ld-linux[\w-]*|ld-musl-\w+|libc\.musl-\w+)\.so\b.*"
        ),
        "the C and C++ libraries install handlers for those only who call the functions that do, which are found by their names",
    ),
    FileVouch(
        re.compile(r"libpython3[\w.]*|python3[\w.-]*"),
        "faulthandler's handlers report a crash and call nothing of the program",
    ),
    FileVouch(
        re.compile(r"libabsl_failure_signal_handler\.so\b.*"),
        "its handlers report a crash, after which the process ends",
    ),
)  # fmt: skip
