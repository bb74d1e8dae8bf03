from __future__ import annotations

from pathlib import Path

from harness.core.paths import Paths
from harness.guest.job import Lane, Machine
from harness.guest.qemu import Qemu
from harness.guest.slowness import Slowness, reference
from harness.guest.topology import parse_topology

QEMU = Qemu(Path("q"), (10, 0, 2))


def test_the_factor_is_measured_kept_and_bounded(tmp_path: Path) -> None:
    paths = Paths(tmp_path, tmp_path / "cache", tmp_path / "out")
    machine = Machine(Path("k"), parse_topology("4x2"))
    slow = Slowness(paths, QEMU, "tcg", machine)
    assert slow.known() == 2.0
    assert slow.learn(3 * reference("tcg", machine)) == 3.0
    assert Slowness(paths, QEMU, "tcg", machine).known() == 3.0
    assert slow.learn(0.1) == 1.0
    assert slow.learn(9999) == 4.0
    icount = Machine(Path("k"), parse_topology("4x2"), Lane.L3)
    assert Slowness(paths, QEMU, "tcg", icount).known() == 2.0


def test_more_cpus_take_longer() -> None:
    few, many = (Machine(Path("k"), parse_topology(text)) for text in ("1x1", "8x4"))
    assert reference("tcg", few) < reference("tcg", many)
