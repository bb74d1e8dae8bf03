"""A long series is mailed in parts, one for each subsystem.  Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

LIMIT = 15
# They go with what they describe.
_FOLLOW = {"Documentation", "docs", "MAINTAINERS", "README"}


@dataclass(frozen=True)
class Part:
    """Patches start to stop (exclusive) of the series; name: "" where there is only one part."""

    name: str
    start: int
    stop: int


def plan_parts(subjects: Sequence[str], limit: int = LIMIT) -> list[Part]:
    """Return the parts in order; up to `limit` patches stay together.

    A part is a run of patches of one subsystem, cut at `limit`; the order of
    the series is kept, so each part applies on top of those before it.
    """
    if len(subjects) <= limit:
        return [Part("", 0, len(subjects))]
    runs: list[tuple[str, int, int]] = []
    for number, subject in enumerate(subjects):
        key = subsystem(subject)
        if runs and key in ("", runs[-1][0]):
            name, start, _ = runs[-1]
            runs[-1] = (name, start, number + 1)
        else:
            runs.append((key or "docs", number, number + 1))
    pieces = [
        (name, at, min(at + limit, stop))
        for name, start, stop in runs
        for at in range(start, stop, limit)
    ]
    names = [name for name, _, _ in pieces]
    seen: dict[str, int] = {}
    parts = []
    for name, start, stop in pieces:
        seen[name] = seen.get(name, 0) + 1
        label = f"{name}-{seen[name]}" if names.count(name) > 1 else name
        parts.append(Part(label, start, stop))
    return parts


def subsystem(subject: str) -> str:
    """Return the subsystem that a subject names, "" for one that goes with its neighbour."""
    prefix = re.sub(r"^(\[[^]]*\]\s*)+", "", subject).partition(": ")[0]
    first, *rest = re.split(r"[/,]\s*", prefix)
    if first in _FOLLOW:
        return ""
    if first == "tools" and rest:
        first = rest[0]
    return re.sub(r"[^a-z0-9_]+", "-", first.lower()).strip("-")
