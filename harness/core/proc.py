"""The one way a subprocess is started: logged, bounded, with a clean end.

`run()` is for commands that end by themselves (git, make, apt-get).  Guests
have their own runner (harness.guest.session), because they must be watched.
"""

from __future__ import annotations

import contextlib
import os
import shlex
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.core.errors import Exit, KseriesError


@dataclass(frozen=True)
class Completed:
    """What a finished command left: argv, exit status, output, seconds."""

    argv: tuple[str, ...]
    status: int
    stdout: str
    stderr: str
    seconds: float

    @property
    def ok(self) -> bool:
        """Whether the command exited 0."""
        return self.status == 0

    @property
    def line(self) -> str:
        """The command as a line that can be pasted into a shell."""
        return shlex.join(self.argv)


@dataclass
class CommandLog:
    """A file that collects each command as a pasteable line, with its time.

    One per run; `seconds` adds up what subprocesses took by program name, so
    that a verb can tell its own time from make's and QEMU's.
    """

    path: Path | None = None

    def __post_init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def note(self, done: Completed, cwd: Path | None) -> None:
        """Append one finished command."""
        name = Path(done.argv[0]).name
        self.seconds[name] = self.seconds.get(name, 0.0) + done.seconds
        if self.path is None:
            return
        place = f"cd {shlex.quote(str(cwd))} && " if cwd else ""
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self.path.open("a", encoding="utf-8") as out:
            out.write(f"{place}{done.line}  # {done.status}, {done.seconds:.2f} s\n")


LOG = CommandLog()


def run(
    argv: Sequence[str | Path],
    *,
    cwd: Path | None = None,
    env: Mapping[str, str] | None = None,
    stdin: str | bytes | Path | None = None,
    timeout: float | None = None,
    check: bool = True,
    on_line: Callable[[str], None] | None = None,
    output: Path | None = None,
    code: Exit = Exit.SKIP_BISECT,
    log: CommandLog | None = None,
) -> Completed:
    """Run argv to its end and return what it left.

    cwd: folder; env: the *whole* environment (None inherits); stdin: text,
    bytes, a file to read from, or nothing; timeout: seconds, after which the
    command's process group is killed and KseriesError(HANG) raised;
    check: raise KseriesError(code) on a non-zero status; on_line: called with
    each line of stdout+stderr as it appears (then stdout holds both);
    output: file that receives stdout+stderr as well.
    """
    words = tuple(str(word) for word in argv)
    merged = on_line is not None or output is not None
    start = time.monotonic()
    source: int | None = subprocess.DEVNULL
    data: bytes | None = None
    with contextlib.ExitStack() as stack:
        if isinstance(stdin, Path):
            source = stack.enter_context(stdin.open("rb")).fileno()
        elif stdin is not None:
            data = stdin.encode() if isinstance(stdin, str) else stdin
            source = subprocess.PIPE
        try:
            child = subprocess.Popen(
                words,
                cwd=cwd,
                env=None if env is None else dict(env),
                stdin=source,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT if merged else subprocess.PIPE,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise KseriesError(
                Exit.HOST,
                f"the program {words[0]!r} was not found",
                where=shlex.join(words),
                hint="run `./kseries doctor`: it names the package",
            ) from error
        try:
            if merged:
                out, err = _stream(child, data, on_line, output, start=start, timeout=timeout)
            else:
                out, err = child.communicate(data, timeout)
        except subprocess.TimeoutExpired as error:
            _kill(child)
            raise KseriesError(
                Exit.HANG,
                f"{words[0]} did not end within {timeout:g} s",
                where=shlex.join(words),
                hint="run the line by hand to see where it waits",
            ) from error
        except BaseException:
            _kill(child)
            raise
    done = Completed(
        words,
        child.returncode,
        out.decode(errors="replace"),
        err.decode(errors="replace"),
        time.monotonic() - start,
    )
    (log or LOG).note(done, cwd)
    if check and not done.ok:
        tail = (done.stderr or done.stdout).strip().splitlines()[-15:]
        raise KseriesError(
            code,
            f"{Path(words[0]).name} failed with status {done.status}",
            where=done.line,
            hint="its last lines were:\n    " + "\n    ".join(tail),
            details={"status": done.status},
        )
    return done


def _stream(
    child: subprocess.Popen[bytes],
    data: bytes | None,
    on_line: Callable[[str], None] | None,
    output: Path | None,
    *,
    start: float,
    timeout: float | None,
) -> tuple[bytes, bytes]:
    assert child.stdout is not None
    if data is not None and child.stdin is not None:
        child.stdin.write(data)
        child.stdin.close()
    collected: list[bytes] = []
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(output.open("wb")) if output else None
        for raw in child.stdout:
            collected.append(raw)
            if file:
                file.write(raw)
                file.flush()
            if on_line:
                on_line(raw.decode(errors="replace").rstrip("\n"))
            if timeout is not None and time.monotonic() - start > timeout:
                raise subprocess.TimeoutExpired(child.args, timeout)
    child.wait(None if timeout is None else max(1.0, timeout - (time.monotonic() - start)))
    return b"".join(collected), b""


def _kill(child: subprocess.Popen[bytes]) -> None:
    """Kill the command's whole process group and reap the child."""
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
