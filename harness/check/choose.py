"""Choosing stations by name."""

from __future__ import annotations

import fnmatch
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
