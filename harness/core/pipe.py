"""Subprocesses at the ends of a stream: written to, or read from, bit by bit.

`proc.run()` holds a command's whole input and output in memory; a kernel
tree has 1.5 GB.  These two log the same pasteable line and end as cleanly.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

from harness.core.errors import Exit, KseriesError
from harness.core.proc import LOG, Completed


class StreamError(Exception):
    """A streaming command failed: its program, status and last words."""

    def __init__(self, done: Completed) -> None:
        self.done = done
        tail = done.stderr.strip().splitlines()[-3:]
        super().__init__(f"{Path(done.argv[0]).name}: {'; '.join(tail) or f'status {done.status}'}")


@contextlib.contextmanager
def feeding(
    argv: Sequence[str | Path], *, env: Mapping[str, str] | None = None
) -> Iterator[IO[bytes]]:
    """Start argv and yield its standard input; leaving the block waits for its end.

    Raises StreamError when the command fails, also when it ends early and
    the writer meets a broken pipe.
    """
    with _started(argv, env=env, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL) as child:
        assert child.stdin is not None
        # The command's own words say why it stopped reading.
        with contextlib.suppress(BrokenPipeError):
            yield child.stdin
        with contextlib.suppress(BrokenPipeError):
            child.stdin.close()


@contextlib.contextmanager
def reading(
    argv: Sequence[str | Path],
    source: IO[bytes],
    *,
    env: Mapping[str, str] | None = None,
) -> Iterator[IO[bytes]]:
    """Start argv on the open file source and yield its standard output.

    The child shares source's file offset, so source.tell() after an lseek
    says how far it has read.  What the block leaves unread is drained, for
    only then does the exit status tell whether the input was whole.
    """
    with _started(argv, env=env, stdin=source, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        yield child.stdout
        while child.stdout.read(1 << 20):
            pass


@contextlib.contextmanager
def _started(
    argv: Sequence[str | Path],
    *,
    env: Mapping[str, str] | None,
    stdin: int | IO[bytes],
    stdout: int,
) -> Iterator[subprocess.Popen[bytes]]:
    words = tuple(str(word) for word in argv)
    start = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        try:
            child = subprocess.Popen(
                words,
                env=None if env is None else dict(env),
                stdin=stdin,
                stdout=stdout,
                stderr=errors,
                start_new_session=True,
            )
        except FileNotFoundError as error:
            raise KseriesError(
                Exit.HOST,
                f"the program {words[0]!r} was not found",
                where=" ".join(words),
                hint="run `./kseries doctor`: it names the package",
            ) from error
        try:
            yield child
            child.wait()
        except BaseException:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            raise
        finally:
            for pipe in (child.stdin, child.stdout):
                if pipe is not None:
                    with contextlib.suppress(BrokenPipeError):
                        pipe.close()
            errors.seek(0)
            text = errors.read().decode(errors="replace")
            done = Completed(words, child.returncode, "", text, time.monotonic() - start)
            LOG.note(done, None)
        if not done.ok:
            raise StreamError(done)
