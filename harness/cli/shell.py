"""`kseries shell`: the guest of `kseries boot`, interactively, or under gdb."""

from __future__ import annotations

import argparse
import os
import shlex
import subprocess
import sys
from pathlib import Path

from harness.core.context import Context, Outcome
from harness.core.errors import Exit, KseriesError
from harness.guest.choose import add_machine_arguments, choose, run_folder
from harness.guest.session import guest_files, prepare
from harness.guest.vng import GDB

DESCRIPTION = """\
Boot a kernel on an emulated topology and open a shell in it.

The machine is that of `kseries boot`: same kernel, config, CPU, topology and
scratch disk.  The kernel's messages go to console.log in the run folder.  With
--gdb QEMU waits for a debugger on a unix socket, and the gdb line for a second
terminal is printed; `kseries shell --attach` there runs it."""

EXAMPLE = """\
  kseries shell --numa 4x2
  kseries shell --base --gdb        # and in another terminal:
  kseries shell --attach"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the verb."""
    add_machine_arguments(parser)
    parser.add_argument("--gdb", action="store_true", help="open QEMU's gdb stub on a socket")
    parser.add_argument(
        "--attach", action="store_true", help="run gdb on the newest guest started with --gdb"
    )


def gdb_line(folder: Path, build: Path | None) -> list[str]:
    """Return the gdb command for the guest whose run folder is its working folder.

    build: the kernel's build folder, whose vmlinux and gdb scripts are loaded.
    """
    words = ["gdb", "-q", "-ex", f"target remote {GDB}"]
    if build and (build / "vmlinux").is_file():
        # The kernel's scripts (lx-dmesg, lx-ps) load by themselves where gdb
        # trusts the folder.
        words[2:2] = ["-iex", f"add-auto-load-safe-path {build}"]
        words.append(str(build / "vmlinux"))
    return words


def run(args: argparse.Namespace, context: Context) -> Outcome:
    """Run the guest on this terminal until its shell ends."""
    if args.attach:
        return _attach(context)
    if not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise KseriesError(
            Exit.USAGE,
            "a shell needs a terminal",
            hint="use `kseries boot -- COMMAND` in a script",
        )

    chosen = choose(args, context, gdb=args.gdb)
    folder = run_folder(context, "shell")
    guest = prepare(chosen.machine, folder, paths=context.paths, ui=context.ui, interactive=True)
    if args.gdb:
        line = gdb_line(folder, chosen.build)
        (folder / "gdb.txt").write_text(shlex.join(line) + "\n")
        context.ui.line(f"in another terminal: kseries shell --attach, or\n  cd {folder}")
        context.ui.line(f"  {shlex.join(line)}")
    context.ui.line(f"kernel messages: {folder}/console.log; leave with Ctrl-D or `exit`")
    with guest_files(chosen.machine, folder):
        # In the foreground on the user's terminal, as any shell.
        status = subprocess.run(
            guest.words, env=guest.environment, cwd=folder, check=False
        ).returncode
    return Outcome(Exit.OK if status == 0 else Exit.DIED, {"status": status, "folder": str(folder)})


def _attach(context: Context) -> Outcome:
    sockets = sorted(
        context.paths.out.glob("shell-*/gdb.sock"), key=lambda path: path.stat().st_mtime
    )
    if not sockets:
        raise KseriesError(
            Exit.USAGE,
            "no guest waits for gdb",
            where=str(context.paths.out),
            hint="start one with `kseries shell --gdb` in another terminal",
        )
    folder = sockets[-1].parent
    words = shlex.split((folder / "gdb.txt").read_text())
    os.chdir(folder)
    try:
        os.execvp(words[0], words)
    except FileNotFoundError as error:
        raise KseriesError(
            Exit.HOST, "gdb was not found on this host", hint="install the package gdb"
        ) from error
