from __future__ import annotations

import io
from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.core.ui import Ui
from harness.guest.accel import boot_sector, choose, find_accel, probe, probe_command
from harness.guest.qemu import Qemu

QEMU = Qemu(Path("/usr/bin/qemu-system-x86_64"), (10, 0, 2), ("-L", "/fw"))


@pytest.fixture
def paths(tmp_path: Path) -> Paths:
    return Paths(tmp_path, tmp_path / "cache", tmp_path / "out")


@pytest.fixture
def device(tmp_path: Path) -> Path:
    path = tmp_path / "kvm"
    path.touch()
    return path


class Probe:
    def __init__(self, **seconds: float | None) -> None:
        self.seconds = seconds
        self.asked: list[str] = []

    def __call__(self, qemu: Qemu, accel: str) -> float | None:
        self.asked.append(accel)
        return self.seconds[accel]


def test_a_bios_boots_the_sector() -> None:
    sector = boot_sector()
    assert len(sector) == 512
    assert sector[-2:] == b"\x55\xaa"
    assert bytes([0xB0, 0x2A, 0xE6, 0xF4]) in sector


def test_working_kvm_is_taken() -> None:
    assert choose(0.09, 0.07).name == "kvm"
    assert choose(0.09, None).name == "kvm"


def test_kvm_that_crawls_or_hangs_ends_in_tcg() -> None:
    assert choose(3.19, 0.067).name == "tcg"
    assert "3.19 s" in choose(3.19, 0.067).reason
    assert choose(None, 0.2).name == "tcg"


def test_neither_is_the_hosts_fault() -> None:
    with pytest.raises(KseriesError) as caught:
        choose(None, None)
    assert caught.value.code is Exit.HOST


def test_broken_kvm_is_said_loudly_and_probed_once(paths: Paths, device: Path) -> None:
    shown = io.StringIO()
    first, second = Ui(quiet=True, stream=shown), Ui(quiet=True, stream=shown)
    probes = Probe(kvm=None, tcg=0.1)
    for ui in (first, first, second):
        accel = find_accel(paths, QEMU, ui, kvm_device=device, probe_one=probes)
        assert accel.name == "tcg"
    assert probes.asked == ["kvm", "tcg"]
    assert shown.getvalue().count("KVM is not used: KVM opens but boots nothing.") == 2


def test_another_qemu_is_probed_anew(paths: Paths, device: Path) -> None:
    probes = Probe(kvm=0.1, tcg=0.1)
    ui = Ui(quiet=True, stream=io.StringIO())
    for version in ((10, 0, 2), (7, 2, 0)):
        qemu = Qemu(QEMU.path, version)
        assert find_accel(paths, qemu, ui, kvm_device=device, probe_one=probes).name == "kvm"
    assert probes.asked == ["kvm", "tcg"] * 2


def test_no_device_needs_no_probe(paths: Paths, tmp_path: Path) -> None:
    accel = find_accel(paths, QEMU, Ui(quiet=True), kvm_device=tmp_path / "none", probe_one=Probe())
    assert accel.name == "tcg"
    assert "does not exist" in accel.reason


def test_the_environment_overrides(
    paths: Paths, device: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KSERIES_ACCEL", "kvm")
    assert (
        find_accel(paths, QEMU, Ui(quiet=True), kvm_device=device, probe_one=Probe()).name == "kvm"
    )
    monkeypatch.setenv("KSERIES_ACCEL", "hvf")
    with pytest.raises(KseriesError) as caught:
        find_accel(paths, QEMU, Ui(quiet=True), kvm_device=device, probe_one=Probe())
    assert caught.value.code is Exit.USAGE


def test_the_probe_names_its_accelerator_and_the_needed_options() -> None:
    words = probe_command(QEMU, "kvm", Path("/x/boot.img"))
    assert words[:3] == ["/usr/bin/qemu-system-x86_64", "-L", "/fw"]
    assert words[words.index("-accel") + 1] == "kvm"


def fake_qemu(tmp_path: Path, body: str) -> Qemu:
    path = tmp_path / "qemu"
    path.write_text(f"#!/bin/sh\n{body}\n")
    path.chmod(0o755)
    return Qemu(path, (10,))


def test_only_the_sectors_own_status_counts(tmp_path: Path) -> None:
    assert probe(fake_qemu(tmp_path, "exit 85"), "kvm") is not None
    assert probe(fake_qemu(tmp_path, "exit 0"), "kvm") is None
    assert probe(fake_qemu(tmp_path, "exit 1"), "kvm") is None


def test_a_probe_that_hangs_is_cut(tmp_path: Path) -> None:
    assert probe(fake_qemu(tmp_path, "exec sleep 60"), "kvm", limit=0.2) is None
