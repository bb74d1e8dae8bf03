from __future__ import annotations

import os
import shlex
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.guest import vng
from harness.guest.job import Lane, Machine
from harness.guest.qemu import Qemu
from harness.guest.topology import parse_topology

DATA = Path(__file__).parent / "data" / "vng"
QEMU = Qemu(Path("/usr/bin/qemu-system-x86_64"), (10, 0, 2))
HOST = vng.Host(Path("/venv/bin/vng"), QEMU, "tcg")
KERNEL = Path("/builds/key/build/arch/x86/boot/bzImage")


def machine(
    topology: str, lane: Lane = Lane.TEST, *, scratch: bool = True, gdb: bool = False
) -> Machine:
    return Machine(KERNEL, parse_topology(topology), lane, scratch, gdb=gdb)


CASES = {
    **{
        name: (machine(name), HOST, False)
        for name in ("1x1", "2x2", "4x2", "8x1", "2x4:1G", "memoryless", "distances")
    },
    "L1": (machine("1x1", Lane.L1, scratch=False), HOST, False),
    "L2": (machine("4x2", Lane.L2), HOST, False),
    "L3": (machine("4x2", Lane.L3), HOST, False),
    "kvm": (machine("4x2"), vng.Host(HOST.vng, QEMU, "kvm"), False),
    "shell-gdb": (machine("4x2", gdb=True), HOST, True),
}


def line(name: str) -> str:
    chosen, host, interactive = CASES[name]
    share = {} if interactive else {"/run/more": Path("/results/a b")}
    words = vng.vng_line(chosen, host, share, interactive=interactive)
    text = "\n".join(shlex.quote(word) for word in words) + "\n"
    return text.replace(str(vng._BIN), "BIN")


@pytest.mark.parametrize("name", CASES)
def test_stored_lines(name: str) -> None:
    stored = DATA / f"{name.replace(':', '-')}.txt"
    if os.environ.get("KSERIES_STORE"):
        stored.write_text(line(name))
    assert line(name) == stored.read_text()


def test_every_stored_line_has_a_case() -> None:
    assert {path.stem for path in DATA.glob("*.txt")} == {n.replace(":", "-") for n in CASES}


def qemu_options(name: str) -> list[str]:
    options = line(name).splitlines()[-1]
    (word,) = shlex.split(options)
    return shlex.split(word.removeprefix("--qemu-opts="))


def test_icount_lanes_have_one_stream_and_others_have_threads() -> None:
    for name in ("L1", "L3"):
        options = qemu_options(name)
        assert options[options.index("-icount") + 1] == "shift=0,sleep=off"
        assert "tcg,thread=single" in options
    for name in ("L2", "4x2"):
        assert "-icount" not in qemu_options(name)
        assert "tcg,thread=multi" in qemu_options(name)


def test_the_cpu_is_pinned_everywhere() -> None:
    for name in CASES:
        options = qemu_options(name)
        assert options[options.index("-cpu") + 1] == vng.CPU
    assert "max" not in vng.CPU


def test_sockets_are_relative_to_the_run_folder() -> None:
    options = qemu_options("shell-gdb")
    assert "unix:qmp.sock,server=on,wait=off" in options
    assert any("path=gdb.sock," in word for word in options)


def test_share_survives_the_second_shell() -> None:
    words = shlex.split(" ".join(shlex.split(line("1x1"))))
    assert words[words.index("/run/more=/results/a b") - 1] == "--rwdir"


def test_watchdogs_are_scaled_and_own_words_win() -> None:
    own = Machine(KERNEL, parse_topology("1x1"), append=("loglevel=3",))
    words = vng.kernel_words(own, "tcg", 2.5)
    assert "watchdog_thresh=25" in words
    assert "sysctl.kernel.hung_task_timeout_secs=300" in words
    assert words[-1] == "loglevel=3"
    assert "watchdog_thresh=60" in vng.kernel_words(own, "kvm", 9.0)  # the kernel's own maximum
    icount = vng.kernel_words(machine("4x2", Lane.L3), "tcg", 1.0)
    assert "tsc_early_khz=2596123" in vng.kernel_words(own, "tcg", 1.0, 2596123)
    assert vng.kernel_words(own, "kvm", 1.0, 2596123) == vng.kernel_words(own, "kvm", 1.0)
    # There the counter counts instructions.
    assert vng.kernel_words(machine("4x2", Lane.L3), "tcg", 1.0, 2596123) == icount
    assert "rcupdate.rcu_cpu_stall_timeout=42" in icount
    # A busy host must not show in what is measured.
    assert icount == vng.kernel_words(machine("4x2", Lane.L3), "tcg", 5.0)


def kernel_file(tmp_path: Path) -> Path:
    path = tmp_path / "bzImage"
    path.touch()
    return path


def test_machines_that_cannot_be(tmp_path: Path) -> None:
    image = kernel_file(tmp_path)
    old = Qemu(QEMU.path, (7, 2, 19))
    ok = Machine(image, parse_topology("4x2"), Lane.L3)
    vng.check_machine(ok, QEMU)
    for wrong, qemu, code in (
        (Machine(image, parse_topology("2x1"), Lane.L1), QEMU, Exit.USAGE),
        (Machine(image, parse_topology("1x1"), Lane.HOST), QEMU, Exit.USAGE),
        (Machine(tmp_path / "none", parse_topology("1x1")), QEMU, Exit.USAGE),
        (ok, old, Exit.HOST),
    ):
        with pytest.raises(KseriesError) as caught:
            vng.check_machine(wrong, qemu)
        assert caught.value.code is code


def test_nothing_of_the_user_reaches_vng(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("KBUILD_OUTPUT", "/somewhere")
    environment = vng.environment(HOST, tmp_path)
    assert "KBUILD_OUTPUT" not in environment
    assert environment["HOME"] == str(tmp_path)
    assert environment["PATH"].startswith("/venv/bin:")


def test_the_pasteable_line_starts_in_the_run_folder(tmp_path: Path) -> None:
    words = vng.vng_line(machine("1x1"), HOST, {})
    text = vng.pasteable(machine("1x1"), words, HOST, tmp_path)
    assert text.startswith(f"cd {tmp_path} && mkfs.ext4 -q -F ")
    assert shlex.split(text)[-len(words) :] == words
