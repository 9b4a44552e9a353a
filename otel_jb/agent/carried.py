# SPDX-License-Identifier: Apache-2.0
"""Key and certificate files that only root can read, carried into the exporter, which is not root.

What is read while the exporter still has privileges, or by the reader when the configuration is read again, is kept in memory under a
path of its own (`/proc/self/fd/N`), for libraries that want a path.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from otel_jb.config import keyfile
from otel_jb.model.errors import AgentError

if TYPE_CHECKING:
    from otel_jb.config.environment import OtelSettings, SignalSettings
    from otel_jb.config.web import WebConfig


def files_of(settings: OtelSettings, web: WebConfig | None) -> dict[str, bytes]:
    """The content of every key and certificate that these name, by path, as far as it can be read."""
    paths = {path for signal in (settings.metrics, settings.traces) for path in _paths(signal)}
    if web is not None:
        tls = web.tls_server_config
        paths |= {tls.cert_file, tls.key_file, tls.client_ca_file}
    found = {}
    for path in filter(None, paths):
        try:
            found[path] = keyfile.read(path)
        except OSError:
            continue  # the part that uses it reports the mistake
    return found


def _paths(signal: SignalSettings) -> tuple[str | None, ...]:
    return signal.certificate, signal.client_key, signal.client_certificate


class Carried:
    """Files in memory, until they are closed. A file that this process can read itself stays where it is, so that a renewed one is noticed.

    Args:
        files: content by path.
    """

    def __init__(self, files: Mapping[str, bytes]) -> None:
        self._files = files
        self._descriptors: dict[str, int] = {}

    def path(self, path: str | None) -> str | None:
        """Where this process can read the file; the same where nothing is known of it."""
        if not path or path not in self._files or os.access(path, os.R_OK):
            return path
        if path not in self._descriptors:
            kept = self._descriptors[path] = os.memfd_create("key")
            os.write(kept, self._files[path])
        return f"/proc/self/fd/{self._descriptors[path]}"

    def contents(self, settings: OtelSettings) -> dict[str, bytes]:
        """What is known of the files that these name."""
        paths = {path for signal in (settings.metrics, settings.traces) for path in _paths(signal)}
        return {path: content for path, content in self._files.items() if path in paths}

    def settings(self, settings: OtelSettings) -> OtelSettings:
        """The same with paths that this process can read."""
        return replace(settings, metrics=self._signal(settings.metrics), traces=self._signal(settings.traces))

    def _signal(self, settings: SignalSettings) -> SignalSettings:
        return replace(
            settings,
            certificate=self.path(settings.certificate),
            client_key=self.path(settings.client_key),
            client_certificate=self.path(settings.client_certificate),
        )

    def web(self, config: WebConfig) -> WebConfig:
        """The same with paths that this process can read."""
        tls = config.tls_server_config
        paths = {name: self.path(getattr(tls, name)) or "" for name in ("cert_file", "key_file", "client_ca_file")}
        return replace(config, tls_server_config=replace(tls, **paths))  # type: ignore[arg-type]

    def own_names(self, error: AgentError) -> AgentError:
        """The error with the files' own names."""
        message = error.message
        for path, descriptor in self._descriptors.items():
            message = message.replace(f"/proc/self/fd/{descriptor} ", f"{path} ")
            message = message.replace(f"/proc/self/fd/{descriptor}", path)
        return type(error)(message, error.help)

    def close(self) -> None:
        """Forget the files."""
        for descriptor in self._descriptors.values():
            os.close(descriptor)
        self._descriptors.clear()
