"""What a guest has, compared with the topology that was asked for.

The guest prints its nodes and caches with the `DUMP` snippet (POSIX shell,
reads sysfs only); `verify_topology()` reads that text.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from harness.guest.topology import Topology

# `key value` lines; sysfs of a node without memory or CPUs says "" or 0 itself.
DUMP = r"""
for d in /sys/devices/system/node/node[0-9]*; do
    n=${d##*/node}
    echo "node $n cpus $(cat $d/cpulist)"
    echo "node $n memory $(sed -n 's/.*MemTotal: *//p' $d/meminfo)"
    echo "node $n distances $(cat $d/distance)"
done
for d in /sys/devices/system/cpu/cpu[0-9]*; do
    n=${d##*/cpu}
    l=
    for c in $d/cache/index*; do
        [ -r $c/shared_cpu_list ] && l="$(cat $c/level) $(cat $c/shared_cpu_list)"
    done
    echo "cpu $n online $(cat $d/online 2>/dev/null || echo 1) cache ${l:-none}"
done
"""

# The kernel keeps the page array, firmware tables and, on the first node, its
# own image and the memory below 1 MiB for itself.
_FIXED_LOSS = 96  # MiB
_SHARE_LOSS = 0.12


@dataclass
class _Found:
    cpus: dict[int, list[int]] = field(default_factory=dict)
    memory: dict[int, int] = field(default_factory=dict)  # MiB
    distances: dict[int, list[int]] = field(default_factory=dict)
    online: set[int] = field(default_factory=set)
    caches: dict[int, tuple[int, list[int]]] = field(default_factory=dict)


def expand_list(text: str) -> list[int]:
    """Return the numbers of a kernel list such as `0-3,8`."""
    numbers: list[int] = []
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        numbers += range(int(first), int(last or first) + 1)
    return numbers


def _read(dump: str) -> _Found:
    found = _Found()
    for line in dump.splitlines():
        if match := re.fullmatch(r"node (\d+) cpus *([\d,-]*)", line):
            found.cpus[int(match[1])] = expand_list(match[2])
        elif match := re.fullmatch(r"node (\d+) memory (\d+) kB", line):
            found.memory[int(match[1])] = int(match[2]) // 1024
        elif match := re.fullmatch(r"node (\d+) distances ([\d ]+)", line):
            found.distances[int(match[1])] = [int(word) for word in match[2].split()]
        elif match := re.fullmatch(r"cpu (\d+) online (\d) cache (.*)", line):
            cpu, cache = int(match[1]), match[3].split()
            if match[2] == "1":
                found.online.add(cpu)
            if len(cache) == 2 and cache[0].isdigit():
                found.caches[cpu] = (int(cache[0]), expand_list(cache[1]))
    return found


def verify_topology(dump: str, topology: Topology) -> tuple[str, ...]:
    """Return a sentence for each way in which the guest is not what was asked for.

    dump: what DUMP printed in the guest; empty or cut off, it counts as wrong.
    """
    found = _read(dump)
    count = len(topology.nodes)
    if sorted(found.cpus) != list(range(count)):
        return (f"the guest has the nodes {sorted(found.cpus)}, not 0 to {count - 1}",)
    wrong: list[str] = []
    if len(found.online) != topology.cpus:
        wrong.append(f"{len(found.online)} CPUs are online, not {topology.cpus}")
    for index, node in enumerate(topology.nodes):
        ids = list(topology.cpu_ids(index))
        if found.cpus[index] != ids:
            wrong.append(f"node {index} has the CPUs {found.cpus[index]}, not {ids}")
        wrong += _memory(index, node.memory, found.memory.get(index))
        asked = [topology.distance(index, other) for other in range(count)]
        if found.distances.get(index) != asked:
            wrong.append(
                f"node {index} has the distances {found.distances.get(index)}, not {asked}"
            )
        wrong += _caches(index, ids, found)
    return tuple(wrong)


def _memory(index: int, asked: int, found: int | None) -> list[str]:
    least = asked - _FIXED_LOSS - asked * _SHARE_LOSS
    if found is None or found > asked or found < least or (asked and not found):
        has = "no known size" if found is None else f"{found}M"
        return [f"node {index} has {has} of memory, not {asked}M"]
    return []


def _caches(index: int, ids: list[int], found: _Found) -> list[str]:
    for cpu in ids:
        level, shared = found.caches.get(cpu, (0, []))
        if level < 3 or shared != ids:
            what = f"level {level} over the CPUs {shared}" if level else "no cache"
            return [f"the last-level cache of CPU {cpu} is {what}, not one for node {index}"]
    return []
