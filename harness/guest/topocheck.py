"""What a guest has, compared with the topology that was asked for.

The guest prints its nodes and caches with the `DUMP` snippet (POSIX shell,
reads sysfs only); `verify_topology()` reads that text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.guest.topology import Topology

# Two processes in all: a fork for each file would take seconds of emulation.
# grep prints no line for an empty file, so a node is known by its distances.
DUMP = r"""
cd /sys/devices/system
grep -sH . node/node*/distance node/node*/cpulist cpu/online \
    cpu/cpu*/cache/index*/level cpu/cpu*/cache/index*/shared_cpu_list
grep -sE '^Node|^ +present' /proc/zoneinfo
"""

# Pages that are present count all memory, also what the kernel takes for itself
# (KASAN's shadow is an eighth of everything, on the first node).  Missing are the
# hole below 1 MiB and the firmware's tables.
_PAGE = 4096
_LOSS = 4  # MiB


@dataclass
class _Found:
    online: list[int] = field(default_factory=list)
    cpus: dict[int, list[int]] = field(default_factory=dict)
    pages: dict[int, int] = field(default_factory=dict)  # present, by node
    distances: dict[int, list[int]] = field(default_factory=dict)
    levels: dict[tuple[int, int], int] = field(default_factory=dict)  # of (CPU, cache)
    shared: dict[tuple[int, int], list[int]] = field(default_factory=dict)

    def memory(self, node: int) -> float:
        """Return a node's memory in MiB; a node without any has no zone."""
        return self.pages.get(node, 0) * _PAGE / 2**20

    def last_level(self, cpu: int) -> tuple[int, list[int]]:
        """Return level and CPUs of a CPU's largest cache, level 0 if it has none."""
        levels = {key: level for key, level in self.levels.items() if key[0] == cpu}
        if not levels:
            return 0, []
        key = max(levels, key=levels.__getitem__)
        return levels[key], self.shared.get(key, [])


def expand_list(text: str) -> list[int]:
    """Return the numbers of a kernel list such as `0-3,8`."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _read(dump: str) -> _Found:
    found, zone_of = _Found(), -1
    for line in dump.splitlines():
        if match := re.fullmatch(r"node/node(\d+)/cpulist:([\d,-]+)", line):
            found.cpus[int(match[1])] = expand_list(match[2])
        elif match := re.fullmatch(r"node/node(\d+)/distance:([\d ]+)", line):
            found.distances[int(match[1])] = [int(word) for word in match[2].split()]
        elif match := re.match(r"Node (\d+), zone ", line):
            zone_of = int(match[1])
        elif match := re.fullmatch(r" +present +(\d+)", line):
            found.pages[zone_of] = found.pages.get(zone_of, 0) + int(match[1])
        elif match := re.fullmatch(r"cpu/online:([\d,-]+)", line):
            found.online = expand_list(match[1])
        elif match := re.fullmatch(r"cpu/cpu(\d+)/cache/index(\d+)/(\w+):([\d,-]+)", line):
            key = int(match[1]), int(match[2])
            if match[3] == "level":
                found.levels[key] = int(match[4])
            else:
                found.shared[key] = expand_list(match[4])
    return found


def verify_topology(dump: str, topology: Topology) -> tuple[str, ...]:
    """Return a sentence for each way in which the guest is not what was asked for.

    dump: what DUMP printed in the guest; empty or cut off, it counts as wrong.
    """
    found = _read(dump)
    count = len(topology.nodes)
    if sorted(found.distances) != list(range(count)):
        return (f"the guest has the nodes {sorted(found.distances)}, not 0 to {count - 1}",)
    wrong: list[str] = []
    if len(found.online) != topology.cpus:
        wrong.append(f"{len(found.online)} CPUs are online, not {topology.cpus}")
    for index, node in enumerate(topology.nodes):
        ids = list(topology.cpu_ids(index))
        cpus = found.cpus.get(index, [])
        if cpus != ids:
            wrong.append(f"node {index} has the CPUs {cpus}, not {ids}")
        wrong += _memory(index, node.memory, found.memory(index))
        asked = [topology.distance(index, other) for other in range(count)]
        if found.distances[index] != asked:
            wrong.append(f"node {index} has the distances {found.distances[index]}, not {asked}")
        wrong += _caches(index, ids, found)
    return tuple(wrong)


def _memory(index: int, asked: int, found: float) -> list[str]:
    if asked - _LOSS <= found <= asked:
        return []
    return [f"node {index} has {found:.0f}M of memory, not {asked}M"]


def _caches(index: int, ids: list[int], found: _Found) -> list[str]:
    for cpu in ids:
        level, shared = found.last_level(cpu)
        if level < 3 or shared != ids:
            what = f"level {level} over the CPUs {shared}" if level else "no cache"
            return [f"the last-level cache of CPU {cpu} is {what}, not one for node {index}"]
    return []


def describe(dump: str) -> list[str]:
    """Return a line for each node that the guest has, for a person."""
    found = _read(dump)
    lines = [f"{len(found.distances)} nodes, {len(found.online)} CPUs online"]
    for node, distances in sorted(found.distances.items()):
        cpus = found.cpus.get(node, [])
        level, shared = found.last_level(cpus[0]) if cpus else (0, [])
        lines.append(
            f"  node {node}: CPUs {_numbers(cpus)}; {found.memory(node):.0f}M;"
            f" distances {_numbers(distances)}"
            + (f"; L{level} cache of CPUs {_numbers(shared)}" if level else "")
        )
    return lines


def _numbers(values: list[int]) -> str:
    return " ".join(map(str, values)) or "none"
