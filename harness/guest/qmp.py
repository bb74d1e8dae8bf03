"""QEMU's machine protocol over a unix socket: the few words a watcher needs."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any


class QmpError(Exception):
    """QEMU refused a command, did not answer in time, or is not there."""


class Qmp:
    """One QMP session; use as a context manager."""

    def __init__(self, path: Path, timeout: float = 5.0) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.settimeout(timeout)
        try:
            # A unix socket's path may have 107 bytes, a run folder's path more.
            folder = os.open(path.parent, os.O_PATH)
            try:
                self._socket.connect(f"/proc/self/fd/{folder}/{path.name}")
            finally:
                os.close(folder)
            self._stream = self._socket.makefile("r", encoding="utf-8")
            self._read()
            self.execute("qmp_capabilities")
        except OSError as error:
            self._socket.close()
            raise QmpError(f"QEMU's socket does not answer: {error}") from error

    def __enter__(self) -> Qmp:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with contextlib.suppress(OSError):
            self._socket.close()

    def _read(self) -> dict[str, Any]:
        line = self._stream.readline()
        if not line:
            raise QmpError("QEMU closed its socket")
        message = json.loads(line)
        assert isinstance(message, dict)
        return message

    def execute(self, command: str, arguments: Mapping[str, Any] | None = None) -> Any:
        """Run a command and return its answer; events in between are dropped."""
        request: dict[str, Any] = {"execute": command}
        if arguments:
            request["arguments"] = dict(arguments)
        try:
            self._socket.sendall(json.dumps(request).encode() + b"\n")
            while True:
                message = self._read()
                if "error" in message:
                    raise QmpError(f"{command}: {message['error'].get('desc', message['error'])}")
                if "return" in message:
                    return message["return"]
        except OSError as error:
            raise QmpError(f"{command}: {error}") from error

    def status(self) -> str:
        """Return QEMU's run state, e.g. `running`."""
        return str(self.execute("query-status")["status"])

    def sysrq(self, key: str) -> None:
        """Press Alt-SysRq and a letter on the guest's keyboard."""
        keys = [{"type": "qcode", "data": code} for code in ("alt", "sysrq", key)]
        self.execute("send-key", {"keys": keys, "hold-time": 100})

    def dump(self, path: Path) -> None:
        """Write the guest's memory to path as an ELF core (crash and gdb read it)."""
        self.execute("dump-guest-memory", {"paging": False, "protocol": f"file:{path}"})
