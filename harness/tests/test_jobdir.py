from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.guest import jobdir
from harness.guest.job import Command, Job, Lane, Machine
from harness.guest.topology import parse_topology

MACHINE = Machine(Path("/bzImage"), parse_topology("4x2"))
ONE = Command("one", "true")


def write(tmp_path: Path, *commands: Command, machine: Machine = MACHINE) -> Path:
    folder = tmp_path / "job"
    jobdir.write_job(folder, machine, Job(commands))
    return folder


def test_a_job_is_written_anew(tmp_path: Path) -> None:
    folder = write(tmp_path, ONE)
    (folder / "status").write_text("done\n")
    folder = write(tmp_path, ONE, Command("two", "false", limit=7.5))
    assert not jobdir.is_done(folder)
    assert (folder / "order").read_text() == "one 300\ntwo 7.5\n"
    assert (folder / "guest.sh").read_text().startswith("#!/bin/sh")


def test_a_command_has_its_folder_environment_and_text(tmp_path: Path) -> None:
    command = Command("c", 'echo "$PWD $GREETING"', cwd=str(tmp_path), env={"GREETING": "it's $me"})
    script = jobdir.command_script(command)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == f"{tmp_path} it's $me\n"


def test_commands_start_on_the_scratch_disk() -> None:
    assert "\ncd /run/scratch || exit 126\n" in jobdir.command_script(ONE)


@pytest.mark.parametrize(
    ("lane", "icount", "heartbeat"),
    [(Lane.TEST, 0, 1), (Lane.L1, 1, 0), (Lane.L2, 0, 0), (Lane.L3, 1, 0)],
)
def test_measuring_lanes_have_no_heartbeat(lane: Lane, icount: int, heartbeat: int) -> None:
    text = jobdir.settings(Machine(Path("k"), parse_topology("1x1"), lane, scratch=False))
    assert text == f"ICOUNT={icount}\nHEARTBEAT={heartbeat}\nSCRATCH=\nSWAP=512M\n"


@pytest.mark.parametrize("names", [("a", "a"), ("a b",), ("../x",), ("",)])
def test_names_are_file_names_and_unique(names: tuple[str, ...]) -> None:
    with pytest.raises(KseriesError) as caught:
        jobdir.check_names([Command(name, "true") for name in names])
    assert caught.value.code is Exit.USAGE


@pytest.mark.parametrize(
    ("text", "status", "seconds", "timed_out"),
    [
        ("0 10.00 12.50\n", 0, 2.5, False),
        ("124 10.00 15.01\n", 124, 5.01, True),
        ("137 10.00 25.01\n", 137, 15.01, True),
        ("124 10.00 11.00\n", 124, 1.0, False),  # its own 124
        ("0 10", None, 0.0, False),  # cut off
        ("", None, 0.0, False),
    ],
)
def test_results(
    tmp_path: Path, text: str, status: int | None, seconds: float, timed_out: bool
) -> None:
    (tmp_path / "one.status").write_text(text)
    result = jobdir.read_result(tmp_path, Command("one", "x", limit=5))
    assert (result.status, result.seconds, result.timed_out) == (status, seconds, timed_out)


def test_no_file_means_that_it_never_ended(tmp_path: Path) -> None:
    assert jobdir.read_result(tmp_path, ONE).status is None


def test_what_ran_is_known_from_the_file_or_the_console(tmp_path: Path) -> None:
    console = "[ 1.0][ T1] kseries: run a\n[ 2.0][ T1] kseries: end a 0\nkseries: run b\n"
    assert jobdir.running(tmp_path, console) == "b"
    assert jobdir.running(tmp_path, console + "kseries: end b 0\n") == ""
    (tmp_path / "running").write_text("c\n")
    assert jobdir.running(tmp_path, console) == "c"
    (tmp_path / "c.status").write_text("0 1 2\n")
    assert jobdir.running(tmp_path, console) == ""


def test_guest_sh_is_plain_posix() -> None:
    subprocess.run(["sh", "-n", str(jobdir._SCRIPT)], check=True)
