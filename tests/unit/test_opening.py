# SPDX-License-Identifier: Apache-2.0
"""The kernel's side is opened while files are read."""

from __future__ import annotations

import threading
from typing import cast

import pytest

from otel_jb.agent.opening import Opening
from otel_jb.model.errors import UnsupportedError
from otel_jb.probes.backend import Backend
from tests.scale import patience


class Kernel:
    """A backend whose programs take as long to load as the test wants, or are refused."""

    def __init__(self, problem: Exception | None = None) -> None:
        self._problem = problem
        self.loading, self.loaded, self.closed = threading.Event(), threading.Event(), threading.Event()
        self.thread: threading.Thread | None = None

    @property
    def link_kind(self) -> str:
        self.thread = threading.current_thread()
        self.loading.set()
        assert self.loaded.wait(patience(10))
        if self._problem is not None:
            raise self._problem
        return "multi"

    def close(self) -> None:
        self.loaded.set()  # as a compiler that is killed ends the wait
        self.closed.set()


def opening(kernel: Kernel, begin: threading.Event) -> Opening:
    return Opening(lambda: cast("Backend", kernel), begin)


def test_programs_are_loaded_on_another_thread_once_this_one_waits() -> None:
    """Nothing is opened before the thread that starts goes to wait; from then on both work."""
    kernel, begin = Kernel(), threading.Event()
    work = opening(kernel, begin)
    assert not kernel.loading.is_set()
    begin.set()
    assert kernel.loading.wait(patience(10))
    kernel.loaded.set()
    assert work.result() is cast("Backend", kernel)
    assert kernel.thread is not threading.current_thread()


def test_the_result_does_not_need_anybody_to_have_waited() -> None:
    """Where no file had to be read, asking for the backend opens it."""
    kernel = Kernel()
    kernel.loaded.set()
    assert opening(kernel, threading.Event()).result() is cast("Backend", kernel)


def test_what_the_kernel_refuses_is_raised_where_the_backend_is_wanted() -> None:
    """The error of the other thread is the caller's, and nothing stays open."""
    kernel = Kernel(UnsupportedError("no such programs here"))
    kernel.loaded.set()
    with pytest.raises(UnsupportedError, match="no such programs here"):
        opening(kernel, threading.Event()).result()
    assert kernel.closed.is_set()


def test_giving_up_closes_what_is_being_opened() -> None:
    """Where there is nothing to measure, the backend is closed although its programs are still on their way."""
    kernel, begin = Kernel(), threading.Event()
    begin.set()
    work = opening(kernel, begin)
    assert kernel.loading.wait(patience(10))
    work.close()
    assert kernel.closed.is_set()


def test_giving_up_before_anything_was_opened_opens_nothing() -> None:
    """A process that does not exist is refused without the kernel being asked for anything."""
    kernel = Kernel()
    opening(kernel, threading.Event()).close()
    assert not kernel.loading.is_set()
    assert not kernel.closed.is_set()
