from __future__ import annotations

from pathlib import Path

import pytest

from harness.guest.topocheck import DUMP, describe, expand_list, verify_topology
from harness.guest.topology import Node, Topology, parse_topology

DATA = Path(__file__).parent / "data" / "topology"
# Dumps of real guests, named after the topology that was asked for.
DUMPS = sorted(DATA.glob("*.txt"))


@pytest.mark.parametrize("path", DUMPS, ids=lambda p: p.stem)
def test_real_guests_are_what_was_asked_for(path: Path) -> None:
    assert verify_topology(path.read_text(), parse_topology(path.stem)) == ()


@pytest.mark.parametrize("path", DUMPS, ids=lambda p: p.stem)
def test_every_other_topology_is_told_apart(path: Path) -> None:
    for other in DUMPS:
        if other != path:
            assert verify_topology(path.read_text(), parse_topology(other.stem))


def test_expand_list() -> None:
    assert expand_list("0-3,8") == [0, 1, 2, 3, 8]
    assert expand_list("") == []


def dump(name: str) -> str:
    return (DATA / f"{name}.txt").read_text()


def test_a_guest_that_said_nothing_is_wrong() -> None:
    assert verify_topology("", parse_topology("1x1")) == ("the guest has the nodes [], not 0 to 0",)


def test_a_shared_cache_is_named() -> None:
    text = dump("4x2").replace(
        "cache/index3/shared_cpu_list:0-1", "cache/index3/shared_cpu_list:0-7"
    )
    assert verify_topology(text, parse_topology("4x2")) == (
        "the last-level cache of CPU 0 is level 3 over the CPUs [0, 1, 2, 3, 4, 5, 6, 7],"
        " not one for node 0",
    )


def test_a_missing_cache_is_named() -> None:
    text = "\n".join(line for line in dump("1x1").splitlines() if "cache" not in line)
    assert verify_topology(text, parse_topology("1x1")) == (
        "the last-level cache of CPU 0 is no cache, not one for node 0",
    )


def test_too_little_memory_is_named() -> None:
    assert verify_topology(dump("2x2"), Topology((Node(2, 1024), Node(2, 512))))[0].startswith(
        "node 0 has "
    )


def test_too_much_memory_is_named() -> None:
    wrong = verify_topology(dump("2x2"), Topology((Node(2, 512), Node(2, 300))))
    assert [line[:10] for line in wrong] == ["node 1 has"]


def test_distances_and_offline_cpus_are_named() -> None:
    text = dump("distances").replace("cpu/online:0-7", "cpu/online:0-6")
    wrong = verify_topology(text, parse_topology("4x2"))
    assert wrong[0] == "7 CPUs are online, not 8"
    assert wrong[1] == "node 0 has the distances [10, 16, 32, 32], not [10, 20, 20, 20]"


def test_describe_has_a_line_per_node() -> None:
    lines = describe(dump("memoryless"))
    assert lines[0] == "4 nodes, 6 CPUs online"
    assert "node 2: CPUs 4 5; 0M" in lines[3]
    assert "node 3: CPUs none" in lines[4]


def test_the_dump_forks_little() -> None:
    assert DUMP.count("$(") == 0
