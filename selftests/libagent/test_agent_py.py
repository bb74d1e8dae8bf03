#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-2.0
"""agent.py: that it hands on what it is given, and turns failures into OSError."""

from __future__ import annotations

import contextlib
import errno
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

HERE = Path(__file__).resolve().parent
os.chdir(HERE)
os.environ["LIBAGENT"] = str(HERE / "libagent.so.0")
os.environ["PYTHONPATH"] = str(HERE)
sys.path[:0] = [str(HERE), str(HERE / "../../kselftest")]

import agent  # noqa: E402
import ksft  # noqa: E402

CREDIT, PERIOD, NICE = 3_000_000, 40_000_000, -7
DECLARED = {"burst": "1", "credit": str(CREDIT), "period": str(PERIOD), "nice": str(NICE)}


def has_class() -> bool:
    """Ask by the tool's own system call: agent.py may be wrong."""
    return subprocess.run(["./tool", "--declare"], capture_output=True, check=False).returncode == 0


def told(text: str) -> dict[str, str]:
    """Return what a tool has said of itself."""
    return dict(word.split("=", 1) for word in text.split())


def myself() -> dict[str, str]:
    """Return what this thread is, as a child inherits it."""
    return told(subprocess.run(["./tool"], capture_output=True, text=True, check=True).stdout)


def declared(said: dict[str, str]) -> dict[str, str]:
    """Return the part of it that a declaration sets."""
    return {name: said[name] for name in DECLARED}


def spawn(argv: list[str | bytes], **options: object) -> tuple[int, str]:
    """Run a tool; return its exit status and what it wrote."""
    read, write = os.pipe()
    try:
        pid = agent.agent_tool_spawn(argv, stdio=(-1, write, -1), **options)
    finally:
        os.close(write)
    with open(read) as pipe:
        text = pipe.read()
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), text


def raised(kind: type[Exception], call: Callable[..., object], *args: object, **named: object):
    """Return the exception that a call must raise."""
    caught = None
    try:
        call(*args, **named)
    except kind as error:
        caught = error
    assert caught is not None, f"no {kind.__name__}"
    return caught


def errno_of(call: Callable[..., object], *args: object, **named: object) -> int:
    """Return the errno of the OSError that a call must raise."""
    error = raised(OSError, call, *args, **named)
    assert os.strerror(error.errno) in error.strerror, error
    return error.errno


def supported() -> None:
    """Say what the kernel says."""
    assert agent.agent_burst_supported() is has_class()


def status_and_environment() -> None:
    """Hand on arguments, environment and file as they were given."""
    assert spawn(["sh", "-c", "echo $A; exit 9"], env={"A": "b"}) == (9, "b\n")
    assert spawn(["name", "-c", "echo $0"], file="/bin/sh") == (0, "name\n")
    assert spawn([b"echo", "a b"]) == (0, "a b\n")


def exec_errors() -> None:
    """Say in the exception what failed, and of which file."""
    error = raised(FileNotFoundError, agent.agent_tool_spawn, ["no-such-tool"])
    assert error.filename == "no-such-tool"
    assert "executing" in error.strerror
    assert errno_of(agent.agent_tool_spawn, ["/"]) == errno.EACCES
    assert errno_of(agent.agent_tool_spawn, ["true"], cgroup_fd=-1) == errno.EBADF
    assert errno_of(agent.agent_tool_spawn, ["true"], stdio=(-1, 250, -1)) == errno.EBADF
    assert errno_of(agent.agent_tool_spawn, ["true"], stdio=(1,)) == errno.EINVAL
    assert errno_of(agent.agent_tool_spawn, []) == errno.EINVAL


def strings_that_c_would_cut() -> None:
    """Refuse what C would end early: a string at NUL, a name of the environment at =."""
    raised(ValueError, agent.agent_tool_spawn, ["tr\0ue"])
    for env in ({"a": "b\0c"}, {"a=b": "c"}, {"": "c"}):
        raised(ValueError, agent.agent_tool_spawn, ["true"], env=env)


def numbers_that_c_would_cut() -> None:
    """Take what does not fit into C's type for out of range."""
    for values in ((2**64, 0, 0), (-1, 0, 0), (0, 2**64, 0), (0, 0, 2**32)):
        assert errno_of(agent.agent_burst_begin, *values) == errno.EINVAL
    assert errno_of(agent.agent_tool_spawn, ["true"], nice=2**32) == errno.EINVAL


WITHOUT_CLASS = """
import agent, errno

assert not agent.agent_burst_supported()
with agent.burst() as declared:
    assert declared is False
agent.agent_tool_spawn(["true"])
for call in (
    agent.agent_burst_begin,
    lambda: agent.burst(strict=True).__enter__(),
    lambda: agent.agent_tool_spawn(["true"], strict=True),
):
    try:
        call()
    except OSError as error:
        assert error.errno == errno.EOPNOTSUPP, error
    else:
        raise AssertionError("not strict")
agent.agent_burst_end()
"""


def without_class() -> None:
    """Fail only for who is strict."""
    command = ["./tool", "--no-class", sys.executable, "-c", WITHOUT_CLASS]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def begin_end() -> None:
    """Give the kernel the values that were given, and none afterwards."""
    agent.agent_burst_begin(CREDIT, PERIOD, NICE)
    assert declared(myself()) == DECLARED
    agent.agent_burst_end()
    assert myself()["burst"] == "0"


def burst_context() -> None:
    """End a burst with its block, however that ends."""
    with agent.burst(CREDIT, PERIOD, NICE) as is_one:
        assert is_one is True
        assert declared(myself()) == DECLARED
    assert myself()["burst"] == "0"
    with contextlib.suppress(KeyError), agent.burst():
        raise KeyError
    assert myself()["burst"] == "0"


def burst_errors() -> None:
    """Raise an error for a wrong value, and leave nothing behind."""
    assert errno_of(agent.agent_burst_begin, 1) == errno.EINVAL
    assert errno_of(agent.burst(1).__enter__) == errno.EINVAL
    assert errno_of(agent.agent_tool_spawn, ["true"], credit_ns=1) == errno.EINVAL
    assert myself()["burst"] == "0"


def spawn_declares() -> None:
    """Make the tool a burst and not its caller; and the other way round."""
    status, text = spawn(["./tool"], credit_ns=CREDIT, period_ns=PERIOD, nice=NICE, strict=True)
    assert status == 0
    assert declared(told(text)) == DECLARED
    assert myself()["burst"] == "0"
    with agent.burst():
        assert told(spawn(["./tool"], burst=False)[1])["burst"] == "0"


def threads() -> None:
    """Give each tool what its own thread has asked for."""
    wrong = []

    def work(credit: int) -> None:
        for _ in range(5):
            said = told(spawn(["./tool"], credit_ns=credit)[1])
            if said["credit"] != str(credit):
                wrong.append((credit, said))

    workers = [threading.Thread(target=work, args=(1_000_000 + n,)) for n in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not wrong, wrong


ANYWHERE = (
    supported,
    status_and_environment,
    exec_errors,
    strings_that_c_would_cut,
    numbers_that_c_would_cut,
    without_class,
)
WITH_CLASS = (begin_end, burst_context, burst_errors, spawn_declares, threads)


def main() -> None:
    """Run all cases."""
    signal.alarm(150)
    ksft.print_header()
    if os.geteuid():
        ksft.print_msg("needs root")
        sys.exit(ksft.KSFT_SKIP)
    ksft.set_plan(len(ANYWHERE) + len(WITH_CLASS))
    skip = () if has_class() else WITH_CLASS
    for case in (*ANYWHERE, *WITH_CLASS):
        name = case.__name__
        if case in skip:
            ksft.test_result_skip(name)
            continue
        try:
            case()
        except Exception as error:
            ksft.print_msg(f"{name}: {type(error).__name__}: {error}")
            ksft.test_result_fail(name)
        else:
            ksft.test_result_pass(name)
    ksft.finished()


if __name__ == "__main__":
    main()
