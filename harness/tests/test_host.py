from __future__ import annotations

from pathlib import Path

import pytest

from harness.host import deps, install
from harness.host.deps import Capability, Finding, examine, load_capabilities, packages_for


def capability(**fields: object) -> Capability:
    base: dict[str, object] = {
        "name": "thing",
        "why": "because",
        "needs": ("true",),
        "verbs": ("build",),
        "debian": ("thing-dev",),
        "fedora": ("thing-devel",),
    }
    return Capability(**{**base, **fields})  # type: ignore[arg-type]


def program(folder: Path, name: str, says: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)


@pytest.fixture
def bin_dir(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(deps, "SEARCH", str(tmp_path))
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    return tmp_path


def test_the_table_is_whole() -> None:
    rows = load_capabilities()
    names = [row.name for row in rows]
    assert len(set(names)) == len(names)
    for row in rows:
        assert row.why
        assert row.needs
        assert row.debian
        assert row.fedora
        assert row.verbs


def test_every_verb_of_the_table_exists() -> None:
    from harness.cli import VERBS

    for row in load_capabilities():
        assert set(row.verbs) <= {*VERBS, "all"}


def test_a_missing_program_is_named(bin_dir: Path) -> None:
    finding = examine(capability(needs=("no-such-program",)))
    assert finding.missing == ("no-such-program",)
    assert not finding.usable


def test_an_old_version_is_missing_and_a_soft_one_is_limited(bin_dir: Path) -> None:
    program(bin_dir, "emu", "EMU emulator version 7.2.9 (Debian 1:7.2)")
    strict = examine(capability(needs=("emu",), minimum="10"))
    assert strict.missing == ("emu >= 10",)
    soft = examine(capability(needs=("emu",), minimum="10", soft_minimum="7.2"))
    assert soft.usable
    assert not soft.ok
    assert soft.version == "7.2.9"


def test_versions_compare_as_numbers(bin_dir: Path) -> None:
    program(bin_dir, "emu", "emu 10.0.2")
    assert examine(capability(needs=("emu",), minimum="9.9")).ok


def test_the_newest_clang_wins(bin_dir: Path) -> None:
    for number in (14, 16, 19):
        program(bin_dir, f"clang-{number}", "clang")
    assert deps.newest_clang(16) == "clang-19"
    (bin_dir / "clang-19").unlink()
    (bin_dir / "clang-16").unlink()
    assert deps.newest_clang(16) == ""


def test_packages_are_named_once_in_order() -> None:
    findings = [
        Finding(capability(debian=("a", "b")), ("x",)),
        Finding(capability(debian=("b", "c")), ("y",)),
        Finding(capability(debian=("d",)), ()),
    ]
    assert packages_for(findings, "debian") == ["a", "b", "c"]
    assert packages_for(findings, "fedora") == ["thing-devel"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("ID=debian\nVERSION_CODENAME=bookworm\n", ("debian", "bookworm")),
        ('ID=ubuntu\nID_LIKE=debian\nVERSION_CODENAME="noble"\n', ("debian", "noble")),
        ("ID=arch\n", ("", "")),
    ],
)
def test_distribution(tmp_path: Path, text: str, expected: tuple[str, str]) -> None:
    file = tmp_path / "os-release"
    file.write_text(text)
    assert deps.distribution(file) == expected


def test_without_rights_the_exact_line_is_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "may_install", lambda yes: None)
    monkeypatch.setattr(install, "distribution", lambda: ("debian", "bookworm"))
    with pytest.raises(install.InstallError) as caught:
        install.ensure([Finding(capability(), ("thing.h",))])
    assert "apt-get install --no-install-recommends thing-dev" in str(caught.value)
    assert "thing.h" in str(caught.value)


def test_a_limited_capability_does_not_stop_anyone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(install, "may_install", lambda yes: None)
    install.ensure([Finding(capability(), (), "7.2", "older than 10")])


def test_install_asks_backports_only_for_what_may_come_from_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    calls: list[list[str]] = []
    monkeypatch.setattr(install, "may_install", lambda yes: [])
    monkeypatch.setattr(install, "distribution", lambda: ("debian", "bookworm"))
    monkeypatch.setattr(install, "mirrors_of", lambda codename: ["http://mirror.invalid/debian/"])
    monkeypatch.setattr(install, "_apt", lambda prefix, words, quiet=False: calls.append(words))
    newer = capability(name="emu", debian=("emu",), backports=True)
    install.ensure([Finding(capability(), ("x",)), Finding(newer, ("emu >= 10",))])
    assert calls[0] == ["update"]
    assert "thing-dev" in calls[1]
    assert "emu" not in calls[1]
    assert calls[2][-1] == "update"
    assert any("Dir::State::lists=" in word for word in calls[2])
    assert calls[3][-3:] == ["-t", "bookworm-backports", "emu"]
