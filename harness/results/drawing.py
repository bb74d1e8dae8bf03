"""The topology as a picture: what the template needs to draw nodes, CPUs and memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

LOCAL = 10  # SLIT distances that QEMU and Linux assume where none is given
REMOTE = 20


@dataclass(frozen=True)
class NodeBox:
    """One node: its CPU numbers, MiB, and its share of the largest node's memory."""

    index: int
    cpus: tuple[int, ...]
    memory: int
    share: float

    @property
    def memory_text(self) -> str:
        """Return `512 MiB`, `2 GiB` or `no memory`."""
        if not self.memory:
            return "no memory"
        if self.memory % 1024 == 0:
            return f"{self.memory // 1024} GiB"
        return f"{self.memory} MiB"

    @property
    def cpu_text(self) -> str:
        """Return `CPUs 0-1`, `CPU 4` or `no CPU`."""
        if not self.cpus:
            return "no CPU"
        if len(self.cpus) == 1:
            return f"CPU {self.cpus[0]}"
        return f"CPUs {self.cpus[0]}-{self.cpus[-1]}"


@dataclass(frozen=True)
class Drawing:
    """A topology to draw; distances is the whole matrix, plain if all default."""

    nodes: tuple[NodeBox, ...]
    distances: tuple[tuple[int, ...], ...]
    plain: bool

    @property
    def cpus(self) -> int:
        """CPUs of all nodes."""
        return sum(len(node.cpus) for node in self.nodes)

    @property
    def memory(self) -> int:
        """MiB of all nodes."""
        return sum(node.memory for node in self.nodes)

    @property
    def farthest(self) -> int:
        """The largest distance."""
        return max((value for row in self.distances for value in row), default=LOCAL)

    @property
    def title(self) -> str:
        """Return the machine in one phrase."""
        total = f"{self.memory / 1024:.3g} GiB" if self.memory >= 1024 else f"{self.memory} MiB"
        nodes = "1 node" if len(self.nodes) == 1 else f"{len(self.nodes)} NUMA nodes"
        cpus = "1 CPU" if self.cpus == 1 else f"{self.cpus} CPUs"
        return f"{nodes}, {cpus}, {total}"


def drawing_of(topology: Mapping[str, Any]) -> Drawing:
    """Return the drawing of a stored topology (Topology.as_json())."""
    stored = list(topology.get("nodes", []))
    largest = max((int(node.get("memory", 0)) for node in stored), default=0)
    nodes, first = [], 0
    for index, node in enumerate(stored):
        count, memory = int(node.get("cpus", 0)), int(node.get("memory", 0))
        share = memory / largest if largest else 0.0
        nodes.append(NodeBox(index, tuple(range(first, first + count)), memory, share))
        first += count
    given = tuple(tuple(int(value) for value in row) for row in topology.get("distances", []))
    usual = tuple(
        tuple(LOCAL if i == j else REMOTE for j in range(len(nodes))) for i in range(len(nodes))
    )
    return Drawing(tuple(nodes), given or usual, plain=not given or given == usual)
