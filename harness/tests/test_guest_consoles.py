"""Consoles of real guests, each ended in its own way, through the verdict's eyes."""

from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest.jobdir import running
from harness.guest.splat import find_splats, panicked

DATA = Path(__file__).parent / "data" / "consoles"

# name -> kinds of splats, the start of the panic's sentence, what ran
EXPECTED: dict[str, tuple[list[str], str, str]] = {
    "guest-clean-boot": ([], "", ""),
    "guest-frozen-sysrq": ([], "", "second"),
    "guest-hung-task": (["hung-task"], "", ""),
    "guest-nmi-panic": (["panic"], "Kernel panic - not syncing: NMI: Not continuing", "second"),
    "guest-panic-before-init": (["panic"], "Kernel panic - not syncing: VFS: Unable", ""),
    "guest-rcu-stall": (["rcu-stall"], "", "second"),
    "guest-sysrq-panic": (["panic"], "Kernel panic - not syncing: sysrq triggered", "second"),
}


@pytest.mark.parametrize("name", EXPECTED)
def test_stored_consoles(name: str, tmp_path: Path) -> None:
    text = (DATA / f"{name}.log").read_bytes().decode(errors="replace")
    kinds, panic, ran = EXPECTED[name]
    assert sorted({splat.kind for splat in find_splats(text)}) == kinds
    assert panicked(text).startswith(panic)
    assert bool(panicked(text)) == bool(panic)
    assert running(tmp_path, text) == ran


def test_every_stored_console_has_its_expectation() -> None:
    assert {path.stem for path in DATA.glob("guest-*.log")} == set(EXPECTED)


def test_sysrq_left_the_backtraces_that_the_ladder_asked_for() -> None:
    text = (DATA / "guest-frozen-sysrq.log").read_text(errors="replace")
    assert "sysrq: Show Blocked State" in text
    assert "sysrq: Show backtrace of all active CPUs" in text
