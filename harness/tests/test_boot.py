"""`kseries boot` and `kseries shell` around a made-up run_job()."""

from __future__ import annotations

import argparse
import json
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness import cli
from harness.cli import boot, shell
from harness.core.context import Context
from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.job import BootResult, CommandResult, Fate, Job, Lane, Machine, Splat

DUMP = Path(__file__).parent / "data" / "topology" / "2x2.txt"


class Guest:
    """A made-up guest: what it prints, and how it ends."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.kernel = root / "bzImage"
        self.kernel.touch()
        self.machine: Machine | None = None
        self.job: Job | None = None
        self.result = BootResult(
            Fate.OK,
            (),
            (),
            root / "console.log",
            "",
            "",
            9.0,
            8.0,
            "line",
            "tcg",
            "10",
            "c",
            (),
            0.1,
        )
        self.status: int | None = 0
        self.timed_out = False
        self.error: KseriesError | None = None

    def run_job(
        self,
        machine: Machine,
        job: Job,
        folder: Path,
        *,
        on_tick: Callable[[], None] | None = None,
        **_: Any,
    ) -> BootResult:
        if self.error:
            raise self.error
        self.machine, self.job = machine, job
        (folder / "job").mkdir()
        (folder / "job" / "topology").write_text(DUMP.read_text())
        if not job.commands:
            return self.result
        streams = job.share["/run/kseries-io"]
        (streams / "stdout").write_bytes(b"out\n")
        assert on_tick is not None
        on_tick()
        (streams / "stdout").write_bytes(b"out\nmore\n")
        (streams / "stderr").write_bytes(b"err\n")
        result = CommandResult("command", self.status, 1.0, self.timed_out, folder / "log")
        return replace(self.result, results=(result,))


@pytest.fixture
def guest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Guest:
    made = Guest(tmp_path)
    monkeypatch.setenv("KSERIES_OUT", str(tmp_path / "out"))
    monkeypatch.setattr(boot, "run_job", made.run_job)
    return made


def kseries(guest: Guest, *words: str) -> int:
    return cli.main(["boot", "--kernel", str(guest.kernel), *words])


@pytest.mark.parametrize("status", [0, 1, 3, 5, 255])
def test_the_guests_status_and_streams_come_back(
    guest: Guest, status: int, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    guest.status = status
    assert kseries(guest, "--", "true") == status
    out, err = capfdbinary.readouterr()
    assert out == b"out\nmore\n"
    assert b"err\n" in err


def test_json_holds_the_streams(guest: Guest, capsys: pytest.CaptureFixture[str]) -> None:
    guest.status = 255
    assert kseries(guest, "--json", "--", "true") == 255
    answer = json.loads(capsys.readouterr().out)
    assert (answer["status"], answer["exit"], answer["fate"]) == (255, 255, "ok")
    assert (answer["stdout"], answer["stderr"]) == ("out\nmore\n", "err\n")


def failure(guest: Guest, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    assert kseries(guest, "--json", "--", "true") == Exit.SKIP_BISECT
    answer: dict[str, Any] = json.loads(capsys.readouterr().out)["error"]
    return answer


def test_our_own_failures_are_125_with_their_cause(
    guest: Guest, capsys: pytest.CaptureFixture[str]
) -> None:
    whole = guest.result
    for result, code, sentence in (
        (replace(whole, fate=Fate.DIED, cause="it died"), Exit.DIED, "it died"),
        (replace(whole, fate=Fate.HUNG, cause="it hung"), Exit.HANG, "it hung"),
        (replace(whole, fate=Fate.LIMIT, cause="too long"), Exit.HANG, "too long"),
        (replace(whole, topology_errors=("one node",)), Exit.TEST, "one node"),
    ):
        guest.result = result
        answer = failure(guest, capsys)
        assert answer["exit"] == code
        assert sentence in answer["what"]
    guest.result, guest.timed_out, guest.status = whole, True, 124
    assert "longer than its limit" in failure(guest, capsys)["what"]
    guest.error = KseriesError(Exit.HOST, "no QEMU")
    assert failure(guest, capsys)["exit"] == Exit.HOST


def test_a_bad_topology_is_125_with_a_command_and_2_without(guest: Guest) -> None:
    assert kseries(guest, "--numa", "4y2", "--", "true") == Exit.SKIP_BISECT
    assert kseries(guest, "--numa", "4y2") == Exit.USAGE


def test_a_splat_is_loud_and_keeps_the_status(
    guest: Guest, capsys: pytest.CaptureFixture[str]
) -> None:
    guest.result = replace(guest.result, splats=(Splat("warn", "WARNING: x", "text", 7),))
    assert kseries(guest, "--", "true") == 0
    assert "the kernel complained (warn): WARNING: x" in capsys.readouterr().err


def test_without_a_command_the_topology_is_the_answer(
    guest: Guest, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kseries(guest, "--numa", "2x2") == 0
    assert capsys.readouterr().out.startswith("2 nodes, 4 CPUs online\n  node 0: CPUs 0 1;")


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"fate": Fate.DIED, "cause": "x"}, Exit.DIED),
        ({"fate": Fate.HUNG, "cause": "x"}, Exit.HANG),
        ({"splats": (Splat("warn", "W", "t", 1),)}, Exit.SPLAT),
        ({"splats": (Splat("warn", "W", "t", 1, "known"),)}, Exit.OK),
        ({"topology_errors": ("x",)}, Exit.TEST),
    ],
)
def test_without_a_command_failures_have_their_own_codes(
    guest: Guest, change: dict[str, Any], code: Exit
) -> None:
    guest.result = replace(guest.result, **change)
    assert kseries(guest) == code


def test_options_make_the_machine(guest: Guest) -> None:
    assert kseries(guest, "--lane", "L1", "--append", "a=1", "--no-scratch", "--", "x", "y z") == 0
    assert guest.machine is not None
    assert guest.job is not None
    assert guest.machine.lane is Lane.L1
    assert guest.machine.topology.cpus == 1
    assert guest.machine.append == ("a=1",)
    assert not guest.machine.scratch
    assert "x 'y z'" in guest.job.commands[0].shell


def test_one_word_is_shell_text() -> None:
    assert boot.command_text(["echo a; exit 3"]) == "echo a; exit 3"
    assert boot.command_text(["echo", "a b"]) == "echo 'a b'"


def test_streams_are_split_and_the_status_kept(tmp_path: Path) -> None:
    text = boot.split_streams("echo o; echo e >&2; exit 7", icount=False)
    text = text.replace("/run/kseries-io", str(tmp_path))
    assert subprocess.run(["sh", "-c", text], check=False).returncode == 7
    assert (tmp_path / "stdout").read_text() == "o\n"
    assert (tmp_path / "stderr").read_text() == "e\n"


def test_under_icount_streams_are_copied_afterwards(tmp_path: Path) -> None:
    text = boot.split_streams("echo o; exit 7", icount=True)
    (tmp_path / "io").mkdir()
    text = text.replace("/run/kseries-io", str(tmp_path / "io")).replace("/run/", f"{tmp_path}/")
    assert subprocess.run(["sh", "-c", text], check=False).returncode == 7
    assert (tmp_path / "io" / "stdout").read_text() == "o\n"


def test_the_gdb_line_loads_the_kernels_scripts(tmp_path: Path) -> None:
    assert shell.gdb_line(tmp_path, None) == ["gdb", "-q", "-ex", "target remote gdb.sock"]
    (tmp_path / "vmlinux").touch()
    words = shell.gdb_line(tmp_path / "run", tmp_path)
    assert words[2:4] == ["-iex", f"add-auto-load-safe-path {tmp_path}"]
    assert words[-1] == str(tmp_path / "vmlinux")


def context(tmp_path: Path) -> Context:
    return Context(Paths(tmp_path, tmp_path / "cache", tmp_path / "out"), Ui(quiet=True))


def test_a_shell_needs_a_terminal_and_attach_a_guest(tmp_path: Path) -> None:
    for attach, sentence in ((False, "needs a terminal"), (True, "no guest waits for gdb")):
        with pytest.raises(KseriesError, match=sentence) as caught:
            shell.run(argparse.Namespace(attach=attach), context(tmp_path))
        assert caught.value.code is Exit.USAGE
