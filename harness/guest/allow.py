"""The allowlist of splats: each entry has a reason, an owner and an end."""

from __future__ import annotations

import datetime
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.core.errors import Exit, KseriesError
from harness.guest.job import Splat

ALLOW_FILE = Path(__file__).with_name("allow.toml")


@dataclass(frozen=True)
class AllowEntry:
    """One excused complaint.

    pattern: a regular expression searched in the whole text of a splat;
    kind: the splat's kind, empty for any; expires: last day it holds.
    """

    pattern: str
    reason: str
    owner: str
    expires: datetime.date
    kind: str = ""

    def covers(self, splat: Splat) -> bool:
        """Whether this entry excuses the splat."""
        if self.kind and self.kind != splat.kind:
            return False
        return re.search(self.pattern, splat.text, re.MULTILINE) is not None


def _entry(item: dict[str, Any], where: str, today: datetime.date) -> AllowEntry:
    hint = "each [[allow]] needs pattern, reason, owner and expires = YYYY-MM-DD; kind is optional"
    try:
        entry = AllowEntry(**item)
        re.compile(entry.pattern)
    except (TypeError, re.error) as error:
        raise KseriesError(
            Exit.LINT, f"a bad allowlist entry: {error}", where=where, hint=hint
        ) from None
    if not isinstance(entry.expires, datetime.date) or not (entry.reason and entry.owner):
        raise KseriesError(
            Exit.LINT,
            f"the allowlist entry {entry.pattern!r} lacks a reason, an owner or an expiry date",
            where=where,
            hint=hint,
        )
    if entry.expires < today:
        raise KseriesError(
            Exit.LINT,
            f"the allowlist entry {entry.pattern!r} expired on {entry.expires}",
            where=where,
            hint=f"{entry.owner}: remove it, or look again and give it a new date",
        )
    return entry


def parse_allow(text: str, today: datetime.date, where: str = "") -> tuple[AllowEntry, ...]:
    """Return the entries of an allowlist file's text; a bad or old one is an error."""
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise KseriesError(
            Exit.LINT, f"the allowlist is not TOML: {error}", where=where, hint="mend the file"
        ) from None
    unknown = set(data) - {"allow"}
    if unknown:
        raise KseriesError(
            Exit.LINT,
            f"unknown tables in the allowlist: {', '.join(sorted(unknown))}",
            where=where,
            hint="only [[allow]] is read",
        )
    return tuple(_entry(item, where, today) for item in data.get("allow", ()))


def load_allow(path: Path = ALLOW_FILE, *, today: datetime.date) -> tuple[AllowEntry, ...]:
    """Read an allowlist file (by default the harness's own)."""
    return parse_allow(path.read_text(encoding="utf-8"), today, str(path))
