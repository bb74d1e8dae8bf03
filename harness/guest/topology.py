"""Topologies: nodes, CPUs, memory and distances of an emulated machine.

A person writes `4x2`, `2x4:1G`, the name of a file in harness/guest/topologies,
or the path of a TOML file; `parse_topology()` makes a checked Topology of it,
and `vng_arguments()` the arguments that give a guest exactly that machine.
What the guest then really has is compared by harness.guest.topocheck.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from harness.core.errors import Exit, KseriesError

NODE_MEMORY = 512  # MiB of a node that states none
LOCAL, REMOTE = 10, 20  # ACPI's distances of a node to itself, and by default to others
LONGEST_DISTANCE = 254  # 255 means unreachable, which no scheduler can use
MAX_NODES = 64  # CONFIG_NODES_SHIFT=6 in kconfig/numa.config
MAX_CPUS = 64  # CONFIG_NR_CPUS in kconfig/base.config
MIN_MEMORY = 256  # MiB that a guest needs to reach its first command

FOLDER = Path(__file__).parent / "topologies"

_SHORT = re.compile(r"(?P<nodes>\d+)x(?P<cpus>\d+)(?::(?P<memory>\d+)(?P<unit>[MG]?))?")
_SIZE = re.compile(r"(\d+)([MG]?)")


@dataclass(frozen=True)
class Node:
    """One NUMA node: its CPUs and its memory in MiB (either may be none)."""

    cpus: int
    memory: int


@dataclass(frozen=True)
class Topology:
    """A machine: its nodes, and distances where they differ from 10 and 20.

    distances: rows of the SLIT, or empty for the default.
    """

    nodes: tuple[Node, ...]
    distances: tuple[tuple[int, ...], ...] = ()

    @property
    def cpus(self) -> int:
        """CPUs of all nodes."""
        return sum(node.cpus for node in self.nodes)

    @property
    def memory(self) -> int:
        """MiB of all nodes."""
        return sum(node.memory for node in self.nodes)

    @property
    def sockets(self) -> int:
        """Nodes that have CPUs: each is a socket with a last-level cache of its own."""
        return sum(1 for node in self.nodes if node.cpus)

    def cpu_ids(self, node: int) -> range:
        """Return the CPU numbers of a node: they count up node by node."""
        first = sum(other.cpus for other in self.nodes[:node])
        return range(first, first + self.nodes[node].cpus)

    def distance(self, source: int, target: int) -> int:
        """Return the SLIT distance between two nodes."""
        if self.distances:
            return self.distances[source][target]
        return LOCAL if source == target else REMOTE

    def as_json(self) -> dict[str, Any]:
        """Return the topology as JSON types, for records and reports."""
        return {
            "nodes": [{"cpus": node.cpus, "memory": node.memory} for node in self.nodes],
            "distances": [list(row) for row in self.distances],
        }

    def short(self) -> str:
        """Return the topology in a few characters: `4x2:512M`, or its odd nodes spelt out."""
        if len(set(self.nodes)) == 1:
            node = self.nodes[0]
            text = f"{len(self.nodes)}x{node.cpus}:{node.memory}M"
        else:
            text = "+".join(f"{node.cpus}:{node.memory}M" for node in self.nodes)
        return f"{text} with distances" if self.distances else text


def parse_topology(text: str) -> Topology:
    """Return the checked topology that text names.

    text: `NODESxCPUS[:MEMORY]` (memory of one node in M or G, 512M unless
    said), the bare name of a file in harness/guest/topologies, or the path of
    a TOML file with a [[node]] table for each node.
    """
    match = _SHORT.fullmatch(text)
    if match:
        memory = _mebibytes(match["memory"], match["unit"]) if match["memory"] else NODE_MEMORY
        nodes = int(match["nodes"])
        if not 1 <= nodes <= MAX_NODES:
            _refuse(f"a machine has 1 to {MAX_NODES} nodes, not {nodes}", text)
        return check_topology(Topology((Node(int(match["cpus"]), memory),) * nodes), text)
    path = FOLDER / f"{text}.toml"
    if "/" in text or text.endswith(".toml") or not path.is_file():
        path = Path(text)
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in FOLDER.glob("*.toml")))
        _refuse(
            f"{text!r} is neither NODESxCPUS[:MEMORY], a stored topology, nor a file",
            text,
            f"write for instance 4x2, 2x4:1G, one of {known}, or the path of a TOML file",
        )
    return read_topology(path.read_text(encoding="utf-8"), str(path))


def read_topology(text: str, where: str) -> Topology:
    """Return the checked topology of a TOML text; where: its name in errors."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        _refuse(f"this is not TOML: {error}", where)
    unknown = sorted(set(data) - {"node", "distances"})
    tables = data.get("node", [])
    if unknown or not isinstance(tables, list) or not tables:
        problem = f"unknown keys {', '.join(unknown)}" if unknown else "no [[node]] table"
        _refuse(problem, where, "a topology has [[node]] tables and perhaps `distances`")
    nodes = tuple(_read_node(table, index, where) for index, table in enumerate(tables))
    rows = data.get("distances", [])
    if not isinstance(rows, list) or not all(
        isinstance(row, list) and all(type(cell) is int for cell in row) for row in rows
    ):
        _refuse("`distances` is not a list of rows of whole numbers", where)
    return check_topology(Topology(nodes, tuple(tuple(row) for row in rows)), where)


def _read_node(table: Any, index: int, where: str) -> Node:
    unknown = sorted(set(table) - {"cpus", "memory"}) if isinstance(table, dict) else ["?"]
    if unknown:
        _refuse(f"node {index} has the unknown keys {', '.join(unknown)}", where)
    cpus, memory = table.get("cpus", 0), table.get("memory", 0)
    if type(cpus) is not int or cpus < 0:
        _refuse(f"node {index}: cpus is {cpus!r}, not a number of CPUs", where)
    size = _SIZE.fullmatch(str(memory))
    if not size:
        _refuse(f'node {index}: memory is {memory!r}; write 512, "512M" or "1G"', where)
    return Node(cpus, _mebibytes(size[1], size[2]))


def check_topology(topology: Topology, where: str) -> Topology:
    """Return the topology if QEMU and the kernel can have it, else raise USAGE."""
    counts = {node.cpus for node in topology.nodes if node.cpus}
    if not counts:
        _refuse("no node has a CPU", where)
    if len(counts) > 1:
        _refuse(
            f"nodes have {' and '.join(map(str, sorted(counts)))} CPUs",
            where,
            "all nodes that have CPUs must have equally many: QEMU's sockets are alike",
        )
    if topology.cpus > MAX_CPUS:
        _refuse(f"{topology.cpus} CPUs are more than CONFIG_NR_CPUS={MAX_CPUS}", where)
    if len(topology.nodes) > MAX_NODES:
        _refuse(f"{len(topology.nodes)} nodes are more than {MAX_NODES}", where)
    if topology.memory < MIN_MEMORY:
        _refuse(f"{topology.memory}M in all are too little; a guest needs {MIN_MEMORY}M", where)
    for index, node in enumerate(topology.nodes):
        if not node.cpus and not node.memory:
            _refuse(f"node {index} has neither CPUs nor memory", where)
        if node.memory % 2:
            _refuse(f"node {index}: {node.memory}M is not a multiple of 2M", where)
    if topology.distances:
        _check_distances(topology, where)
    return topology


def _check_distances(topology: Topology, where: str) -> None:
    count = len(topology.nodes)
    rows = topology.distances
    if len(rows) != count or any(len(row) != count for row in rows):
        _refuse(f"`distances` must have {count} rows of {count} numbers", where)
    for source, row in enumerate(rows):
        for target, value in enumerate(row):
            pair = f"distance {source} to {target} is {value}"
            if source == target and value != LOCAL:
                _refuse(f"{pair}; a node is at distance {LOCAL} to itself", where)
            if source != target and not LOCAL < value <= LONGEST_DISTANCE:
                _refuse(f"{pair}; it must be {LOCAL + 1} to {LONGEST_DISTANCE}", where)
            # The kernel's scheduler topology takes a matrix that is not
            # symmetric for broken firmware and drops the NUMA domains.
            if value != rows[target][source]:
                _refuse(f"{pair}, but {rows[target][source]} the other way", where)


def vng_arguments(topology: Topology) -> list[str]:
    """Return the arguments of vng that give a guest this topology.

    Each node with CPUs becomes a socket: with `--cpus N` alone QEMU makes one
    socket across all nodes, whose shared last-level cache makes the kernel
    WARN in topology_sane() and schedule for a machine that does not exist.
    """
    sockets = topology.sockets
    words = [
        "--cpus",
        f"{topology.cpus},sockets={sockets},cores={topology.cpus // sockets},threads=1",
        "--memory",
        f"{topology.memory}M",
    ]
    if len(topology.nodes) == 1:
        return words
    for index, node in enumerate(topology.nodes):
        ids = topology.cpu_ids(index)
        size = f"{node.memory}M" if node.memory else "0"
        words += ["--numa", f"{size},cpus={ids[0]}-{ids[-1]}" if ids else size]
    for source, row in enumerate(topology.distances):
        for target, value in enumerate(row):
            if source != target:
                words += ["--numa-distance", f"{source},{target}={value}"]
    return words


def _mebibytes(number: str, unit: str) -> int:
    return int(number) * (1024 if unit == "G" else 1)


def _refuse(what: str, where: str, hint: str = "") -> NoReturn:
    raise KseriesError(
        Exit.USAGE,
        f"this topology cannot be: {what}",
        where=where,
        hint=hint or "`kseries boot --help` shows what a topology can be",
    )
