"""The folder through which the host and guest.sh talk: writing a job, reading what came.

guest.sh lists the files.  They live on the host, so they are there whatever
becomes of the guest; what is not there did not happen.
"""

from __future__ import annotations

import re
import shlex
import shutil
from collections.abc import Sequence
from pathlib import Path

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Command, CommandResult, Job, Machine
from harness.guest.topocheck import DUMP
from harness.guest.vng import GUEST_FOLDER, SCRATCH_FOLDER

_SCRIPT = Path(__file__).with_name("guest.sh")
_NAME = re.compile(r"[A-Za-z0-9_.:-]+")
SWAP = "512M"
# timeout(1) ends with 124 when it ended the command, and 137 when it took a
# kill; a command may end with either by itself, hence the clock.
_TIMEOUT_STATUS = frozenset({124, 137})

_SHELL = f"""\
#!/bin/sh
# The interactive guest: set up like any other, then a shell on the terminal.
sh {GUEST_FOLDER}/guest.sh {GUEST_FOLDER} setup
PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin
export PATH HOME=/root
export PS1='\\u@\\h:\\w\\$ '
cd {SCRATCH_FOLDER}
# Without the user's start-up files: they are for the host, and slow here.
exec bash --norc -i
"""


def command_script(command: Command) -> str:
    """Return the sh script that runs a command with its folder and environment."""
    lines = ["echo 0 >/proc/$$/oom_score_adj"]
    lines += [f"export {name}={shlex.quote(value)}" for name, value in command.env.items()]
    lines.append(f"cd {shlex.quote(command.cwd or SCRATCH_FOLDER)} || exit 126")
    return "\n".join([*lines, command.shell, ""])


def settings(machine: Machine) -> str:
    """Return the shell variables that guest.sh reads."""
    values = {
        "ICOUNT": str(int(machine.lane.icount)),
        # A heartbeat forks: in measuring lanes its faults and IPIs would count.
        "HEARTBEAT": str(int(not machine.lane.measuring)),
        "SCRATCH": "/dev/vda" if machine.scratch else "",
        "SWAP": SWAP,
    }
    return "".join(f"{name}={value}\n" for name, value in values.items())


def check_names(commands: Sequence[Command]) -> None:
    """Raise USAGE if a name is taken twice or is no file name."""
    seen: set[str] = set()
    for command in commands:
        if not _NAME.fullmatch(command.name) or command.name in seen:
            problem = "is taken twice" if command.name in seen else "has other characters"
            raise KseriesError(
                Exit.USAGE,
                f"the command name {command.name!r} {problem}",
                hint="names are unique in a job and made of letters, digits and _.:-",
            )
        seen.add(command.name)


def write_job(folder: Path, machine: Machine, job: Job) -> None:
    """Make folder anew with everything that guest.sh reads."""
    check_names(job.commands)
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "cmd").mkdir(parents=True)
    shutil.copyfile(_SCRIPT, folder / "guest.sh")
    shell = folder / "shell.sh"
    shell.write_text(_SHELL)
    shell.chmod(0o755)
    (folder / "settings").write_text(settings(machine))
    (folder / "topology.sh").write_text(DUMP)
    (folder / "order").write_text("".join(f"{c.name} {c.limit:g}\n" for c in job.commands))
    for command in job.commands:
        (folder / "cmd" / command.name).write_text(command_script(command))


def read_result(folder: Path, command: Command) -> CommandResult:
    """Return what a command left so far; status None if it has not ended."""
    log = folder / f"{command.name}.log"
    try:
        words = (folder / f"{command.name}.status").read_text().split()
        status, start, end = int(words[0]), float(words[1]), float(words[2])
    except (FileNotFoundError, IndexError, ValueError):
        return CommandResult(command.name, None, 0.0, False, log)
    seconds = round(end - start, 2)
    over = status in _TIMEOUT_STATUS and seconds >= command.limit
    return CommandResult(command.name, status, seconds, over, log)


def read_text(path: Path) -> str:
    """Return a file's text, or nothing if it is not there."""
    try:
        return path.read_text(errors="replace")
    except FileNotFoundError:
        return ""


def is_done(folder: Path) -> bool:
    """Whether the guest wrote its verdict."""
    return read_text(folder / "status").strip() == "done"


def running(folder: Path, console: str) -> str:
    """Return the name of the command that ran last and did not end, or nothing.

    Under icount no file says it, so the marks in the console do.
    """
    name = read_text(folder / "running").strip()
    if not name:
        marks = re.findall(r"kseries: (run|end) (\S+)", console)
        name = marks[-1][1] if marks and marks[-1][0] == "run" else ""
    return "" if (folder / f"{name}.status").exists() else name
