# SPDX-License-Identifier: Apache-2.0
"""What answers of OTLP receivers have in common, whatever they come by; `answers_http` and `answers_grpc` read them with limits.

The two are modules of their own because each imports a library of 20 MiB, and hardly anybody exports by both.
"""

from __future__ import annotations

from typing import Any

from otel_jb.model.text import printable
from otel_jb.telemetry import outcome

#: A receiver's answer has a few dozen bytes; one that explains a refusal may have a few KiB.
MAX_ANSWER_BYTES = 1 << 20


def note_partial(answer: Any) -> None:
    """Record what a receiver refused from a request that it accepted (OTLP specification, "Partial Success")."""
    partial = answer.partial_success
    rejected = getattr(partial, "rejected_data_points", 0) or getattr(partial, "rejected_spans", 0)
    if rejected or partial.error_message:
        outcome.note_partial(max(0, rejected), printable(partial.error_message, 300))
