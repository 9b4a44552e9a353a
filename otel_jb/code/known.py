# SPDX-License-Identifier: Apache-2.0
"""Functions whose behaviour the analysis takes from their name: those that never return, switch stacks, throw, or are harmless."""

from __future__ import annotations

import re
from enum import Enum

from otel_jb.code import vouched

#: Exactly these never return. A name that is wrongly here would hide an end, so only documented ones are.
_NEVER_RETURN = re.compile(
    r"(__stack_chk_fail(_local)?|abort|exit|_exit|_Exit|quick_exit|__assert_fail|__assert_perror_fail|"
    r"__fortify_fail|__chk_fail|__cxa_throw|__cxa_rethrow|_Unwind_Resume|__cxa_bad_cast|__cxa_bad_typeid|"
    r"__cxa_throw_bad_array_new_length|__cxa_pure_virtual|__cxa_deleted_virtual|__cxa_call_unexpected|"
    r"__cxa_call_terminate|__clang_call_terminate|_ZSt9terminatev|_ZSt10unexpectedv|_ZSt\d+__throw_\w+|"
    r"_ZSt21__glibcxx_assert_failPKciS0_S0_|longjmp|_longjmp|siglongjmp|__longjmp_chk|pthread_exit|"
    r"__libc_fatal|__pthread_unwind|__pthread_unwind_next|__asan_report_(exp_)?(load|store)(_n|\d+)|__ubsan_handle_\w+_abort)"
)
_NUMBERED = re.compile(r"([xwr])(\d+)[dwb]?")
_X86 = {name: n for n, name in enumerate("rax rcx rdx rbx rsp rbp rsi rdi".split())}


def plain(name: str) -> str:
    """The name without its version and `@plt`."""
    return name.partition("@")[0]


def readable(name: str) -> str:
    """A function's name as people write it, without arguments, cut where it is very long."""
    from otel_jb.elf.demangle import demangle
    from otel_jb.model.names import without_arguments

    text = without_arguments(demangle(name))
    return text if len(text) <= 60 else f"{text[:59]}…"


def never_returns(name: str) -> bool:
    """Whether a call of this function never comes back."""
    return bool(name) and _NEVER_RETURN.fullmatch(plain(name)) is not None


def register_number(arch: str, name: str) -> int:
    """Hardware number of a 64-bit general register; -1 if it is none."""
    if arch == "x86_64" and name in _X86:
        return _X86[name]
    match = _NUMBERED.fullmatch(name)
    return int(match[2]) if match else -1


_GENERIC = re.compile(r"(free|av_freep?|av_log|memcpy|memmove|memset|strlen|_ZdlPvm?|_ZdaPv|operator delete.*)")


def is_generic(name: str) -> bool:
    """Whether so much of a program calls this function that probing its ends, for one tail call, would cost too much."""
    return _GENERIC.fullmatch(name) is not None


#: Functions that give something back: they take a moment, and return whatever happens.
_GIVES_BACK = re.compile(
    r"(cfree|free|av_freep?|g_free|g_slice_free1|ortp_free|_ZdlPvm?|_ZdaPvm?|_ZdlPv(m?)St11align_val_t|"
    r"pthread_(mutex|rwlock|spin)_unlock|pthread_cond_(signal|broadcast)|mtx_unlock|sem_post)"
)


def gives_back(name: str) -> bool:
    """Whether a call of this function may be left out of the time of a call that ends with it."""
    return bool(name) and _GIVES_BACK.fullmatch(plain(name)) is not None


#: Functions that write a line to a log. They return, whatever becomes of the line, or end the process (GLib's, if told to by G_DEBUG).
_TELLS = re.compile(r"_Z15srs_logger_impl\w+|av_v?log|v?syslog|__v?syslog_chk|g_return_if_fail_warning")


def tells(name: str) -> bool:
    """Whether a call of this function, which a server makes now and then, may be left out of the time of a call that ends with it."""
    return bool(name) and _TELLS.fullmatch(plain(name)) is not None


#: Functions that make or tell an error: behind a call of one a server does not run often.
_MAKES_ERROR = re.compile(
    r"_ZN1[24]SrsCplxError(4wrap|6create|9transform)\w*|srs_error_(create|wrap|new)\w*|__errno_location|perror|"
    r"_ZN13ISrsExceptionC\w*|__cxa_allocate_exception"
)


def makes_error(name: str) -> bool:
    """Whether only an error or an exception makes a program call this function."""
    return bool(name) and _MAKES_ERROR.fullmatch(plain(name)) is not None


class Verdict(Enum):
    """What a function does to the frames above it; the value completes the sentence "NAME, which ..."."""

    UNKNOWN = "is not known"
    HARMLESS = "neither switches, throws nor jumps"
    SWITCHES = "switches stacks"
    THROWS = "may throw"
    JUMPS = "jumps out of its callers"
    ENDS_THREAD = "ends the thread"


#: names of functions, as alternatives of a regular expression
SWITCHES = (
    r"swapcontext|makecontext|setcontext|st_(?!(utime|time|thread_self|key_create|thread_[gs]etspecific|netfd_fileno|cond_new|mutex_new)(?!\w))\w+|_st_\w+|co_\w+|jump_fcontext|make_fcontext|ontop_fcontext|"
    r"(coro_|aco_|aco_yield|libco_|mco_|tina_|swap_ctx|switch_ctx|coctx_swap|bthread_|qemu_coroutine_)\w*|"
    r"GC_\w+|pth_\w+|gnu_pth\w+|fiber_\w+|SwitchToFiber|sigaltstack"
)
THROWS = (
    r"__cxa_throw|__cxa_rethrow|_Unwind_(RaiseException|Resume_or_Rethrow|ForcedUnwind)|_ZSt\d+__throw_\w+|"
    r"_ZSt17rethrow_exception\w+|__cxa_bad_cast|__cxa_bad_typeid|__cxa_throw_bad_array_new_length|"
    # docs/adr/0010: operator new may throw, so it is not vouched for. The nothrow forms are.
    r"_Zn[wa][mj](St11align_val_t)?"
)
_JUMPS = re.compile(r"(_|__|sig|__sig)?longjmp(_chk)?|__longjmp_chk|_longjmp_unwind|rethrow")
ENDS_THREAD = r"pthread_exit|thrd_exit|__pthread_unwind\w*|pthread_cancel|pthread_testcancel"


_SWITCHES, _THROWS, _ENDS_THREAD = (re.compile(names) for names in (SWITCHES, THROWS, ENDS_THREAD))

#: Names that no program takes for functions of its own: vouched for even where they are linked into its file.
_RESERVED = re.compile(
    r"_.*|mem(cpy|move|set|cmp|chr)|str(len|cmp|ncmp|chr|rchr|cpy|ncpy)|malloc|calloc|realloc|free|abort"
)


def judge(name: str, *, imported: bool = True) -> Verdict:
    """What the name alone says; names are those of the C and C++ libraries, of coroutine libraries and of vouched leaves.

    A function of the file itself (not `imported`) may have a library function's name and do something else.
    """
    if not name:
        return Verdict.UNKNOWN
    trusted = imported or _RESERVED.fullmatch(name) is not None
    if trusted and (name in vouched.HARMLESS or vouched.PATTERNS.fullmatch(name)):
        return Verdict.HARMLESS
    for expression, verdict in (
        (_SWITCHES, Verdict.SWITCHES),
        (_THROWS, Verdict.THROWS),
        (_JUMPS, Verdict.JUMPS),
        (_ENDS_THREAD, Verdict.ENDS_THREAD),
    ):
        if expression.fullmatch(name):
            return verdict
    # What never returns and is none of the above ends the process: nobody comes back to a changed return address.
    return Verdict.HARMLESS if never_returns(name) else Verdict.UNKNOWN
