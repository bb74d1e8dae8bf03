from __future__ import annotations

import re
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.core.errors import Exit, KseriesError
from harness.guest.topology import (
    FOLDER,
    MAX_CPUS,
    Node,
    Topology,
    parse_topology,
    read_topology,
    vng_arguments,
)


def test_short_forms() -> None:
    assert parse_topology("4x2") == Topology((Node(2, 512),) * 4)
    assert parse_topology("2x4:1G") == Topology((Node(4, 1024),) * 2)
    assert parse_topology("1x1:300M").memory == 300
    assert parse_topology("8x1:256").nodes[7] == Node(1, 256)


@pytest.mark.parametrize("path", sorted(FOLDER.glob("*.toml")), ids=lambda p: p.stem)
def test_every_stored_topology_is_known_by_its_bare_name(path: Path) -> None:
    assert parse_topology(path.stem) == parse_topology(str(path))


def test_memoryless_and_cpuless_nodes() -> None:
    assert parse_topology("memoryless").nodes == (
        Node(2, 512),
        Node(2, 512),
        Node(2, 0),
        Node(0, 512),
    )


def test_distances() -> None:
    topology = parse_topology("distances")
    assert topology.distance(0, 1) == 16
    assert topology.distance(0, 3) == 32
    assert parse_topology("2x1").distance(0, 1) == 20


def test_short_names_tell_odd_nodes() -> None:
    assert parse_topology("4x2").short() == "4x2:512M"
    assert parse_topology("single-memoryless").short() == "2:1024M+2:0M"
    assert parse_topology("distances").short().endswith("with distances")


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("4", "neither"),
        ("x", "neither"),
        ("4x2:1T", "neither"),
        ("no/such.toml", "neither"),
        ("0x2", "1 to 64 nodes"),
        ("65x1", "1 to 64 nodes"),
        ("2x0", "no node has a CPU"),
        ("2x33", "CONFIG_NR_CPUS"),
        ("1x1:64M", "guest needs"),
        ("2x1:301M", "multiple of 2M"),
    ],
)
def test_what_cannot_be_is_a_usage_error(text: str, sentence: str) -> None:
    with pytest.raises(KseriesError, match=sentence) as caught:
        parse_topology(text)
    assert caught.value.code is Exit.USAGE
    assert caught.value.hint


NODE = '[[node]]\ncpus = 2\nmemory = "512M"\n'


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("nodes = 1", "unknown keys nodes"),
        ("", "no .*node.* table"),
        ("[[node]]\ncpu = 2", "node 0 has the unknown keys cpu"),
        ("[[node]]\ncpus = true\nmemory = 512", "not a number of CPUs"),
        ('[[node]]\ncpus = 1\nmemory = "1T"', "memory is '1T'"),
        (NODE + '[[node]]\ncpus = 4\nmemory = "512M"', "2 and 4 CPUs"),
        (NODE + "[[node]]\ncpus = 0\nmemory = 0", "neither CPUs nor memory"),
        ("this is no toml", "not TOML"),
        ("distances = [[10]]\n" + NODE * 2, "2 rows of 2"),
        ("distances = [[10, 20], [30, 10]]\n" + NODE * 2, "the other way"),
        ("distances = [[11, 20], [20, 10]]\n" + NODE * 2, "at distance 10 to itself"),
        ("distances = [[10, 255], [255, 10]]\n" + NODE * 2, "must be 11 to 254"),
        ('distances = [[10, "a"], [20, 10]]\n' + NODE * 2, "rows of whole numbers"),
    ],
)
def test_bad_files_are_refused_with_their_name(text: str, sentence: str) -> None:
    with pytest.raises(KseriesError, match=sentence) as caught:
        read_topology(text, "mine.toml")
    assert caught.value.where == "mine.toml"


def test_arguments_of_ordinary_nodes() -> None:
    assert vng_arguments(parse_topology("2x2:1G")) == [
        "--cpus",
        "4,sockets=2,cores=2,threads=1",
        "--memory",
        "2048M",
        "--numa",
        "1024M,cpus=0-1",
        "--numa",
        "1024M,cpus=2-3",
    ]


def test_arguments_of_odd_nodes() -> None:
    words = vng_arguments(parse_topology("memoryless"))
    assert words[1] == "6,sockets=3,cores=2,threads=1"
    assert [w for w in words if "cpus=" in w or w in {"0", "512M"}] == [
        "512M,cpus=0-1",
        "512M,cpus=2-3",
        "0,cpus=4-5",
        "512M",
    ]


@st.composite
def topologies(draw: st.DrawFn) -> Topology:
    cpus = draw(st.integers(1, 8))
    nodes = [Node(cpus, 256)]
    for _ in range(draw(st.integers(0, min(7, MAX_CPUS // cpus - 1)))):
        own, memory = draw(st.sampled_from([(cpus, 512), (cpus, 0), (0, 512), (cpus, 1024)]))
        nodes.append(Node(own, memory))
    count = len(nodes)
    rows = [[10] * count for _ in range(count)]
    for i in range(count):
        for j in range(i):
            rows[i][j] = rows[j][i] = draw(st.integers(11, 254))
    distances = tuple(map(tuple, rows)) if draw(st.booleans()) else ()
    return Topology(tuple(nodes), distances)


def as_toml(topology: Topology) -> str:
    rows = ", ".join(str(list(row)) for row in topology.distances)
    text = f"distances = [{rows}]\n" if rows else ""
    for node in topology.nodes:
        text += f'[[node]]\ncpus = {node.cpus}\nmemory = "{node.memory}M"\n'
    return text


@settings(deadline=None)
@given(topologies())
def test_a_file_says_the_same_topology(topology: Topology) -> None:
    assert read_topology(as_toml(topology), "made.toml") == topology


@settings(deadline=None)
@given(topologies())
def test_arguments_hold_every_cpu_and_all_memory_once(topology: Topology) -> None:
    words = vng_arguments(topology)
    cpus = re.fullmatch(r"(\d+),sockets=(\d+),cores=(\d+),threads=1", words[1])
    assert cpus
    assert int(cpus[1]) == topology.cpus == int(cpus[2]) * int(cpus[3])
    assert words[3] == f"{topology.memory}M"
    numa = [words[i + 1] for i, word in enumerate(words) if word == "--numa"]
    if len(topology.nodes) == 1:
        assert not numa
        return
    sizes = [word.split(",")[0].removesuffix("M") for word in numa]
    assert sum(map(int, sizes)) == topology.memory
    seen: list[int] = []
    for word in numa:
        if match := re.search(r"cpus=(\d+)-(\d+)", word):
            seen += range(int(match[1]), int(match[2]) + 1)
    assert seen == list(range(topology.cpus))
    distances = [words[i + 1] for i, word in enumerate(words) if word == "--numa-distance"]
    count = len(topology.nodes)
    assert len(distances) == (count * (count - 1) if topology.distances else 0)
