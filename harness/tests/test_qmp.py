from __future__ import annotations

import json
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from harness.guest.qmp import Qmp, QmpError


class Server:
    """A QEMU that answers from a list and notes what it was asked."""

    def __init__(self, path: Path, answers: list[dict[str, Any]]) -> None:
        self.asked: list[dict[str, Any]] = []
        self._answers = answers
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.bind(str(path))
        self._socket.listen(1)
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self) -> None:
        client, _ = self._socket.accept()
        with client, client.makefile("rw") as stream:
            stream.write('{"QMP": {"version": {}, "capabilities": []}}\n')
            stream.flush()
            for answer in [{"return": {}}, *self._answers]:
                self.asked.append(json.loads(stream.readline()))
                stream.write('{"event": "RTC_CHANGE", "data": {}}\n' + json.dumps(answer) + "\n")
                stream.flush()


def test_status_and_keys(tmp_path: Path) -> None:
    # Longer than a unix socket's path may be: only the last part counts.
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    short = tmp_path / "s"
    server = Server(short, [{"return": {"status": "running"}}, {"return": {}}])
    short.rename(folder / "qmp.sock")
    with Qmp(folder / "qmp.sock") as qmp:
        assert qmp.status() == "running"
        qmp.sysrq("w")
    assert [request["execute"] for request in server.asked] == [
        "qmp_capabilities",
        "query-status",
        "send-key",
    ]
    assert [key["data"] for key in server.asked[2]["arguments"]["keys"]] == ["alt", "sysrq", "w"]


def test_a_refusal_is_an_error(tmp_path: Path) -> None:
    Server(tmp_path / "q", [{"error": {"class": "GenericError", "desc": "no"}}])
    with Qmp(tmp_path / "q") as qmp, pytest.raises(QmpError, match="inject-nmi: no"):
        qmp.execute("inject-nmi")


def test_nobody_there_and_nobody_left(tmp_path: Path) -> None:
    with pytest.raises(QmpError, match="does not answer"):
        Qmp(tmp_path / "none")
    Server(tmp_path / "q", [])
    with Qmp(tmp_path / "q") as qmp, pytest.raises(QmpError):
        qmp.status()
