# SPDX-License-Identifier: Apache-2.0
# The part of the distribution's BCC (python3-bpfcc, python3-bcc; 0.18 to 0.31) that otel_jb.probes uses.
# BCC ships no types, and the package index's `bcc` is something else altogether.
from collections.abc import Iterator, Mapping, Sequence
from types import TracebackType
from typing import Any, ClassVar

from typing_extensions import Self

class BPFAttachType:
    TRACE_UPROBE_MULTI: ClassVar[int]

class Function:
    name: bytes
    fd: int

class Table(Mapping[Any, Any]):
    map_fd: int
    map_id: int
    max_entries: int
    Key: type[Any]
    Leaf: type[Any]
    def __getitem__(self, key: Any) -> Any: ...
    def __setitem__(self, key: Any, leaf: Any) -> None: ...
    def __iter__(self) -> Iterator[Any]: ...
    def __len__(self) -> int: ...
    def get_fd(self) -> int: ...

class BPF:
    SOCKET_FILTER: ClassVar[int]
    KPROBE: ClassVar[int]
    RAW_TRACEPOINT: ClassVar[int]
    funcs: dict[bytes, Function]
    module: Any
    def __init__(
        self,
        src_file: bytes = ...,
        hdr_file: bytes = ...,
        text: str | bytes | None = ...,
        debug: int = ...,
        cflags: Sequence[str] = ...,
        usdt_contexts: Sequence[Any] = ...,
        allow_rlimit: bool = ...,
        device: str | None = ...,
        attach_usdt_ignore_pid: bool = ...,
    ) -> None: ...
    def load_func(
        self, func_name: str | bytes, prog_type: int, device: str | None = ..., attach_type: int = ...
    ) -> Function: ...
    def get_table(self, name: str | bytes, keytype: Any = ..., leaftype: Any = ..., reducer: Any = ...) -> Table: ...
    def __getitem__(self, key: str | bytes) -> Table: ...
    def attach_uprobe(
        self,
        name: str | bytes = ...,
        sym: str | bytes = ...,
        sym_re: str | bytes = ...,
        addr: int | None = ...,
        fn_name: str | bytes = ...,
        pid: int = ...,
        sym_off: int = ...,
    ) -> None: ...
    def attach_uretprobe(
        self,
        name: str | bytes = ...,
        sym: str | bytes = ...,
        sym_re: str | bytes = ...,
        addr: int | None = ...,
        fn_name: str | bytes = ...,
        pid: int = ...,
    ) -> None: ...
    def free_bcc_memory(self) -> int: ...
    def close(self) -> None: ...
    def cleanup(self) -> None: ...
    def __enter__(self) -> Self: ...
    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None: ...

__version__: str
