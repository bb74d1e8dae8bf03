from __future__ import annotations

from pathlib import Path

import pytest

from harness.core.errors import Exit, KseriesError
from harness.core.paths import Paths
from harness.guest.qemu import PROGRAM, find_qemu, own_failure, parse_version


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("QEMU emulator version 10.0.2 (Debian 1:10.0.2+ds-2+deb13u1~bpo12+1)", (10, 0, 2)),
        ("QEMU emulator version 7.2.19 (Debian 1:7.2+dfsg-7+deb12u16)\nCopyright", (7, 2, 19)),
        ("QEMU emulator version 9.2.50 (v9.2.0-1234-gabcdef)", (9, 2, 50)),
    ],
)
def test_versions(text: str, version: tuple[int, ...]) -> None:
    assert parse_version(text) == version


@pytest.mark.parametrize(
    ("said", "failure"),
    [
        (f"{PROGRAM}: hw/x.c:2: f: Assertion `a <= b' failed.\nAborted\n", "hw/x.c:2"),
        ("**\nERROR:../exec.c:9:f: assertion failed: (locked)\nBail out!", "../exec.c:9"),
        (f"{PROGRAM}: -cpu x: unable to find CPU model 'x'\n", ""),
        ("bash: Assertion `x' failed.\n", ""),
        ("", ""),
    ],
)
def test_what_qemu_itself_breaks_at(said: str, failure: str) -> None:
    found = own_failure(said)
    assert failure in found
    assert bool(found) == bool(failure)


def test_no_version_is_an_error() -> None:
    with pytest.raises(KseriesError, match="does not say its version"):
        parse_version("hello")


def fake(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    path = folder / PROGRAM
    path.write_text(f"#!/bin/sh\necho QEMU emulator version {version}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Paths:
    monkeypatch.delenv("KSERIES_QEMU", raising=False)
    monkeypatch.setenv("PATH", f"{tmp_path / 'path'}:/usr/bin:/bin")
    fake(tmp_path / "path", "7.2.19")
    return Paths(tmp_path, tmp_path / "cache", tmp_path / "out")


def test_path_is_enough_without_a_minimum(paths: Paths) -> None:
    assert find_qemu(paths).name == "7.2.19"


def test_an_old_one_is_named_when_refused(paths: Paths) -> None:
    with pytest.raises(KseriesError, match="QEMU 99 or newer") as caught:
        find_qemu(paths, (99,))
    assert caught.value.code is Exit.HOST
    assert "is 7.2.19" in caught.value.where


def test_the_unpacked_one_comes_first_with_its_options(paths: Paths) -> None:
    root = paths.tools / "qemu-10.0.13"
    fake(root / "bin", "10.0.13")
    (root / "options").write_text("-L\n/fw\n")
    qemu = find_qemu(paths, (10,))
    assert (qemu.version, qemu.options) == ((10, 0, 13), ("-L", "/fw"))


def test_the_environment_names_the_only_one(
    paths: Paths, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    mine = fake(tmp_path / "mine", "11.0.0")
    monkeypatch.setenv("KSERIES_QEMU", str(mine))
    assert find_qemu(paths).path == mine
    monkeypatch.setenv("KSERIES_QEMU", str(tmp_path / "none"))
    with pytest.raises(KseriesError, match="not found"):
        find_qemu(paths)
