"""`kseries boot`: one guest, one command, its exit status."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path
from typing import IO, Any

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError, worst
from harness.core.ui import Ui
from harness.guest.choose import add_machine_arguments, choose, run_folder
from harness.guest.job import BootResult, Command, Fate, Job
from harness.guest.session import run_job
from harness.guest.topocheck import describe

DESCRIPTION = """\
Boot a kernel on an emulated topology and run a command in it.

The guest's root is this host's root, read-only underneath, so every program of
the host is there; the command starts on a scratch disk.  Its exit status comes
back as ours, its stdout and stderr as ours; where the harness or the guest
itself failed, the status is 125 and --json tells the cause.  Without a command
the guest's topology is checked against what was asked for, and printed."""

EXAMPLE = """\
  kseries boot --numa 4x2 -- numactl -H
  kseries boot --numa 2x4:1G --base -- 'grep TLB /proc/interrupts; exit 3'
  kseries boot --numa memoryless
  kseries boot --lane L1 --kernel arch/x86/boot/bzImage -- ./bench"""

_NAME = "command"
_IO = "/run/kseries-io"
_LIMIT = 3600.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_machine_arguments(parser)
    parser.add_argument(
        "--limit",
        type=float,
        default=_LIMIT,
        metavar="SECONDS",
        help=f"end the guest after this time (default: {_LIMIT:g})",
    )
    parser.add_argument(
        "--dump", action="store_true", help="when the guest hangs, write its memory to vmcore"
    )
    parser.add_argument("command", nargs="*", metavar="-- COMMAND", help="what to run, as root")


def command_text(words: list[str]) -> str:
    """Return the shell text of a command: one word is taken as shell text itself."""
    return words[0] if len(words) == 1 else shlex.join(words)


def split_streams(text: str, *, icount: bool) -> str:
    """Return shell text that runs text with stdout and stderr in files of their own.

    icount: the files are copied to the shared folder at the end, because 9p
    I/O would move the clock while the command runs.
    """
    folder = "/run" if icount else _IO
    body = f"(\n{text}\n) >{folder}/stdout 2>{folder}/stderr"
    if not icount:
        return body
    return f"{body}\nstatus=$?\ncp /run/stdout /run/stderr {_IO}/\nexit $status"


class _Tail:
    """Copies what a growing file gained to a stream, or keeps it."""

    def __init__(self, path: Path, stream: IO[bytes] | None) -> None:
        self._path, self._stream = path, stream
        self._offset = 0
        self.kept = b""

    def __call__(self) -> None:
        try:
            with self._path.open("rb") as file:
                file.seek(self._offset)
                data = file.read()
        except FileNotFoundError:
            return
        self._offset += len(data)
        if self._stream is None:
            self.kept += data
        elif data:
            self._stream.write(data)
            self._stream.flush()


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Boot, and return the guest's status or the check's."""
    if not args.command:
        return _check(args, context)
    try:
        return _command(args, context)
    except KseriesError as error:
        # `git bisect run` must be able to tell our failures from the guest's.
        print(f"kseries boot: {error}", file=sys.stderr)
        return Outcome(Exit.SKIP_BISECT, {"error": error.as_json()})


def _command(args: argparse.Namespace, context: Context) -> Outcome:

    machine = choose(args, context).machine
    folder = run_folder(context, "boot")
    streams = folder / "io"
    streams.mkdir()
    text = split_streams(command_text(args.command), icount=machine.lane.icount)
    job = Job(
        (Command(_NAME, text, limit=args.limit),), share={_IO: streams}, limit=args.limit + 120
    )
    tails = [
        _Tail(streams / "stdout", None if context.json else sys.stdout.buffer),
        _Tail(streams / "stderr", None if context.json else sys.stderr.buffer),
    ]
    context.ui.line(f"booting {machine.topology.short()} in lane {machine.lane} ({folder})")

    def tick() -> None:
        for tail in tails:
            tail()

    # The command owns the terminal from here: no bars between its lines.
    quiet = Ui(quiet=True, stream=context.ui.stream)
    result = run_job(
        machine, job, folder, paths=context.paths, ui=quiet, on_tick=tick, dump=args.dump
    )
    tick()
    data = _json(result)
    if context.json:
        data["stdout"], data["stderr"] = (tail.kept.decode(errors="replace") for tail in tails)
    for splat in result.splats:
        if not splat.allowed:
            context.ui.warn(f"the kernel complained ({splat.kind}): {splat.title}")
    cause = _cause(result, args.limit)
    status = result.results[0].status
    if result.fate is Fate.OK and not cause and status is not None:
        return Outcome(status, {**data, "status": status})
    code = Exit.HANG if result.fate in {Fate.HUNG, Fate.LIMIT} else Exit.DIED
    if result.fate is Fate.OK:
        code = Exit.TEST if result.topology_errors else Exit.HANG
    raise KseriesError(
        code,
        cause or "the command left no status",
        where=str(result.console),
        hint=f"read the end of the console; start the guest again with {folder}/command.txt",
        details=data,
    )


def _cause(result: BootResult, limit: float) -> str:
    if result.cause:
        return result.cause
    if result.topology_errors:
        return "the guest is not what was asked for: " + "; ".join(result.topology_errors)
    if result.results[0].timed_out:
        return f"the command took longer than its limit of {limit:g} s"
    return ""


def _check(args: argparse.Namespace, context: Context) -> Outcome:

    machine = choose(args, context).machine
    folder = run_folder(context, "boot")
    result = run_job(
        machine,
        Job((), limit=args.limit),
        folder,
        paths=context.paths,
        ui=context.ui,
        dump=args.dump,
    )
    splats = [splat for splat in result.splats if not splat.allowed]
    codes = {
        Exit.DIED: result.fate is Fate.DIED,
        Exit.HANG: result.fate in {Fate.HUNG, Fate.LIMIT},
        Exit.SPLAT: bool(splats),
        Exit.TEST: bool(result.topology_errors),
    }
    lines = describe((folder / "job" / "topology").read_text()) if result.boot_seconds else []
    lines += [f"wrong: {error}" for error in result.topology_errors]
    lines += [f"the kernel complained ({splat.kind}): {splat.title}" for splat in splats]
    if result.cause:
        lines.append(f"{result.fate}: {result.cause}")
    lines.append(f"console: {result.console}")
    return Outcome(
        worst(code for code, met in codes.items() if met), _json(result), "\n".join(lines)
    )


def _json(result: BootResult) -> dict[str, Any]:
    """Return a BootResult as the verb's JSON."""
    return {
        "fate": result.fate.value,
        "cause": result.cause,
        "running": result.running,
        "seconds": result.seconds,
        "boot_seconds": result.boot_seconds,
        "harness_cpu_seconds": result.harness_cpu_seconds,
        "topology_errors": list(result.topology_errors),
        "splats": [
            {"kind": splat.kind, "title": splat.title, "line": splat.line, "allowed": splat.allowed}
            for splat in result.splats
        ],
        "console": str(result.console),
        "line": result.line,
        "accel": result.accel,
        "qemu": result.qemu,
        "cpu": result.cpu,
    }
