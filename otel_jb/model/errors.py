# SPDX-License-Identifier: Apache-2.0
"""Every error that a user can cause or repair, with its remedy and its exit code.

An error has a message (one sentence that says what is wrong), a help text (what to do, possibly with commands), and an exit
code from `ExitCode`. Only `otel_jb.cli` turns errors into exit statuses; all other rooms raise them.
"""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """The stable exit codes. A test compares docs/troubleshooting.md with them."""

    OK = 0
    INTERNAL = 1  #: a defect of the agent itself
    USAGE = 2  #: wrong option, or an unusable configuration, profile or recording
    NO_TARGET = 3  #: no such process or file, or the process ended before it could be measured
    NOT_ELF = 4  #: not a readable ELF file, or built for another architecture
    NO_FUNCTION = 5  #: no jitter-buffer function in it that can be probed
    PERMISSION = 6  #: privileges are missing
    UNSUPPORTED = 7  #: kernel, `bcc` or compiler is missing or too old
    ADDRESS_IN_USE = 8  #: the address to listen on is taken or cannot be bound
    ATTACH = 9  #: the kernel refused every probe
    CHECK_FAILED = 10  #: `doctor` found something that needs a remedy
    RESOURCES = 11  #: descriptors, memory or disk space ran out, or the output cannot be written
    OVERRUN = 12  #: the agent was stopped for so long that counts in the kernel ran over


class AgentError(Exception):
    """Base class of all errors that the user sees without a traceback."""

    exit_code: ExitCode = ExitCode.INTERNAL

    def __init__(self, message: str, help: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.help = help


class UsageError(AgentError):
    """A wrong option or argument."""

    exit_code = ExitCode.USAGE


class ConfigError(AgentError):
    """A configuration or profile file that cannot be used; the message names file and line."""

    exit_code = ExitCode.USAGE


class TargetError(AgentError):
    """No such process or file, a kernel thread, or a process that ended."""

    exit_code = ExitCode.NO_TARGET


class NoAnswerError(TargetError):
    """A process's file is on a file system that does not answer."""


class ElfError(AgentError):
    """A file that is not a usable ELF image: wrong type, truncated, corrupt, foreign."""

    exit_code = ExitCode.NOT_ELF


class NoFunctionError(AgentError):
    """A readable target has no function that can be probed; the help says what was examined."""

    exit_code = ExitCode.NO_FUNCTION

    def __init__(self, message: str, help: str = "", kind: str = "no_function") -> None:
        super().__init__(message, help)
        self.kind = (
            kind  #: a word for metrics: `no_function`, `stripped`, `not_asked_for`, `no_safe_probe`, `marks_disagree`
        )


class NothingYetError(NoFunctionError):
    """A process has no function that can be probed, and may load a library that has."""


class NamesAskedForError(NothingYetError):
    """A process has no function that can be probed, and the debug file that may name some is asked for."""


class PermissionDeniedError(AgentError):
    """A privilege is missing; the help names it and how to grant it."""

    exit_code = ExitCode.PERMISSION


class UnsupportedError(AgentError):
    """Kernel, `bcc` or compiler is missing or too old."""

    exit_code = ExitCode.UNSUPPORTED


class AddressInUseError(AgentError):
    """The address to listen on cannot be bound."""

    exit_code = ExitCode.ADDRESS_IN_USE


class AttachError(AgentError):
    """The kernel refused every probe."""

    exit_code = ExitCode.ATTACH


class ResourceError(AgentError):
    """Descriptors, memory or disk space ran out, or the output cannot be written."""

    exit_code = ExitCode.RESOURCES


class OverrunError(AgentError):
    """Counts in the kernel ran over while nobody read them: they are wrong, and nothing of them may be told."""

    exit_code = ExitCode.OVERRUN
