"""Topologies: nodes, CPUs, memory and distances of an emulated machine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


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

    def as_json(self) -> dict[str, Any]:
        """Return the topology as JSON types, for records and reports."""
        return {
            "nodes": [{"cpus": node.cpus, "memory": node.memory} for node in self.nodes],
            "distances": [list(row) for row in self.distances],
        }
