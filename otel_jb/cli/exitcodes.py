# SPDX-License-Identifier: Apache-2.0
"""What each exit code means, in words; the tables in the documentation are compared with this one by a test."""

from __future__ import annotations

from otel_jb.model.errors import ExitCode

MEANINGS: dict[ExitCode, str] = {
    ExitCode.OK: "success, including a clean stop by Ctrl-C or SIGTERM",
    ExitCode.INTERNAL: "a bug in the agent (`--debug` shows where)",
    ExitCode.USAGE: "wrong option, or an unusable configuration, profile or recording",
    ExitCode.NO_TARGET: "no such process or file, or the process ended before it could be measured",
    ExitCode.NOT_ELF: "not a readable ELF file, or built for another architecture",
    ExitCode.NO_FUNCTION: "the target has no jitter-buffer function that can be probed",
    ExitCode.PERMISSION: "privileges are missing",
    ExitCode.UNSUPPORTED: "kernel, `bcc` or compiler is missing or too old",
    ExitCode.ADDRESS_IN_USE: "the address to listen on is taken or cannot be bound",
    ExitCode.ATTACH: "the kernel refused every probe",
    ExitCode.CHECK_FAILED: "`doctor` found something that needs a remedy",
    ExitCode.RESOURCES: "descriptors, memory or disk space ran out, or the output cannot be written",
    ExitCode.OVERRUN: "the agent was stopped (`kill -STOP`, `docker pause`) for so long that counts in the kernel ran over",
}

INTERRUPTED = 130  #: Ctrl-C in a command that was not measuring: 128 + SIGINT, as shells have it


def rows() -> list[tuple[int, str]]:
    """Code and meaning, ascending."""
    return [*((int(code), meaning) for code, meaning in MEANINGS.items()), (INTERRUPTED, "interrupted by Ctrl-C")]


def markdown() -> str:
    """The table as the documentation has it."""
    return "\n".join(["| exit code | meaning |", "|---|---|", *(f"| {code} | {meaning} |" for code, meaning in rows())])


def plain() -> str:
    """The table as `--help` has it."""
    return "\n".join(["exit codes:", *(f"  {code:>3}  {meaning.replace('`', '')}" for code, meaning in rows())])
