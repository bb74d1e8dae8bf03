"""A guest's processes on the host: a session of their own, and a sure end."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

GRACE = 3.0  # seconds from SIGTERM to SIGKILL
LAST = 10.0  # seconds for the dead to leave on a busy host


class GuestProcess:
    """vng and its QEMU, on a pty of their own; use as a context manager.

    The pty is their controlling terminal: QEMU cannot change the user's
    terminal, and when this process ends, however it ends, the kernel hangs
    the pty up and QEMU goes too.  What they print goes to `log`.
    """

    def __init__(
        self, words: Sequence[str], *, env: Mapping[str, str], cwd: Path, log: Path
    ) -> None:
        self._master, slave = os.openpty()
        self._log: BinaryIO = log.open("wb")
        try:
            self._child = subprocess.Popen(
                # setsid(1) makes the session; the child keeps its process id.
                # Under nohup(1) a hangup would be ignored, and QEMU left behind.
                ["env", "--default-signal=HUP", "setsid", "--ctty", *words],
                env=dict(env),
                cwd=cwd,
                stdin=slave,
                stdout=slave,
                stderr=slave,
            )
        except BaseException:
            os.close(self._master)
            self._log.close()
            raise
        finally:
            os.close(slave)
        self._end = os.pidfd_open(self._child.pid)
        self._poll = select.poll()
        self._poll.register(self._end, select.POLLIN)
        self._poll.register(self._master, select.POLLIN)

    def __enter__(self) -> GuestProcess:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def group(self) -> int:
        """The process group (and session) that holds vng and QEMU."""
        return self._child.pid

    def wait(self, seconds: float) -> bool:
        """Wait up to seconds, keep what was printed, return whether vng has ended.

        vng is not reaped here: until close() its number names its group.
        """
        ended = False
        for handle, _ in self._poll.poll(seconds * 1000):
            if handle == self._end:
                ended = True
            elif not self._drain():
                self._poll.unregister(self._master)
        return ended

    def _drain(self) -> bool:
        try:
            data = os.read(self._master, 65536)
        except OSError:  # EIO: the last user of the pty is gone
            return False
        self._log.write(data)
        return bool(data)

    def _signal(self, number: int) -> bool:
        """Signal the whole group; return whether anybody was there."""
        try:
            os.killpg(self.group, number)
        except ProcessLookupError:
            return False
        return True

    def kill(self) -> None:
        """End vng and QEMU: asked first, so that QEMU closes its files, then forced.

        Returns when they are gone: their files are theirs no more.
        """
        for number, patience in ((signal.SIGTERM, GRACE), (signal.SIGKILL, LAST)):
            if self._signal(number):
                end = time.monotonic() + patience
                while time.monotonic() < end and self._others():
                    time.sleep(0.05)
        self._child.wait()

    def _others(self) -> bool:
        """Whether anybody but a dead, unreaped leader is left in the group."""
        for stat in Path("/proc").glob("[0-9]*/stat"):
            try:
                # pid (comm) state ppid pgrp ...; comm may hold anything.
                fields = stat.read_text().rpartition(")")[2].split()
            except OSError:
                continue
            if int(fields[2]) == self.group and fields[0] not in "ZX":
                return True
        return False

    def close(self) -> None:
        """Make sure that nobody is left, and give everything back."""
        try:
            self.kill()
        finally:
            with contextlib.suppress(OSError):
                while select.select([self._master], [], [], 0)[0] and self._drain():
                    pass
            os.close(self._master)
            os.close(self._end)
            self._log.close()
