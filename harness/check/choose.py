"""Choosing stations: by name, and a part for each of several machines."""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Sequence

from harness.check.station import Station
from harness.core.errors import Exit, KseriesError


def chosen(stations: Sequence[Station], only: str | None) -> list[Station]:
    """Return the stations that `only` names (comma-separated), all without it.

    A name may have * and ?.  What a chosen one builds on is chosen too: it would fail without.
    """
    if not only:
        return list(stations)
    known = {station.name: station for station in stations}
    patterns = {name.strip() for name in only.split(",") if name.strip()}
    wanted = {name for name in known for p in patterns if fnmatch.fnmatchcase(name, p)}
    unknown = sorted(p for p in patterns if not fnmatch.filter(known, p))
    if unknown or not wanted:
        raise KseriesError(
            Exit.USAGE,
            f"no station is called {', '.join(unknown) or '(nothing)'}",
            hint=f"there are: {', '.join(known)}",
        )
    todo = list(wanted)
    while todo:
        for name in known[todo.pop()].after:
            if name in known and name not in wanted:
                wanted.add(name)
                todo.append(name)
    return [station for station in stations if station.name in wanted]


def parse_shard(text: str) -> tuple[int, int]:
    """Return (i, n) of "i/n", i counted from 1; raises KseriesError(USAGE)."""
    match = re.fullmatch(r"(\d+)/(\d+)", text)
    if not match or not 1 <= int(match[1]) <= int(match[2]):
        raise KseriesError(
            Exit.USAGE, f"{text!r} is no shard", hint="1/4 to 4/4 are the four quarters"
        )
    return int(match[1]), int(match[2])


def shard(stations: Sequence[Station], number: int, count: int) -> list[Station]:
    """Return what machine `number` of `count` runs, in order.

    Each station is some machine's own: the longest go first, each to the
    machine that has least to do, so the same commit gives the same parts
    everywhere.  What a station builds on comes along, on every machine that
    needs it.
    """
    load = [0.0] * count
    owner: dict[str, int] = {}
    for station in sorted(stations, key=lambda s: (-s.estimate, s.name)):
        least = min(range(count), key=lambda index: (load[index], index))
        owner[station.name] = least
        load[least] += station.estimate
    own = [name for name, index in owner.items() if index == number - 1]
    return chosen(stations, ",".join(own)) if own else []
